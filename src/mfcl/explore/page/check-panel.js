// What to check: labels that are likely wrong, near-duplicates, outliers, each with the reason.

import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { label } from "./labelling.js";
import { nameOf, on, setCurrent, setSelection, state } from "./state.js";

const KINDS = [["doubtful", "Doubtful labels"], ["duplicates", "Near-duplicates"], ["outliers", "Outliers"]];
const panel = h("section", { class: "panel", id: "panel-check", role: "tabpanel", "aria-label": "Check" });
const form = h("div", { class: "block" });
const rows = h("ol", { class: "findings" });
const told = h("p", { class: "soft", role: "status" });
let [kind, part, column, asking] = ["duplicates", "", "", 0];

export function makeCheckPanel() {
  panel.append(form, told, rows);
  part = state.about.parts[0];
  on("shown", (name) => { if (name === "check") refresh(); });
  on("column", () => { if (!panel.hidden) refresh(); });
  return panel;
}

function columns() {
  return [...new Set([...state.about.own.map((one) => one.name), ...state.about.columns.map((one) => one.name)])];
}

function refresh() {
  const names = columns();
  if (!names.includes(column)) column = state.column && names.includes(state.column) ? state.column : names[0] ?? "";
  const pick = (values, now, set, text) => {
    const select = h("select", { "aria-label": text, onchange: () => { set(select.value); refresh(); } },
      values.map((value) => h("option", { value, text: value, selected: value === now })));
    return h("label", { class: "field" }, `${text} `, select);
  };
  fill(form,
    h("div", { class: "row", role: "group", "aria-label": "What to check" }, KINDS.map(([name, text]) =>
      h("button", { class: name === kind ? "on" : null, "aria-pressed": String(name === kind), text, disabled: name === "doubtful" && !names.length, onclick: () => { kind = name; refresh(); } }))),
    kind === "doubtful" && names.length ? pick(names, column, (value) => { column = value; }, "Labels of") : "",
    state.about.parts.length > 1 ? pick(state.about.parts, part, (value) => { part = value; }, "By") : "");
  find(++asking);
}

async function find(mine) {
  told.textContent = "Looking…";
  fill(rows);
  try {
    for (let wait = 300; mine === asking && !panel.hidden; wait = Math.min(3000, wait * 1.5)) {
      const found = await get("/api/findings", { kind, part, column: kind === "doubtful" ? column : undefined });
      if (mine !== asking) return;
      if (found.found) return show(found);
      await new Promise((done) => setTimeout(done, wait));
    }
  } catch (error) {
    if (mine === asking) { told.textContent = error.message; }
  }
}

function show({ found, most, least }) {
  const [one, many] = { doubtful: ["label", "labels"], duplicates: ["pair", "pairs"], outliers: ["clip", "clips"] }[kind];
  const what = { doubtful: "that both the nearest clips and a classifier doubt", duplicates: "of clips that are nearly the same", outliers: "far from all others" }[kind];
  const number = found.length === 0 ? `No ${one} ${what}.`
    : found.length >= most ? `The ${found.length} clearest ${many} ${what}; there may be more.`
      : `${found.length} ${found.length === 1 ? one : many} ${what}${found.length > 1 ? ", the clearest first" : ""}.`;
  const left = { doubtful: ` Labels of fewer than ${least} clips are not checked.`, duplicates: state.about.sound ? " Silent clips are not listed." : "" }[kind];
  told.textContent = number + (left ?? "");
  fill(rows, ...found.map(row));
}

function row(one) {
  const to = (clip) => h("button", { class: "to", "data-clip": clip, onclick: () => { setSelection(one.other >= 0 ? [one.clip, one.other] : []); setCurrent(clip, { centre: true }); } }, h("span", { text: nameOf(clip) }));
  const made = h("li", {}, to(one.clip), one.other >= 0 ? to(one.other) : null,
    one.better ? h("p", {}, h("s", { text: one.given }), " → ", h("b", { text: one.better }),
      state.column === column && state.about.own.some((own) => own.name === column)
        ? h("button", { class: "small", text: "Correct", onclick: async () => { if (await label([one.clip], one.better, "picked")) made.remove(); } }) : null) : null,
    h("p", { class: "soft", text: `${one.reason[0].toUpperCase()}${one.reason.slice(1)}.` }));
  return made;
}
