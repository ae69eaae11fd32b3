// What a person does with labels: chooses a column, gives a label, goes through a queue of clips, draws a held-out set.

import { get, post } from "./api.js";
import { toast } from "./dom.js";
import { forget, inTurn, labelsOf, readGuesses, readLabels, settled, step, take } from "./labels.js";
import { emit, labelOf, restyle, setCurrent, setSelection, state } from "./state.js";

let choices = 0;
export const chosen = () => choices > 0;

// the column before stays, labels and all, until the next one's labels are known: a key never meets half of each
export async function chooseColumn(name) {
  const mine = ++choices;
  const found = await labelsOf(name);
  if (mine !== choices) return;  // another one was chosen meanwhile
  [state.column, state.classes, state.given, state.guesses, state.estimate] = [name, [], new Set(), null, null];
  state.queue = { order: "", clips: [], at: 0 };
  turns++;
  take(found);
  emit("column");
  await readGuesses();
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

// a label that no clip has keeps its key until a person says that it was a mistake
export async function drop(name) {
  const { column } = state;
  try {
    if (state.given.has(name)) await inTurn(() => post("/api/steps", { column, how: "dropped", cells: [[0, "dropped", name]] }));
    else { forget([name]); restyle(); emit("labels"); }  // it was only added to the list
    await readLabels();
  } catch (error) {
    toast(error.message, true);
  }
}

export const note = (clip, text) => step("noted", [[clip, "note", text]]);

// a step in words: the value of its cells is a label, a note, a list of rejected labels, or the mark of a held-out clip
function said({ how, value }) {
  if (how === "drawn") return "held-out set drawn";
  if (how === "imported") return "labels that the column began with";
  if (how === "dropped") return `“${value}” taken off the list`;
  if (!value) return how === "noted" ? "note taken off" : how === "rejected" ? "rejection taken off" : "label taken off";
  return `${how} “${how === "rejected" ? JSON.parse(value).at(-1) : value}”`;
}

export async function turn(which) {
  try {
    const done = await inTurn(() => post(`/api/${which}`));
    if (!done.step) return toast(which === "undo" ? "Nothing to undo." : "Nothing to redo.");
    state.about.own = done.own;
    const { clips, column, how } = done.step;
    const where = [how === "dropped" ? "" : `${clips} ${clips === 1 ? "clip" : "clips"}`, column === state.column ? "" : column].filter(Boolean).join(", ");
    toast(`${which === "undo" ? "Undone" : "Done again"}: ${said(done.step)}${where ? ` (${where})` : ""}`);
    await readLabels(how === "dropped");
    await readGuesses();
  } catch (error) {
    toast(error.message, true);
  }
}

export async function fillQueue(order, label = "") {
  const mine = ++turns;
  await settled();  // else what was just labelled could come again
  if (mine !== turns) return;  // another queue was asked for meanwhile
  const found = await get("/api/suggestions", { column: state.column || "label", order, label, count: order === "useful" ? 10 : 30 });
  await unlessTyping();
  if (mine !== turns) return;
  if (found.waiting) return toast(`One moment: ${found.waiting}.`);
  state.queue = { order, label, clips: found.clips, at: 0, silent: found.silent };
  if (found.clips.length) single();
  emit("queue");
  if (found.clips.length) setCurrent(found.clips[0], { centre: true });
  else toast(order === "held" ? "The held-out set is labelled." : `Nothing is left to look at here.${leftOut()}`);
}

// silent clips come neither one by one nor in a held-out set: they are found as those are looked for
export function leftOut() {
  const { silent } = state.queue;
  return silent ? ` ${silent} ${silent === 1 ? "clip was" : "clips were"} left out so far: silent (below -90 dB), so there is nothing to say of ${silent === 1 ? "it" : "them"}.` : "";
}

// what goes one by one is for the one clip that plays: a group that was chosen before would get its labels instead
function single() {
  if (state.selection.size) setSelection([]);
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
  single();
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
