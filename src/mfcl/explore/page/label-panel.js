// The panel where labels are given: the column, its labels with their keys, the clips to look at, and the estimate.

import { post } from "./api.js";
import { fill, h, percent, toast } from "./dom.js";
import { keysOf, offKey } from "./label-keys.js";
import { accept, advance, beginColumn, chooseColumn, drawHeldOut, drop, fillQueue, give, leftOut, queued, reject, suggestion, targets } from "./labelling.js";
import { classNumber } from "./labels.js";
import { lookOf, palette, swatch } from "./palette.js";
import { count, emit, labelOf, nameOf, on, restyle, setSelection, state } from "./state.js";

const ORDERS = [
  ["useful", "What to label next", "the clips that tell most about the others"],
  ["sure", "Accept guesses", "the surest guesses of each label, one by one"],
  ["unsure", "Unsure guesses", "clips between two labels"],
];
const HELD_OUT = 20;
const WIDE = 12;  // letters of a label for which half the panel is wide enough
const panel = h("section", { class: "panel", id: "panel-label", role: "tabpanel", "aria-label": "Label" });
const column = h("div", { class: "block" });
const labels = h("div", { class: "block" });
const next = h("div", { class: "block queue", tabindex: -1 });
const estimate = h("div", { class: "block estimate" });

// one field for all drawings of the panel, so that none takes it away from under a person's hands
const added = h("input", { id: "new-label", maxlength: 100, autocomplete: "off", "aria-label": "New label; Enter gives it" });
const adding = h("form", { class: "new row" }, added, h("button", { text: "Add" }));
adding.addEventListener("submit", (event) => {
  event.preventDefault();
  const name = added.value.trim();
  if (!name) return;
  added.value = "";
  added.blur();
  if (targets().length) give(name);
  else { classNumber(name); restyle(); draw(); }
});

export function makeLabelPanel() {
  panel.append(column, labels, next, estimate);
  for (const name of ["column", "labels", "guesses", "selection", "current", "queue", "theme", "saved", "shown"]) on(name, draw);
  on("needs-column", () => { emit("tab", "label"); panel.querySelector("input")?.focus(); });
  draw();
  return panel;
}

let waiting = false;
function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (panel.hidden) return;
    drawColumn();
    drawLabels();
    drawQueue();
    drawEstimate();
  });
}

let [making, form] = [false, null];

function drawColumn() {
  const own = state.about.own.map((one) => one.name);
  if (!own.includes(state.column) && state.column) own.push(state.column);
  form ??= columnForm();
  if (making || !own.length || form.querySelector("input").value) {
    if (!form.isConnected) fill(column, form);
    form.lastChild.lastChild.hidden = !own.length;  // there is nothing else to go back to
    return;
  }
  const shown = JSON.stringify([own, state.column]);
  const there = column.querySelector("#column");
  if (there && there.dataset.shown === shown) { there.value = state.column; return; }  // it may be open
  const select = h("select", { id: "column", "data-shown": shown, onchange: () => (select.value === "\u0000" ? make(true) : chooseColumn(select.value).catch((error) => { toast(error.message, true); select.value = state.column; })) },
    state.column ? null : h("option", { value: "", text: "Choose a column", disabled: true, selected: true }),
    own.map((name) => h("option", { value: name, text: name, selected: name === state.column })), h("option", { value: "\u0000", text: "New column…" }));
  fill(column, h("label", { class: "field" }, "Column ", select));
}

function make(wanted) {
  making = wanted;
  if (!making) form.reset();
  drawColumn();
  if (making) form.querySelector("input").focus();
}

// one form for all drawings of the panel too: what is typed stays until it is made or given up
function columnForm() {
  const name = h("input", { id: "new-column", placeholder: "Its name, for example: species", maxlength: 100, autocomplete: "off", "aria-label": "Name of the new column" });
  const from = h("select", { "aria-label": "Begin with" }, h("option", { value: "", text: "no labels" }),
    state.about.columns.map((one) => h("option", { value: one.name, text: `the labels of ${one.name}` })));
  const made = h("form", { class: "new" }, h("b", { text: "A column for your labels" }), name,
    state.about.columns.length ? h("label", { class: "field" }, "Begin with ", from) : null,
    h("div", { class: "row" }, h("button", { class: "strong", text: "Make" }), h("button", { type: "button", text: "Cancel", onclick: () => make(false) })));
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = name.value.trim();
    if (!wanted) return name.focus();
    name.blur();
    try {
      if (from.value) await beginColumn(wanted, from.value);
      else await post("/api/check", { column: wanted });
      await chooseColumn(wanted);
      make(false);
      emit("columns");
    } catch (error) { toast(error.message, true); name.focus(); }
  });
  return made;
}

function drawLabels() {
  if (!state.column) return fill(labels);
  if (document.activeElement === added && added.value) return;
  const counts = new Map();
  for (const code of state.codes) if (code >= 0) counts.set(code, (counts.get(code) ?? 0) + 1);
  const colours = palette();
  const clips = targets();
  const given = clips.length === 1 ? labelOf(clips[0]) : "";
  const told = clips.length > 1 ? `${clips.length} selected clips` : clips.length ? nameOf(clips[0]) : "no clip yet";
  const keys = keysOf(state.classes);
  const buttons = state.classes.map((name, at) => h("button", {
    class: "label", title: name, "aria-pressed": String(name === given), "aria-keyshortcuts": keys[at] || null, onclick: () => give(name),
  }, h("kbd", { text: keys[at] }), swatch(lookOf(at), colours), h("span", { text: name }), h("small", { text: counts.get(at) ?? 0 })));
  const unused = state.classes.filter((name, at) => !counts.has(at));
  added.placeholder = state.classes.length ? "Another label" : "First label";
  fill(labels,
    h("p", { class: "target" }, "Label ", h("b", { text: told }), clips.length > 1 ? h("button", { class: "small", text: "Clear", onclick: () => setSelection([]) }) : null),
    h("div", { class: state.classes.some((name) => name.length > WIDE) ? "labels long" : "labels" }, buttons), adding,
    unused.length ? h("p", { class: "row soft" }, "No clip has: ", unused.map((name) => h("button", { class: "small", "aria-label": `Take ${name} off the list`, title: `Take “${name}” off the list; the labels after it get other keys`, onclick: () => drop(name) }, name, h("span", { "aria-hidden": "true", text: " ×" })))) : null,
    given || clips.length > 1 ? h("button", { class: "small", "aria-keyshortcuts": offKey(), text: `Take the label off (${offKey()})`, onclick: () => give("") }) : null);
}

function drawQueue() {
  if (!state.column) return fill(next);
  const { clips, at, order } = state.queue;
  const kinds = ORDERS.map(([name, text, told]) => h("button", {
    class: order === name ? "on" : null, title: told, disabled: name !== "useful" && !state.guesses,
    onclick: () => {
      next.focus({ preventScroll: true });  // Enter accepts now, and Tab goes on to what can be done
      fillQueue(name).catch((error) => toast(error.message, true));
    }, text }));
  const choice = [h("h2", { text: "One by one" }), h("div", { class: "row" }, kinds)];
  if (!clips.length) return fill(next, choice);
  const here = queued();
  const guess = here ? suggestion(state.current) : "";
  const sure = guess ? percent(state.guesses.confidence[state.current]) : "";
  const others = state.selection.size - (state.selection.has(state.current) ? 1 : 0);
  const group = others ? h("p", {}, h("small", { text: `A label goes to the ${state.selection.size === 1 ? "selected clip" : `${state.selection.size} selected clips`} now, not to this one alone: Esc clears the selection.` })) : null;
  fill(next, choice, h("div", { class: "card" },
    h("p", {}, h("small", { text: `${at + 1} of ${clips.length}${order === "held" ? ", held-out set: say what you hear" : ""}` })),
    h("p", { class: "guess" }, guess ? [h("b", { text: guess }), h("small", { text: ` guessed, ${sure} sure` })] : h("small", { text: here && labelOf(state.current) ? `labelled ${labelOf(state.current)}` : "Give a label by its key, or type a new one." })),
    group,
    h("div", { class: "row" },
      h("button", { class: "strong", disabled: !guess, onclick: accept, "aria-keyshortcuts": "Enter" }, "Accept ", h("kbd", { text: "Enter" })),
      h("button", { disabled: !guess, onclick: reject, "aria-keyshortcuts": "X" }, "Reject ", h("kbd", { text: "X" })),
      h("button", { onclick: () => advance(), "aria-keyshortcuts": "S" }, "Skip ", h("kbd", { text: "S" })),
      h("button", { onclick: () => advance(-1), "aria-keyshortcuts": "B" }, "Back ", h("kbd", { text: "B" }))),
    leftOut() ? h("p", {}, h("small", { text: leftOut().trim() })) : null));
}

function drawEstimate() {
  if (!state.column) return fill(estimate);
  const found = state.estimate;
  const given = state.codes.reduce((sum, code, clip) => sum + (code >= 0 && !state.held[clip] ? 1 : 0), 0);
  const parts = [h("h2", { text: "How good are the guesses?" })];
  if (found?.accuracy !== null && found?.accuracy !== undefined) {
    parts.push(
      h("p", { class: "big" }, h("b", { text: percent(found.accuracy) }), h("span", { text: ` right, likely ${percent(found.low)} to ${percent(found.high)}` })),
      bar(found),
      h("p", { class: "soft", text: `${found.right} of ${found.labelled} clips that were drawn at random and held out, from ${labelsOf(given)}.${found.sharing ? ` ${found.sharing} of them overlap${found.sharing === 1 ? "s" : ""} a labelled clip in time, so this is likely too high.` : ""}${found.more ? ` About ${found.more} more held-out labels would make the range 5 points to either side.` : ""}` }));
  } else {
    parts.push(h("p", { class: "soft", text: state.guesses ? "Chosen clips are no fair sample. Label a few that are drawn at random; they are held out from the guesses." : `${labelsOf(given)} so far. Guesses begin when two different ones are given.` }));
  }
  if (state.guesses?.note) parts.push(h("p", { class: "note", id: "way-note", text: `${state.guesses.note[0].toUpperCase()}${state.guesses.note.slice(1)}.` }));
  const left = found ? found.drawn - found.labelled : 0;
  parts.push(h("button", { id: "held-out", disabled: count() < 4, onclick: () => (left ? fillQueue("held") : drawHeldOut(HELD_OUT)).catch((error) => toast(error.message, true)),
    text: left ? `Label the ${left} that are left` : found?.drawn ? `Draw ${HELD_OUT} more` : `Draw ${HELD_OUT} clips` }));
  fill(estimate, ...parts);
}

const labelsOf = (number) => `${number} ${number === 1 ? "label" : "labels"}`;

function bar({ accuracy, low, high }) {
  const made = h("div", { class: "bar", "aria-hidden": "true" }, h("i"), h("b"));
  made.firstChild.style.left = `${100 * low}%`;
  made.firstChild.style.width = `${100 * (high - low)}%`;
  made.lastChild.style.left = `${100 * accuracy}%`;
  return made;
}
