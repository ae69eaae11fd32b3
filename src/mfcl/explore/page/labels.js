// The labels as the page has them and as the server keeps them: read, written one step after the other, taken back if
// they could not be kept; guesses follow.

import { arrays, get, post } from "./api.js";
import { natural, toast } from "./dom.js";
import { count, emit, labelOf, restyle, state } from "./state.js";

let [writes, pending, saving] = [0, 0, Promise.resolve()];
addEventListener("beforeunload", (event) => {
  if (document.activeElement?.matches("textarea")) document.activeElement.blur();  // a note is sent when its field is left
  if (pending) event.preventDefault();  // the browser asks, then
});
export const settled = () => saving;

// one write after the other, as they were given: an undo must not overtake the label that it takes back
export function inTurn(write) {
  writes++;
  pending++;
  const done = saving.then(write).finally(() => { pending--; });
  saving = done.catch(() => {});
  return done;
}

// what the server has once every write has reached it: what is on its way must not vanish from the page meanwhile
export async function labelsOf(column) {
  for (;;) {
    while (pending) await saving;
    const before = writes;
    const found = await arrays("/api/labels", { column });
    if (before === writes) return found;
  }
}

export async function readLabels(anew = false) {
  if (!state.column) {
    [state.classes, state.codes, state.held] = [[], new Int32Array(count()).fill(-1), new Uint8Array(count())];
    state.notes = (await get("/api/about")).notes_of;
    restyle();
    return emit("labels");
  }
  const { column } = state;
  const found = await labelsOf(column);
  if (column === state.column) take(found, anew);
}

// `anew`: in the order of a page that is loaded anew, as a label that comes back on the list has its old place there
export function take(found, anew = false) {
  // labels keep their keys: in the order in which they were first given, also when the page is loaded anew and where no
  // clip has them any more; one whose giving was undone, or that was dropped, is gone, one that was only added is not
  const names = Object.keys(found.since).sort((a, b) => found.since[a] - found.since[b] || natural(a, b));
  const left = state.classes.filter((name) => Object.hasOwn(found.since, name) || !state.given.has(name));
  state.classes = [...new Set(anew ? [...names, ...left] : [...left, ...names])];
  state.given = new Set(names);
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
export function forget(names) {
  for (const name of names) {
    const at = state.classes.indexOf(name);
    if (state.codes.includes(at)) continue;
    state.classes.splice(at, 1);
    state.codes = state.codes.map((code) => (code > at ? code - 1 : code));
  }
}

const befores = [];  // what the cells of each write that is on its way were, the oldest write first

// change cells: [clip, kind, value]; the page shows them at once
export function step(how, cells) {
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
    if (wanted.column === state.column) for (const [, kind, value] of wanted.cells) if (kind === "label" && value) state.given.add(value);
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
