// Labels: given on the page at once, taken back if the server could not keep them; guesses follow.

import { arrays, get, post } from "./api.js";
import { natural, toast } from "./dom.js";
import { count, emit, labelOf, restyle, setCurrent, state } from "./state.js";

let choices = 0;
export const chosen = () => choices > 0;

// the column before stays, labels and all, until the next one's labels are known: a key never meets half of each
export async function chooseColumn(name) {
  const mine = ++choices;
  const found = await labelsOf(name);
  if (mine !== choices) return;  // another one was chosen meanwhile
  [state.column, state.classes, state.guesses, state.estimate] = [name, [], null, null];
  state.queue = { order: "", clips: [], at: 0 };
  turns++;
  take(found);
  emit("column");
  await readGuesses();
}

let [writes, pending, saving] = [0, 0, Promise.resolve()];
addEventListener("beforeunload", (event) => { if (pending) event.preventDefault(); });  // the browser asks, then
export const settled = () => saving;

// one write after the other, as they were given: an undo must not overtake the label that it takes back
function inTurn(write) {
  writes++;
  pending++;
  const done = saving.then(write).finally(() => { pending--; });
  saving = done.catch(() => {});
  return done;
}

// what the server has once every write has reached it: what is on its way must not vanish from the page meanwhile
async function labelsOf(column) {
  for (;;) {
    while (pending) await saving;
    const before = writes;
    const found = await arrays("/api/labels", { column });
    if (before === writes) return found;
  }
}

export async function readLabels() {
  if (!state.column) {
    [state.classes, state.codes, state.held] = [[], new Int32Array(count()).fill(-1), new Uint8Array(count())];
    state.notes = (await get("/api/about")).notes_of;
    restyle();
    return emit("labels");
  }
  const { column } = state;
  const found = await labelsOf(column);
  if (column === state.column) take(found);
}

function take(found) {
  const names = found.values.filter((name) => name !== "").sort(natural);
  state.classes = [...new Set([...state.classes, ...names])];  // labels keep their keys while the column is open
  const place = new Map(state.classes.map((name, at) => [name, at]));
  const table = found.values.map((name) => (name === "" ? -1 : place.get(name)));
  state.codes = Int32Array.from(found.codes, (code) => table[code]);
  state.version = found.version;
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
      const { column } = state;
      const [guesses, estimate] = await Promise.all([arrays("/api/guesses", { column }), get("/api/estimate", { column })]);
      if (column !== state.column) { again = true; continue; }
      state.guesses = guesses.waiting ? null : guesses;
      state.why = guesses.waiting ?? "";
      state.estimate = estimate.waiting ? null : estimate;
      restyle();
      emit("guesses");
    } while (again);
  } catch (error) {
    toast(error.message, true);
  } finally {
    asking = false;
  }
  if (again) { again = false; await readGuesses(); }  // asked for while it failed
}

export function classNumber(label) {
  let at = state.classes.indexOf(label);
  if (at < 0) { state.classes.push(label); at = state.classes.length - 1; }
  return at;
}

function cellOf(clip, kind) {
  if (kind === "label") return labelOf(clip);
  return kind === "note" ? state.notes[clip] ?? "" : JSON.stringify(state.rejected[clip] ?? []);
}

function put(cells) {
  for (const [clip, kind, value] of cells) {
    if (kind === "label") state.codes[clip] = value === "" ? -1 : classNumber(value);
    if (kind === "rejected") { if (value === "[]") delete state.rejected[clip]; else state.rejected[clip] = JSON.parse(value); }
    if (kind === "note") { if (value) state.notes[clip] = value; else delete state.notes[clip]; }
  }
}

function changed() {
  restyle();
  emit("labels");
}

// labels that were never saved give their keys back
function forget(names) {
  for (const name of names) {
    const at = state.classes.indexOf(name);
    if (state.codes.includes(at)) continue;
    state.classes.splice(at, 1);
    state.codes = state.codes.map((code) => (code > at ? code - 1 : code));
  }
}

const befores = [];  // what the cells of each write that is on its way were, the oldest write first

// change cells: [clip, kind, value]; the page shows them at once
function step(how, cells) {
  const { column } = state;
  const known = new Set(state.classes);
  befores.push(cells.map(([clip, kind]) => [clip, kind, cellOf(clip, kind)]));
  put(cells);
  changed();
  return inTurn(() => save({ column, how, cells }, known));
}

async function save(wanted, known) {
  try {
    const saved = await post("/api/steps", wanted);
    state.about.own = saved.own;
    emit("saved", saved.version);
    if (wanted.cells.some(([, kind]) => kind !== "note")) readGuesses();
    return true;
  } catch (error) {
    takeBack(...befores);
    forget(state.classes.filter((name) => !known.has(name) && wanted.cells.some(([, kind, value]) => kind === "label" && value === name)));
    changed();
    toast(`Not saved: ${error.message}`, true);
    return false;
  } finally {
    befores.shift();
  }
}

// cells are again what they were, except where a later write is on its way: that one goes back to there, should it fail
function takeBack(before, ...later) {
  for (const [clip, kind, value] of before) {
    const next = later.flat().find((one) => one[0] === clip && one[1] === kind);
    if (next) next[2] = value; else put([[clip, kind, value]]);
  }
}

export function label(clips, value, how) {
  if (!state.column) { toast("First make a column for your labels.", true); emit("needs-column"); return Promise.resolve(false); }
  return step(how, clips.map((clip) => [clip, "label", value]));
}

export const targets = () => (state.selection.size ? [...state.selection] : state.current >= 0 ? [state.current] : []);

// a key or a click on a label: the selection gets it, else the current clip, and the queue goes on
export async function give(value) {
  const wanted = targets();
  if (!wanted.length) return toast("Choose a clip first: click it on the map or use the arrow keys.");
  const clips = wanted.length > 1 ? wanted.filter((clip) => !state.held[clip]) : wanted;
  const left = wanted.length - clips.length;
  if (left) toast(`${left} of the ${wanted.length} clips ${left === 1 ? "is" : "are"} in the held-out set, which is labelled clip by clip: left as ${left === 1 ? "it is" : "they are"}.`, !clips.length);
  if (!clips.length || held()) return;
  const done = label(clips, value, wanted.length > 1 ? "lassoed" : "picked");
  if (!state.selection.size && queued()) advance();
  await done;
}

export const queued = () => state.queue.clips.length > 0 && state.queue.clips[state.queue.at] === state.current;

// the queue's last clip stays until the next ones are known: a key that was meant for them must not change it
let [filling, turns] = [0, 0];
function held() {
  if (filling && queued()) toast("One moment: the next clips are being looked for.");
  return filling > 0 && queued();
}

export async function accept() {
  const guess = suggestion(state.current);
  if (!guess || held()) return;
  const done = label([state.current], guess, "accepted");
  advance();
  await done;
}

export async function reject() {
  const guess = suggestion(state.current);
  if (!guess || held()) return;
  const clip = state.current;
  const names = [...new Set([...(state.rejected[clip] ?? []), guess])];
  const done = step("rejected", [[clip, "rejected", JSON.stringify(names)]]);
  advance();
  await done;
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
    const done = await inTurn(() => post(`/api/${which}`));
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
  const mine = ++turns;
  await saving;  // else what was just labelled could come again
  if (mine !== turns) return;  // another queue was asked for meanwhile
  const found = await get("/api/suggestions", { column: state.column || "label", order, label, count: order === "useful" ? 10 : 30 });
  await unlessTyping();
  if (mine !== turns) return;
  if (found.waiting) return toast(`One moment: ${found.waiting}.`);
  state.queue = { order, label, clips: found.clips, at: 0 };
  emit("queue");
  if (found.clips.length) setCurrent(found.clips[0], { centre: true });
  else toast(order === "held" ? "The held-out set is labelled." : "Nothing is left to look at here.");
}

// who writes a label or a note has one clip in mind: it stays until they are done
async function unlessTyping() {
  const field = document.activeElement;
  if (!field?.matches("textarea, #new-label")) return;
  filling = 0;  // it is not the server that is waited for now
  await new Promise((done) => field.addEventListener("blur", done, { once: true }));
}

async function refill(order, wanted) {
  if (held()) return;
  const mine = filling = turns + 1;
  try {
    await fillQueue(order, wanted);
  } catch (error) {
    toast(error.message, true);
  } finally {
    if (filling === mine) filling = 0;
  }
}

export function advance(by = 1) {
  const { clips, at, order, label: wanted } = state.queue;
  if (!clips.length) return;
  const next = at + by;
  if (next >= clips.length) { refill(order, wanted); return; }
  state.queue.at = Math.max(0, next);
  setCurrent(clips[state.queue.at], { centre: true });
  emit("queue");
}

let drawing = false;
export async function drawHeldOut(size) {
  if (drawing) return;
  drawing = true;
  const { column } = state;
  try {
    await inTurn(() => post("/api/held-out", { column, count: size }));
    if (column !== state.column) return;  // another one was chosen meanwhile
    await readLabels();
    await fillQueue("held");
    await readGuesses();
  } catch (error) {
    toast(error.message, true);
  } finally {
    drawing = false;
  }
}

export const beginColumn = (column, from) => inTurn(() => post("/api/begin", { column, from }));
