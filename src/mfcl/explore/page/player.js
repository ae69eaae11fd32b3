// The clip that plays: its waveform and log-mel spectrogram, with a line where the sound is.

import { pictureOf, soundOf } from "./api.js";
import { byId, h, toast } from "./dom.js";
import { nameOf, on, state } from "./state.js";

const audio = new Audio();
const canvas = h("canvas", { role: "img", "aria-label": "Waveform above log-mel spectrogram of the clip; click to play from there" });
const button = h("button", { class: "play", "aria-label": "Play", title: "Play or stop (Space)", disabled: true, text: "▶" });
const title = h("b", { class: "clip" });
const time = h("span", { class: "time" });
const hint = h("p", { class: "hint", role: "status", text: "Click a clip, or press an arrow key: it plays at once." });
const box = h("div", { class: "sound" }, canvas, hint);
let [picture, wanted, drawn] = [null, -1, null];

export function makePlayer() {
  if (!state.about.sound) hint.textContent = "There is no sound here.";
  byId("player").append(button, h("div", { class: "told" }, title, time), box);
  audio.preload = "auto";
  audio.id = "audio";
  document.body.append(audio);
  button.addEventListener("click", toggle);
  box.addEventListener("click", (event) => {
    const { left, width } = box.getBoundingClientRect();
    if (audio.duration) { audio.currentTime = (audio.duration * (event.clientX - left)) / width; start(); }
  });
  for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, told);
  audio.addEventListener("error", () => { if (audio.src) title.classList.add("silent"); });
  on("current", show);
  on("theme", () => { drawn = null; draw(); });
  new ResizeObserver(() => { drawn = null; draw(); }).observe(box);
}

function told() {
  const playing = !audio.paused && !audio.ended;
  button.textContent = playing ? "■" : "▶";
  button.setAttribute("aria-label", playing ? "Stop" : "Play");
  if (playing) requestAnimationFrame(follow);
}

function follow() {
  draw();
  if (!audio.paused && !audio.ended) requestAnimationFrame(follow);
}

export function toggle() {
  if (!audio.src) return;
  if (audio.paused || audio.ended) { audio.currentTime = 0; start(); } else audio.pause();
}

function start() {
  audio.play().catch((error) => { if (error.name === "NotAllowedError") toast("Press Space to play: the browser wants a key first."); });
}

async function show(clip, { play }) {
  wanted = clip;
  canvas.classList.add("before");  // the picture is the last clip's until this one's is there
  title.textContent = clip < 0 ? "" : nameOf(clip);
  title.classList.remove("silent");
  if (clip < 0 || !state.about.sound) { button.disabled = true; return; }
  hint.textContent = box.title = "";
  button.disabled = false;
  audio.src = soundOf(clip);
  if (play) start();
  try {
    const found = await pictureOf(clip);
    if (wanted !== clip) return;
    [picture, drawn] = [found, null];
    canvas.classList.remove("before");
    draw();
  } catch (error) {
    if (wanted !== clip) return;
    [picture, drawn] = [null, null];
    draw();
    hint.textContent = box.title = error.message;  // where its picture would be
  }
}

function shades() {
  const style = getComputedStyle(document.documentElement);
  const brush = h("canvas", { width: 256, height: 1 }).getContext("2d");
  const ramp = brush.createLinearGradient(0, 0, 255, 0);
  ["card", "shade-low", "shade-middle", "shade-high"].forEach((name, at) => ramp.addColorStop([0, 0.35, 0.72, 1][at], style.getPropertyValue(`--${name}`).trim()));
  brush.fillStyle = ramp;
  brush.fillRect(0, 0, 256, 1);
  return brush.getImageData(0, 0, 256, 1).data;
}

// the still part of the picture, drawn once a clip
function still(width, height, ratio) {
  const made = h("canvas", { width: Math.round(width * ratio), height: Math.round(height * ratio) });
  const brush = made.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const [bands, frames] = picture.shades.shape;
  const columns = picture.outline.shape[1];
  const table = shades();
  const image = new ImageData(frames, bands);
  for (let band = 0; band < bands; band++) {
    for (let frame = 0; frame < frames; frame++) {
      const at = 4 * ((bands - 1 - band) * frames + frame);
      const shade = 4 * picture.shades[band * frames + frame];
      image.data.set([table[shade], table[shade + 1], table[shade + 2], 255], at);
    }
  }
  const small = h("canvas", { width: frames, height: bands });
  small.getContext("2d").putImageData(image, 0, 0);
  const wave = Math.round(made.height * 0.38);
  brush.imageSmoothingEnabled = true;
  brush.drawImage(small, 0, wave, made.width, made.height - wave);
  brush.fillStyle = style.getPropertyValue("--soft");
  const most = Math.max(1, ...picture.outline.map(Math.abs));  // 127, of a silent clip 0
  for (let column = 0; column < columns; column++) {
    const [low, high] = [picture.outline[column] / most, picture.outline[columns + column] / most];
    const top = wave / 2 - (high * wave) / 2;
    brush.fillRect((column * made.width) / columns, top, Math.max(1, made.width / columns), Math.max(1, ((high - low) * wave) / 2));
  }
  return made;
}

function draw() {
  const { width, height } = box.getBoundingClientRect();
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  if (!width || !height) return;
  if (!drawn || canvas.width !== Math.round(width * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    drawn = picture ? still(width, height, ratio) : null;
  }
  const brush = canvas.getContext("2d");
  brush.clearRect(0, 0, canvas.width, canvas.height);
  if (!drawn) { time.textContent = ""; return; }
  brush.drawImage(drawn, 0, 0);
  const seconds = picture.seconds;
  time.textContent = `${audio.currentTime.toFixed(2)} of ${seconds.toFixed(2)} s`;
  brush.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--dot-vermilion");
  brush.fillRect((canvas.width * audio.currentTime) / seconds, 0, 2 * ratio, canvas.height);
}
