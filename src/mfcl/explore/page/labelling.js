// Labels: given on the page at once, taken back if the server could not keep them; guesses follow.

import { arrays, get, post } from "./api.js";
import { natural, toast } from "./dom.js";
import { count, emit, labelOf, restyle, setCurrent, state } from "./state.js";

export async function chooseColumn(name) {
  state.column = name;
  state.queue = { order: "", clips: [], at: 0 };
  await readLabels();
  emit("column");
  await readGuesses();
}

let [pending, missed] = [0, false];

export async function readLabels() {
  if (!state.column) {
    [state.classes, state.codes, state.held] = [[], new Int32Array(count()).fill(-1), new Uint8Array(count())];
    return restyle();
  }
  const { column } = state;
  const found = await arrays("/api/labels", { column });
  if (column !== state.column) return;
  if (pending) { missed = true; return; }  // what is on its way to the disk must not vanish from the page meanwhile
  const names = found.values.filter((name) => name !== "").sort(natural);
  // labels keep their keys while the page is open: new ones come last
  state.classes = [...new Set([...(state.keysOf === state.column ? state.classes : []), ...names])];
  state.keysOf = state.column;
  const place = new Map(state.classes.map((name, at) => [name, at]));
  const table = found.values.map((name) => (name === "" ? -1 : place.get(name)));
  state.codes = Int32Array.from(found.codes, (code) => table[code]);
  [state.held, state.notes, state.rejected] = [Uint8Array.from(found.held), found.notes, found.rejected];
  restyle();
  emit("labels");
}

let [asking, again] = [false, false];

// one request at a time; what changed meanwhile asks once more
export async function readGuesses() {
  if (!state.column) { [state.guesses, state.estimate] = [null, null]; emit("guesses"); return; }
  if (asking) { again = true; return; }
  asking = true;
  try {
    do {
      again = false;
      const [guesses, estimate] = await Promise.all([
        arrays("/api/guesses", { column: state.column }), get("/api/estimate", { column: state.column })]);
      state.guesses = guesses.waiting ? null : guesses;
      state.why = guesses.waiting ?? "";
      state.estimate = estimate.waiting ? null : estimate;
    } while (again);
    restyle();
    emit("guesses");
  } catch (error) {
    toast(error.message, true);
  } finally {
    asking = false;
  }
}

export function classNumber(label) {
  let at = state.classes.indexOf(label);
  if (at < 0) { state.classes.push(label); at = state.classes.length - 1; }
  return at;
}

// change cells: [clip, kind, value]; the page shows them at once
async function step(how, cells) {
  const before = cells.map(([clip]) => [clip, state.codes[clip]]);
  for (const [clip, kind, value] of cells) {
    if (kind === "label") state.codes[clip] = value === "" ? -1 : classNumber(value);
    if (kind === "rejected") state.rejected[clip] = JSON.parse(value);
    if (kind === "note") { if (value) state.notes[clip] = value; else delete state.notes[clip]; }
  }
  restyle();
  emit("labels");
  pending++;
  try {
    const saved = await post("/api/steps", { column: state.column, how, cells });
    state.about.own = saved.own;
    emit("saved", saved.version);
    if (cells.some(([, kind]) => kind !== "note")) readGuesses();
    return true;
  } catch (error) {
    for (const [clip, code] of before) state.codes[clip] = code;
    restyle();
    emit("labels");
    toast(`Not saved: ${error.message}`, true);
    return false;
  } finally {
    pending--;
    if (missed && !pending) { missed = false; readLabels().catch((error) => toast(error.message, true)); }
  }
}

export function label(clips, value, how) {
  if (!state.column) { toast("First make a column for your labels.", true); emit("needs-column"); return Promise.resolve(false); }
  return step(how, clips.map((clip) => [clip, "label", value]));
}

export const targets = () => (state.selection.size ? [...state.selection] : state.current >= 0 ? [state.current] : []);

// a key or a click on a label: the selection gets it, else the current clip, and the queue goes on
export async function give(value) {
  const clips = targets();
  if (!clips.length) return toast("Choose a clip first: click it on the map or use the arrow keys.");
  const lassoed = state.selection.size > 0;
  const done = label(clips, value, lassoed ? "lassoed" : "picked");
  if (!lassoed && queued()) advance();
  await done;
}

export const queued = () => state.queue.clips.length > 0 && state.queue.clips[state.queue.at] === state.current;

export async function accept() {
  const guess = suggestion(state.current);
  if (!guess) return;
  const clip = state.current;
  advance();
  await label([clip], guess, "accepted");
}

export async function reject() {
  const guess = suggestion(state.current);
  if (!guess) return;
  const clip = state.current;
  const names = [...new Set([...(state.rejected[clip] ?? []), guess])];
  advance();
  await step("rejected", [[clip, "rejected", JSON.stringify(names)]]);
}

// the guess that may be accepted: none for labelled clips or those of the held-out set, which must be told blind
export function suggestion(clip) {
  if (clip < 0 || !state.guesses || state.held[clip] || labelOf(clip)) return "";
  const code = state.guesses.codes[clip];
  return code < 0 ? "" : state.guesses.values[code];
}

export const note = (clip, text) => step("noted", [[clip, "note", text]]);

export async function turn(which) {
  try {
    const done = await post(`/api/${which}`);
    if (!done.step) return toast(which === "undo" ? "Nothing to undo." : "Nothing to redo.");
    state.about.own = done.own;
    const { how, value, clips, column } = done.step;
    toast(`${which === "undo" ? "Undone" : "Done again"}: ${how} ${value ? `“${value}”` : ""} (${clips} ${clips === 1 ? "clip" : "clips"}${column !== state.column ? `, ${column}` : ""})`);
    await readLabels();
    await readGuesses();
  } catch (error) {
    toast(error.message, true);
  }
}

export async function fillQueue(order, label = "") {
  const found = await get("/api/suggestions", { column: state.column || "label", order, label, count: order === "useful" ? 10 : 30 });
  if (found.waiting) return toast(`One moment: ${found.waiting}.`);
  state.queue = { order, label, clips: found.clips, at: 0 };
  emit("queue");
  if (found.clips.length) setCurrent(found.clips[0], { centre: true });
  else toast(order === "held" ? "The held-out set is labelled." : "Nothing is left to look at here.");
}

export function advance(by = 1) {
  const { clips, at, order, label: wanted } = state.queue;
  if (!clips.length) return;
  const next = at + by;
  if (next >= clips.length) { fillQueue(order, wanted).catch((error) => toast(error.message, true)); return; }
  state.queue.at = Math.max(0, next);
  setCurrent(clips[state.queue.at], { centre: true });
  emit("queue");
}

export async function drawHeldOut(size) {
  try {
    await post("/api/held-out", { column: state.column, count: size });
    await readLabels();
    await readGuesses();
    await fillQueue("held");
  } catch (error) {
    toast(error.message, true);
  }
}
