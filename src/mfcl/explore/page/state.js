// What the page knows, and who is told when it changes.

import { HIDDEN, MOST, NONE, OTHERS, SHADE, SHADES } from "./palette.js";
import { HELD, LABELLED, SELECTED } from "./points.js";
import { natural } from "./dom.js";

export const state = {
  about: null, version: 0, ids: [], maps: {}, columns: {}, status: null,
  colour: "", only: "all", text: "", values: new Set(),
  current: -1, selection: new Set(), visible: new Uint8Array(), looks: new Uint8Array(), legend: [],
  column: "", classes: [], given: new Set(), codes: new Int32Array(), held: new Uint8Array(), notes: {}, rejected: {},
  guesses: null, estimate: null, queue: { order: "", clips: [], at: 0 }, mark: null,
};

const listeners = {};

export function on(name, listener) {
  (listeners[name] ??= []).push(listener);
}

export function emit(name, ...given) {
  for (const listener of listeners[name] ?? []) listener(...given);
}

export const count = () => state.about.count;
export const nameOf = (clip) => state.ids[clip] ?? `clip ${clip}`;
export const labelOf = (clip) => (state.codes[clip] >= 0 ? state.classes[state.codes[clip]] : "");

// clips of the held-out set are labelled blind: nothing tells their guess until they have a label; a site labels nothing
export const blind = (clip) => state.about.writable !== false && state.held[clip] === 1 && state.codes[clip] < 0;
const told = (codes) => codes.map((code, clip) => (blind(clip) ? -1 : code));

export function guessOf(clip) {
  const found = state.guesses;
  if (!found || found.codes[clip] < 0 || blind(clip)) return null;
  return { label: found.values[found.codes[clip]], confidence: found.confidence[clip] };
}

export function setCurrent(clip, { play = true, centre = false } = {}) {
  state.current = clip;
  emit("current", clip, { play, centre });
}

export function setSelection(clips) {
  state.selection = new Set(clips);
  restyle();
  emit("selection");
}

// a column's values in the order of their looks: the frequent ones first where there are too many to tell apart
function ordered(values, codes) {
  const counts = new Map(values.map((value) => [value, 0]));
  for (const code of codes) if (code >= 0) counts.set(values[code], (counts.get(values[code]) ?? 0) + 1);
  const names = values.filter((value) => value !== "");
  if (names.length > MOST) names.sort((a, b) => counts.get(b) - counts.get(a) || natural(a, b));
  else names.sort(natural);
  return { names, counts };
}

function byValue(values, codes, names = null) {
  const sorted = ordered(values, codes);
  const order = names ?? sorted.names;
  const looks = new Map(order.map((value, at) => [value, at < MOST ? at : OTHERS]));
  const table = values.map((value) => (value === "" ? NONE : looks.get(value) ?? OTHERS));
  const legend = order.slice(0, MOST).map((value, at) => ({ look: at, key: value, name: value, count: sorted.counts.get(value) ?? 0 }));
  const rest = order.slice(MOST);
  const left = rest.reduce((sum, value) => sum + (sorted.counts.get(value) ?? 0), 0);
  if (rest.length) legend.push({ look: OTHERS, key: "\u0000others", name: `${rest.length} others`, count: left });
  const styled = new Uint8Array(codes.length);
  let none = 0;
  for (let one = 0; one < codes.length; one++) {
    styled[one] = codes[one] < 0 ? NONE : table[codes[one]];
    none += styled[one] === NONE;
  }
  // "none" may be a value as any other: what has none at all is told from it
  if (none) legend.push({ look: NONE, key: "\u0000none", name: sorted.counts.has("none") ? "no value" : "none", count: none });
  return { styled, legend, value: (clip) => (codes[clip] < 0 ? "" : values[codes[clip]]) };
}

function byShare(shares, known) {
  const styled = Uint8Array.from(shares, (share, at) => (known[at] < 0 ? NONE : SHADE + Math.min(SHADES - 1, Math.floor(share * SHADES))));
  const legend = [0, 4, 8, SHADES - 1].map((at) => ({ look: SHADE + at, name: `${Math.round((100 * (at + 0.5)) / SHADES)} % sure`, plain: true }));
  return { styled, legend, value: (clip) => (known[clip] < 0 ? "" : `${Math.round(100 * shares[clip])} % sure`) };
}

export function colouring() {
  const [kind, name] = state.colour.split("\u0000");
  if (kind === "labels") return byValue(state.classes, state.codes, state.classes);
  if (kind === "guesses" && state.guesses) return byValue(state.guesses.values, told(state.guesses.codes), state.classes);
  if (kind === "confidence" && state.guesses) return byShare(state.guesses.confidence, told(state.guesses.codes));
  const column = state.columns[`${kind}\u0000${name}`];
  if (column) return byValue(column.values, column.codes);
  return { styled: new Uint8Array(count()).fill(NONE), legend: [], value: () => "" };
}

let shown = null;
export const valueOf = (clip) => shown?.value(clip) ?? "";

const asked = () => state.text.trim().toLowerCase();
const byColumn = () => /^([^=]+)=(.*)$/.exec(asked()) ?? [];
export const filteredColumn = () => byColumn()[1]?.trim();

function matches() {
  const text = asked();
  const [, , value] = byColumn();
  const name = filteredColumn();
  if (name !== undefined) {
    const key = Object.keys(state.columns).find((one) => one.split("\u0000")[1].toLowerCase() === name);
    const column = state.column.toLowerCase() === name ? { values: state.classes, codes: state.codes } : state.columns[key];
    if (column) {
      const wanted = column.values.map((one) => one.toLowerCase() === value.trim());
      return (clip) => column.codes[clip] >= 0 && wanted[column.codes[clip]];
    }
  }
  return text ? (clip) => nameOf(clip).toLowerCase().includes(text) || labelOf(clip).toLowerCase().includes(text) : () => true;
}

export function restyle() {
  const total = count();
  shown = colouring();
  state.legend = shown.legend;
  const keys = new Set(shown.legend.map((one) => one.key));
  for (const value of state.values) if (!keys.has(value)) state.values.delete(value);
  const allowed = new Set(shown.legend.filter((one) => state.values.has(one.key)).map((one) => one.look));
  const fits = matches();
  const only = {
    all: () => true, unlabelled: (clip) => state.codes[clip] < 0, labelled: (clip) => state.codes[clip] >= 0,
    selected: (clip) => state.selection.has(clip), held: (clip) => state.held[clip] === 1, noted: (clip) => clip in state.notes,
  }[state.only];
  if (state.looks.length !== 2 * total) [state.looks, state.visible] = [new Uint8Array(2 * total), new Uint8Array(total)];
  let visible = 0;
  for (let clip = 0; clip < total; clip++) {
    const kept = only(clip) && fits(clip) && (!allowed.size || allowed.has(shown.styled[clip]));
    state.visible[clip] = kept ? 1 : 0;
    visible += kept;
    state.looks[2 * clip] = kept ? shown.styled[clip] : HIDDEN;
    state.looks[2 * clip + 1] = (state.codes[clip] >= 0 ? LABELLED : 0) | (state.held[clip] ? HELD : 0);
  }
  for (const clip of state.selection) state.looks[2 * clip + 1] |= SELECTED;
  state.shown = visible;
  emit("looks");
}
