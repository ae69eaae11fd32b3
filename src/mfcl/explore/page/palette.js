// Colours that colour-blind people tell apart (Okabe and Ito), each with a shape of its own, and shades for shares.
// The first 8 values differ in colour and shape, the next 16 in their pairing; all further ones are "others".

export const COLOURS = 8;
export const SHAPES = 8;
export const MOST = 24;
export const SHADES = 12;
export const [OTHERS, NONE, HIDDEN] = [200, 201, 255];
export const SHADE = 100;

const NAMES = ["blue", "vermilion", "green", "orange", "purple", "sky", "yellow", "ink"];

export function lookOf(index) {
  return index < MOST ? index : OTHERS;
}

export const shapeOf = (look) => (look < MOST ? (look + Math.floor(look / COLOURS)) % SHAPES : 0);

function parsed(text) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  brush.fillStyle = text;
  brush.fillRect(0, 0, 1, 1);
  return [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3).map((value) => value / 255);
}

const mixed = (a, b, share) => a.map((value, at) => value + (b[at] - value) * share);

// 8 colours, 12 shades, then: others, none, ink, paper
export function palette() {
  const style = getComputedStyle(document.documentElement);
  const named = (name) => parsed(style.getPropertyValue(`--${name}`).trim());
  const [low, middle, high] = [named("shade-low"), named("shade-middle"), named("shade-high")];
  const shades = Array.from({ length: SHADES }, (_, at) => {
    const share = at / (SHADES - 1);
    return share < 0.5 ? mixed(low, middle, share * 2) : mixed(middle, high, share * 2 - 1);
  });
  return [...NAMES.map((name) => named(`dot-${name}`)), ...shades, named("dot-others"), named("dot-none"), named("ink"), named("card")];
}

export function colourOf(look, colours) {
  if (look < MOST) return colours[look % COLOURS];
  if (look >= SHADE && look < SHADE + SHADES) return colours[COLOURS + look - SHADE];
  return colours[COLOURS + SHADES + (look === OTHERS ? 0 : 1)];
}

export const css = (colour) => `rgb(${colour.map((value) => Math.round(value * 255)).join(" ")})`;

const PATHS = [
  "M0-4.6A4.6 4.6 0 1 1 0 4.6A4.6 4.6 0 1 1 0-4.6Z", "M-4-4H4V4H-4Z", "M0-5.2L5 4H-5Z", "M0-5.6L5 0L0 5.6L-5 0Z",
  "M-5-1.7H-1.7V-5H1.7V-1.7H5V1.7H1.7V5H-1.7V1.7H-5Z", "M0 5.2L5-4H-5Z", "M-5.2-2.2H5.2V2.2H-5.2Z",
  "M0-5A5 5 0 1 1 0 5A5 5 0 1 1 0-5ZM0-2.2A2.2 2.2 0 1 0 0 2.2A2.2 2.2 0 1 0 0-2.2Z",
];

export function swatch(look, colours) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  made.setAttribute("viewBox", "-6 -6 12 12");
  made.setAttribute("class", "swatch");
  made.setAttribute("aria-hidden", "true");
  path.setAttribute("d", PATHS[shapeOf(look)]);
  path.setAttribute("fill", css(colourOf(look, colours)));
  path.setAttribute("fill-rule", "evenodd");
  made.append(path);
  return made;
}
