// What is drawn over the points of a map: names of values, rings around clips, the cross of a found place, the lasso.

import { count, state } from "./state.js";

const [NEAR, TOGETHER] = [0.3, 0.4];  // a value is named on the map if so many of its clips are so near their middle

const LIFT = 15;  // pixels by which a name stands above its clips' middle, where a lone clip lies

export function drawMarks(brush, view, { places, names, hovered, current, mark, trail }) {
  const style = getComputedStyle(document.documentElement);
  const [ink, card] = ["--ink", "--card"].map((name) => style.getPropertyValue(name));
  const spot = (clip) => onScreen(view, places[2 * clip], places[2 * clip + 1]);
  brush.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
  brush.clearRect(0, 0, view.width, view.height);
  if (places.length) drawNames(brush, view, names, ink, card);
  if (hovered >= 0 && places.length) ring(brush, spot(hovered), 8, ink, card, 1.5);
  if (current >= 0 && places.length) ring(brush, spot(current), 11, ink, card, 2.5);
  if (mark) cross(brush, onScreen(view, ...mark), ink, card);
  if (trail?.length > 1) drawLasso(brush, trail, ink);
}

// the place of a sound among its nearest clips, on a map as it is now
export function between({ clips, distances }, places) {
  let [x, y, whole] = [0, 0, 0];
  clips.slice(0, 5).forEach((clip, rank) => {
    const weight = 1 / (distances[rank] + 1e-3) ** 2;
    [x, y, whole] = [x + weight * places[2 * clip], y + weight * places[2 * clip + 1], whole + weight];
  });
  return [x / whole, y / whole];
}

const onScreen = (view, x, y) => [view.x + x * view.scale, view.y - y * view.scale];

function drawLasso(brush, trail, ink) {
  brush.beginPath();
  trail.forEach(([x, y], at) => (at ? brush.lineTo(x, y) : brush.moveTo(x, y)));
  brush.closePath();
  brush.globalAlpha = 0.12;
  brush.fillStyle = ink;
  brush.fill();
  brush.globalAlpha = 1;
  brush.setLineDash([5, 4]);
  brush.strokeStyle = ink;
  brush.stroke();
  brush.setLineDash([]);
}

function ring(brush, [x, y], radius, ink, card, width) {
  for (const [colour, own] of [[card, width + 2.5], [ink, width]]) {
    brush.beginPath();
    brush.arc(x, y, radius, 0, 7);
    brush.strokeStyle = colour;
    brush.lineWidth = own;
    brush.stroke();
  }
}

function cross(brush, [x, y], ink, card) {
  for (const [colour, width] of [[card, 6], [ink, 3]]) {
    brush.beginPath();
    brush.moveTo(x - 10, y); brush.lineTo(x + 10, y); brush.moveTo(x, y - 10); brush.lineTo(x, y + 10);
    [brush.strokeStyle, brush.lineWidth] = [colour, width];
    brush.stroke();
  }
}

// a value's name stands in the middle of its clips, where there are not too many names
export function namesOf(places) {
  if (state.colour === "column\u0000split") return [];  // parts are drawn at random: where a name stood would mean nothing
  const wanted = new Map(state.legend.filter((one) => !one.plain && one.look < 24).map((one) => [one.look, { text: one.name, x: [], y: [] }]));
  const step = Math.max(1, Math.floor(count() / 20000));
  if (wanted.size) {
    for (let clip = 0; clip < count(); clip += step) {
      const group = wanted.get(state.looks[2 * clip]);
      if (group) { group.x.push(places[2 * clip]); group.y.push(places[2 * clip + 1]); }
    }
  }
  const middle = (values) => values.sort((a, b) => a - b)[values.length >> 1];
  return [...wanted.values()].filter((one) => one.x.length).map((one) => {
    const [x, y] = [middle([...one.x]), middle([...one.y])];
    const near = one.x.filter((value, at) => Math.hypot(value - x, one.y[at] - y) < NEAR).length;
    return { text: one.text, x, y, together: near / one.x.length };
  }).filter((one) => one.together > TOGETHER);
}

function drawNames(brush, view, names, ink, card) {
  if (names.length > 24) return;
  brush.font = "600 13px system-ui, sans-serif";
  [brush.textAlign, brush.textBaseline, brush.lineJoin] = ["center", "middle", "round"];
  const taken = [];
  for (const one of names) {
    const text = one.text.length > 18 ? `${one.text.slice(0, 17)}…` : one.text;
    const half = brush.measureText(text).width / 2 + 3;
    const x = Math.max(half, Math.min(view.width - half, view.x + one.x * view.scale));
    const middle = view.y - one.y * view.scale;
    const y = Math.max(9, middle - LIFT);
    if (middle < 0 || middle > view.height || taken.some(([a, b, c]) => Math.abs(a - x) < half + c && Math.abs(b - y) < 15)) continue;
    taken.push([x, y, half]);
    [brush.strokeStyle, brush.lineWidth, brush.fillStyle] = [card, 4, ink];
    brush.globalAlpha = 0.85;
    brush.strokeText(text, x, y);
    brush.globalAlpha = 1;
    brush.fillText(text, x, y);
  }
}
