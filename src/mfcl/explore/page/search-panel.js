// Search by sound: a file that is dropped anywhere on the page, or a few seconds from the microphone.

import { send } from "./api.js";
import { fill, h, percent, toast } from "./dom.js";
import { nearRows } from "./clip-panel.js";
import { emit, setSelection, state } from "./state.js";
import { voiceLine } from "./voice.js";

const MOST = 32 * 2 ** 20;
const RECORDED = 10;  // seconds at most
const panel = h("section", { class: "panel", id: "panel-search", role: "tabpanel", "aria-label": "Search" });
const found = h("div", { class: "found" });
let recording = null;

export function makeSearchPanel() {
  const file = h("input", { type: "file", id: "file", accept: "audio/*,.flac,.wav,.mp3,.ogg,.opus,.aif,.aiff", class: "unseen" });
  file.addEventListener("change", () => { if (file.files[0]) search(file.files[0], file.files[0].name); file.value = ""; });
  const microphone = h("button", { id: "microphone", text: "Record", onclick: () => (recording ? finish() : record(microphone)) });
  const usable = state.about.model;
  panel.append(
    h("div", { class: "drop" }, h("p", { text: "Drop a sound anywhere on the page to find its place and the clips nearest to it." }),
      h("div", { class: "row" }, h("label", { class: "button", for: "file", text: "Choose a file" }), file,
        navigator.mediaDevices ? microphone : null)),
    usable ? "" : h("p", { class: "soft", text: "The model of these embeddings is not known: start with a run, or give --model." }), found);
  window.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
  window.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const dropped = event.dataTransfer.files[0];
    if (dropped) search(dropped, dropped.name);
  });
  return panel;
}

let [searches, heard] = [0, Promise.resolve()];

// the server hears one file at a time: the last one that was dropped waits for the one before, and is what is shown
async function search(blob, name) {
  emit("tab", "search");
  if (blob.size > MOST) return toast(`“${name}” is larger than ${MOST >> 20} MiB; drop a shorter sound.`, true);
  const mine = ++searches;
  fill(found, h("p", { class: "soft", role: "status" }, h("span", { class: "busy" }), `Listening to “${name}” …`));
  const { column } = state;
  const done = heard.then(() => (mine === searches ? send("/api/search", { column: column || undefined }, blob) : null));
  heard = done.catch(() => {});
  try {
    const answer = await done;
    if (mine === searches) show(name, answer, column);
  } catch (error) {
    if (mine === searches) fill(found, h("p", { class: "bad", role: "alert", text: error.message }));
  }
}

function show(name, answer, column) {
  state.mark = answer;
  emit("mark");
  fill(found,
    h("h2", { class: "name", text: name }),
    answer.guess ? h("p", { class: "guess" }, h("b", { text: answer.guess.label }), h("small", { text: ` guessed as ${column}, ${percent(answer.guess.confidence)} sure` })) : "",
    answer.voice ? voiceLine(answer.voice) : "",
    h("p", { class: "soft", text: "The cross on the map is between its nearest clips." }),
    ...Object.entries(answer.near).map(([part, near]) => h("div", { class: "near" },
      h("h3", {}, state.about.parts.length > 1 ? `Nearest in ${part} ` : "Nearest ", h("button", { class: "small", text: "Select these", onclick: () => setSelection(near.clips) })),
      h("ol", {}, nearRows(near)))),
    h("button", { class: "small", text: "Take the cross off", onclick: () => { state.mark = null; emit("mark"); fill(found); } }));
}

// the microphone's samples, as WAV: what browsers record by themselves is in formats that not every decoder reads
async function record(button) {
  let [stream, context] = [null, null];
  button.disabled = true;  // until it can stop what it begins
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
    context = new AudioContext();
    await context.audioWorklet.addModule("page/recorder.js");
  } catch (error) {
    stream?.getTracks().forEach((track) => track.stop());
    context?.close();
    return toast(`No microphone: ${error.message}`, true);
  } finally {
    button.disabled = false;
  }
  const node = new AudioWorkletNode(context, "recorder");
  const blocks = [];
  node.port.onmessage = ({ data }) => blocks.push(data);
  context.createMediaStreamSource(stream).connect(node);
  button.textContent = "Stop and search";
  const timer = setTimeout(() => finish(), RECORDED * 1000);
  recording = () => {
    clearTimeout(timer);
    recording = null;
    button.textContent = "Record";
    stream.getTracks().forEach((track) => track.stop());
    const rate = context.sampleRate;
    context.close();
    if (blocks.length) search(wav(blocks, rate), "microphone");
  };
}

const finish = () => recording?.();

function wav(blocks, rate) {
  const size = blocks.reduce((sum, block) => sum + block.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * size));
  const text = (at, value) => [...value].forEach((letter, one) => view.setUint8(at + one, letter.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + 2 * size, true); text(8, "WAVEfmt "); view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); view.setUint16(22, 1, true); view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true); view.setUint16(34, 16, true); text(36, "data"); view.setUint32(40, 2 * size, true);
  let at = 44;
  for (const block of blocks) for (const value of block) { view.setInt16(at, Math.max(-1, Math.min(1, value)) * 32767, true); at += 2; }
  return new Blob([view.buffer], { type: "audio/wav" });
}
