// The clip that is chosen: its labels, a note, and its nearest clips in each part with their distances.

import { get } from "./api.js";
import { fill, h, keepFocus, percent, toast } from "./dom.js";
import { note } from "./labelling.js";
import { blind, guessOf, labelOf, nameOf, on, setCurrent, setSelection, state } from "./state.js";
import { voiceLine } from "./voice.js";

const SHOWN = 12;
const panel = h("section", { class: "panel", id: "panel-clip", role: "tabpanel", "aria-label": "Clip" });
let asked = -1;

export function makeClipPanel() {
  for (const name of ["current", "labels", "guesses", "shown"]) on(name, draw);
  draw();
  return panel;
}

function facts(clip) {
  const rows = [];
  if (state.column && labelOf(clip)) rows.push([state.column, labelOf(clip)]);
  const guess = guessOf(clip);
  if (guess && !labelOf(clip)) rows.push([`${state.column}, guessed`, `${guess.label}, ${percent(guess.confidence)} sure`]);
  for (const [key, column] of Object.entries(state.columns)) {
    const [kind, name] = key.split("\u0000");
    if (kind === "column" && column.codes[clip] >= 0) rows.push([name === state.column ? `${name}, as it came` : name, column.values[column.codes[clip]]]);
  }
  return rows;
}

function draw() {
  if (panel.hidden) return;
  const clip = state.current;
  if (panel.contains(document.activeElement) && document.activeElement.matches("textarea") && asked === clip) return;
  if (clip < 0) {
    asked = -1;
    fill(panel, h("p", { class: "soft", text: "Click a clip on the map, or move with the arrow keys: it plays, and stands here with its nearest clips." }));
    return;
  }
  keepFocus(panel, () => drawClip(clip));
}

function drawClip(clip) {
  const text = h("textarea", { rows: 2, maxlength: 2000, placeholder: "Note", "aria-label": "Note on this clip" });
  text.value = drafts.get(clip) ?? state.notes[clip] ?? "";
  text.addEventListener("change", () => keep(clip, text.value.trim()));
  fill(panel,
    h("h2", { class: "name", text: nameOf(clip) }),
    h("dl", {}, facts(clip).flatMap(([name, value]) => [h("dt", { text: name }), h("dd", { text: value })])),
    state.about.gallery ? h("div", { class: "whose" }) : null,
    drafts.has(clip) ? h("p", { class: "bad", text: "This note is not saved: change it to try again." }) : null,
    state.about.writable === false ? (state.notes[clip] ? h("p", { text: state.notes[clip] }) : null) : text,
    ...state.about.parts.map((part) => h("div", { class: "near", "data-part": part }, h("h3", { text: state.about.parts.length > 1 ? `Nearest in ${part}` : "Nearest" }), h("ol", {}))));
  asked = clip;
  for (const part of state.about.parts) findNear(clip, part);
  if (state.about.gallery) findVoice(clip);
}

const drafts = new Map();  // notes that could not be saved: what was typed stays in the field

async function keep(clip, text) {
  drafts.delete(clip);
  if (await note(clip, text)) return;
  drafts.set(clip, text);
  draw();
}

// asked anew each time: another program may have enrolled a voice
async function findVoice(clip) {
  const box = panel.querySelector(".whose");
  try {
    const found = await get(`/api/clips/${clip}/voice`);
    if (found.waiting) setTimeout(() => { if (box.isConnected) findVoice(clip); }, 1000);
    fill(box, found.waiting ? h("p", { class: "soft", text: `Voice: ${found.waiting}.` }) : voiceLine(found.voice));
  } catch (error) {
    fill(box, h("p", { class: "bad", text: error.message }));
  }
}

const kept = new Map();

async function findNear(clip, part) {
  const key = `${clip} ${part}`;
  try {
    if (!kept.has(key)) {
      if (kept.size > 500) kept.clear();
      kept.set(key, await get(`/api/clips/${clip}/near`, { part, count: SHOWN }));
    }
  } catch (error) {
    if (asked === clip) toast(error.message, true);
    return;
  }
  if (asked !== clip) return;
  const box = panel.querySelector(`.near[data-part="${CSS.escape(part)}"]`);
  const found = kept.get(key);
  if (!box) return;
  fill(box.querySelector("ol"), ...nearRows(found, blind(clip)));
  if (!box.querySelector("h3 button")) {
    box.querySelector("h3").append(" ", h("button", { class: "small", text: "Select these", onclick: () => setSelection(found.clips) }));
  }
}

// `unsaid`: without labels, which would tell that of a clip that is labelled blind
export function nearRows(found, unsaid = false) {
  const most = Math.max(...found.distances, 1e-6);
  return found.clips.map((clip, at) => {
    const label = unsaid ? "" : labelOf(clip) || guessOf(clip)?.label || "";
    const line = h("i");
    line.style.width = `${Math.round((100 * found.distances[at]) / most)}%`;
    return h("li", {}, h("button", { class: "to", "data-clip": clip, onclick: () => setCurrent(clip, { centre: true }) },
      h("span", { text: nameOf(clip), title: nameOf(clip) }), h("em", { text: label, title: label }), h("small", { text: found.distances[at].toFixed(3) })), line);
  });
}
