// Files to take away, and the list of keys.

import { download } from "./api.js";
import { byId, fill, h, toast } from "./dom.js";
import { settled } from "./labels.js";
import { on, state } from "./state.js";

const FILES = [
  ["csv", "List of recordings (CSV)", "read by every mfcl command, and by a spreadsheet"],
  ["classifier", "Classifier (zip)", "a folder for mfcl classify, fitted on your labels and their spread"],
  ["audacity", "Audacity label tracks (zip)", "a text file for each recording"],
  ["raven", "Raven selection tables (zip)", "a table for each recording"],
];
// key, what it does, and whether it changes something, which a site without a server cannot
const KEYS = [
  ["Arrow keys", "next clip in that direction, and play it"], ["Space", "play or stop"],
  ["1 to 9", "give a label; one that is a digit has its own key", true], ["0 or Delete", "take the label off (Delete alone where a label is 0)", true],
  ["Enter", "accept the guess", true], ["X", "reject the guess", true], ["S, B", "skip, back", true], ["Ctrl+Z, Ctrl+Y", "undo, redo", true],
  ["L, or Shift and drag", "lasso"], ["Shift+arrows", "select, in the list"], ["Ctrl+A", "select all that is shown"], ["Esc", "clear the selection"],
  ["M", "map or list"], ["F", "filter"], ["N", "another label", true], ["?", "this list"],
];

export function makeDialogs() {
  byId("export").addEventListener("click", exporting);
  byId("help").addEventListener("click", helping);
  on("help", helping);
  byId("dialog").addEventListener("click", (event) => { if (event.target === byId("dialog")) byId("dialog").close(); });
}

function open(title, ...content) {
  const dialog = byId("dialog");
  if (dialog.open) dialog.close();
  fill(dialog, h("form", { method: "dialog", class: "head" }, h("h2", { id: "dialog-title", text: title }), h("button", { text: "Close", "aria-label": "Close" })), ...content);
  dialog.showModal();
}

function exporting() {
  if (!state.column) return toast("First make a column and label some clips.");
  const spread = h("input", { type: "checkbox", id: "spread" });
  const { column } = state;
  open(`Export ${column}`,
    h("label", { class: "field" }, spread, " with guesses for the clips without a label"),
    h("ul", { class: "files" }, FILES.map(([kind, name, told]) => h("li", {},
      h("button", { "data-kind": kind, onclick: () => save(kind, column, spread.checked), text: name }), h("small", { text: told })))),
    h("p", { class: "soft", text: `Every step is in ${state.about.labels}` }));
}

async function save(kind, column, spread) {
  try {
    await settled();  // a label that was just given belongs in the file
    if (spread && kind !== "classifier" && state.about.sound) toast("Silent clips are looked for first: they get no guess.");
    const answer = await download(kind, { column, spread: spread ? 1 : undefined });
    const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition"))?.[1] ?? "labels";
    const link = h("a", { href: URL.createObjectURL(await answer.blob()), download: name });
    link.click();
    const note = answer.headers.get("x-mfcl-note");
    if (note) toast(note);
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  } catch (error) {
    toast(error.message, true);
  }
}

function helping() {
  const keys = state.about.writable === false ? KEYS.filter(([, , writes]) => !writes) : KEYS;
  open("Keys", h("dl", { class: "keylist" }, keys.flatMap(([key, text]) => [h("dt", {}, h("kbd", { text: key })), h("dd", { text })])));
}
