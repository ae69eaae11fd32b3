// The same clips as a table, of which only the rows in sight exist.

import { byId, fill, h, natural, percent } from "./dom.js";
import { count, guessOf, labelOf, nameOf, on, setCurrent, setSelection, state, valueOf } from "./state.js";

const ROW = 30;
const COLUMNS = [
  { name: "clip", of: nameOf },
  { name: "label", of: labelOf },
  { name: "guess", of: (clip) => guessOf(clip)?.label ?? "" },
  { name: "sure", of: (clip) => { const guess = guessOf(clip); return guess ? percent(guess.confidence) : ""; }, by: (clip) => guessOf(clip)?.confidence ?? -1 },
  { name: "colour", title: () => byId("colour").selectedOptions[0]?.text, of: valueOf },
];

const body = h("div", { class: "rows" });
const scroller = h("div", { class: "scroller", role: "grid", tabindex: 0, "aria-label": "Clips", "aria-multiselectable": "true" });
let [order, sorted, falling, anchor] = [[], "", false, -1];

export function makeList() {
  const head = h("div", { class: "row head", role: "row" }, COLUMNS.map((column) =>
    h("span", { role: "columnheader" }, h("button", { text: column.name, onclick: () => sort(column.name) }))));
  scroller.append(head, body);
  byId("list").append(scroller);
  scroller.addEventListener("scroll", draw);
  new ResizeObserver(draw).observe(scroller);
  on("looks", refresh);
  on("selection", draw);
  on("current", (clip, { play }) => { if (!byId("list").hidden && play !== undefined) reveal(clip); draw(); });
}

function sort(name) {
  falling = sorted === name ? !falling : false;
  sorted = name;
  refresh();
}

export function refresh() {
  if (byId("list").hidden) return;
  order = [];
  for (let clip = 0; clip < count(); clip++) if (state.visible[clip]) order.push(clip);
  const column = COLUMNS.find((one) => one.name === sorted);
  if (column) {
    const sign = falling ? -1 : 1;
    const keys = new Map(order.map((clip) => [clip, (column.by ?? column.of)(clip)]));
    order.sort((a, b) => sign * (column.by ? keys.get(a) - keys.get(b) : natural(keys.get(a), keys.get(b))) || a - b);
  }
  scroller.querySelectorAll("[role=columnheader]").forEach((one, at) => {
    one.setAttribute("aria-sort", COLUMNS[at].name !== sorted ? "none" : falling ? "descending" : "ascending");
    one.firstChild.textContent = COLUMNS[at].title?.() ?? COLUMNS[at].name;
  });
  scroller.classList.toggle("plain", /^(labels|guesses|confidence)\u0000/.test(state.colour));  // these have columns
  scroller.setAttribute("aria-rowcount", order.length + 1);
  body.style.height = `${order.length * ROW}px`;
  draw();
}

function draw() {
  if (byId("list").hidden) return;
  const first = Math.max(0, Math.floor(scroller.scrollTop / ROW) - 5);
  const last = Math.min(order.length, first + Math.ceil(scroller.clientHeight / ROW) + 12);
  fill(body, ...order.slice(first, last).map((clip, at) => {
    const row = h("div", {
      class: `row${clip === state.current ? " current" : ""}${state.selection.has(clip) ? " chosen" : ""}`, role: "row",
      "aria-rowindex": first + at + 2, "aria-selected": clip === state.current || state.selection.has(clip), "data-clip": clip,
      onclick: (event) => choose(clip, event),
      // a long name is cut at its beginning (its cell goes from right to left, the name does not): its end tells windows apart
    }, COLUMNS.map((column) => h("span", { role: "gridcell", title: column.of(clip) }, h("bdi", { text: column.of(clip) }))));
    row.style.top = `${(first + at) * ROW}px`;
    return row;
  }));
}

function choose(clip, event) {
  anchor = -1;
  if (event.ctrlKey || event.metaKey) {
    const some = new Set(state.selection);
    if (!some.delete(clip)) some.add(clip);
    setSelection(some);
  } else if (event.shiftKey && state.current >= 0) {
    const from = order.indexOf(state.current);
    if (from >= 0) setSelection(between(from, order.indexOf(clip)));
    return;
  }
  setCurrent(clip);
}

function reveal(clip) {
  const at = order.indexOf(clip);
  if (at < 0) return;
  const top = at * ROW;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  if (top + 2 * ROW > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + 2 * ROW - scroller.clientHeight;
}

const between = (one, other) => order.slice(Math.min(one, other), Math.max(one, other) + 1);

export const all = () => [...state.visible.keys()].filter((clip) => state.visible[clip]);

export function stepList(key, extend) {
  const by = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -1, ArrowRight: 1 }[key];
  const at = order.indexOf(state.current);
  const next = order[Math.max(0, Math.min(order.length - 1, at < 0 ? 0 : at + by))];
  if (next === undefined) return;
  if (!extend) anchor = -1;
  else {
    if (!order.includes(anchor)) anchor = at < 0 ? next : state.current;
    setSelection(between(order.indexOf(anchor), order.indexOf(next)));
  }
  setCurrent(next);
}
