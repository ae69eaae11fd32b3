// One map: pan, zoom, lasso, hover, click, and the arrow keys to the next clip in a direction.

import { h, percent } from "./dom.js";
import { palette } from "./palette.js";
import { makePoints, pointSize } from "./points.js";
import { count, emit, guessOf, labelOf, nameOf, on, setCurrent, setSelection, state, valueOf } from "./state.js";

const REACH = 14;  // pixels from which a clip is hit
const MARGIN = 18;
const EDGE = 8;  // a clip nearer to the edge is brought to the middle; less than the margin of the whole map
const CELLS = 96;
const [NEAR, TOGETHER] = [0.3, 0.4];  // a value is named on the map if so many of its clips are so near their middle
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export function makeMap(part) {
  const gl = h("canvas", { class: "points" });
  const over = h("canvas", {
    class: "over", tabindex: 0, role: "application",
    "aria-label": `Map of ${part}: arrow keys go to the next clip and play it, plus and minus zoom, L switches to the lasso`,
  });
  const method = h("span", { class: "method" });
  const tip = h("div", { class: "tip", hidden: true });
  const lassoKey = h("button", { class: "lasso", "aria-pressed": "false", title: "Lasso (L, or hold Shift)", text: "Lasso" });
  const whole = h("button", { title: "Whole map (0)", text: "Whole" });
  const box = h("div", { class: "plane" }, gl, over, tip);
  const figure = h("figure", { class: "map", "data-part": part },
    h("figcaption", {}, h("b", { text: part === "all" ? "map" : part }), " ", method, h("span", { class: "keys" }, lassoKey, whole)), box);
  const points = makePoints(gl);
  const view = { scale: 1, x: 0, y: 0, width: 1, height: 1, ratio: 1 };
  let [places, grid, dirty, hovered, trail, lasso, fitted] = [new Float32Array(), null, false, -1, null, false, true];
  const fingers = new Map();

  function resize() {
    const { width, height } = box.getBoundingClientRect();
    if (!width || !height) return;
    const [oldWidth, oldHeight] = [view.width, view.height];
    Object.assign(view, { width, height, ratio: Math.min(window.devicePixelRatio || 1, 2) });
    for (const canvas of [gl, over]) {
      canvas.width = Math.round(width * view.ratio);
      canvas.height = Math.round(height * view.ratio);
    }
    if (fitted) fit();
    else { view.x += (width - oldWidth) / 2; view.y += (height - oldHeight) / 2; }
    draw();  // at once: a new size has emptied the canvas
  }

  function fit() {
    view.scale = Math.max(10, Math.min(view.width, view.height) / 2 - MARGIN);
    [view.x, view.y, fitted] = [view.width / 2, view.height / 2, true];
    redraw();
  }

  function redraw() {
    if (!dirty) requestAnimationFrame(draw);
    dirty = true;
  }

  const across = (clip) => view.x + places[2 * clip] * view.scale;
  const down = (clip) => view.y - places[2 * clip + 1] * view.scale;

  function draw() {
    dirty = false;
    const zoom = view.scale / Math.max(10, Math.min(view.width, view.height) / 2 - MARGIN);
    points.draw({ ...view, dot: Math.min(16, pointSize(count()) * Math.sqrt(Math.min(view.width, view.height) / 560) * zoom ** 0.35) });
    const brush = over.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const [ink, card] = ["--ink", "--card"].map((name) => style.getPropertyValue(name));
    brush.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    brush.clearRect(0, 0, view.width, view.height);
    drawNames(brush, ink, card);
    if (hovered >= 0 && places.length) ring(brush, hovered, 8, ink, card, 1.5);
    if (state.current >= 0 && places.length) ring(brush, state.current, 11, ink, card, 2.5);
    if (state.mark?.places[part]) cross(brush, state.mark.places[part], ink, card);
    if (trail?.length > 1) {
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
  }

  function ring(brush, clip, radius, ink, card, width) {
    for (const [colour, own] of [[card, width + 2.5], [ink, width]]) {
      brush.beginPath();
      brush.arc(across(clip), down(clip), radius, 0, 7);
      brush.strokeStyle = colour;
      brush.lineWidth = own;
      brush.stroke();
    }
  }

  function cross(brush, [x, y], ink, card) {
    const [cx, cy] = [view.x + x * view.scale, view.y - y * view.scale];
    for (const [colour, width] of [[card, 6], [ink, 3]]) {
      brush.beginPath();
      brush.moveTo(cx - 10, cy); brush.lineTo(cx + 10, cy); brush.moveTo(cx, cy - 10); brush.lineTo(cx, cy + 10);
      [brush.strokeStyle, brush.lineWidth] = [colour, width];
      brush.stroke();
    }
  }

  // a value's name stands in the middle of its clips, where there are not too many names
  let names = [];
  function placeNames() {
    const wanted = new Map(state.legend.filter((one) => !one.plain && one.look < 24).map((one) => [one.look, { text: one.name, x: [], y: [] }]));
    const step = Math.max(1, Math.floor(count() / 20000));
    if (wanted.size) {
      for (let clip = 0; clip < count(); clip += step) {
        const group = wanted.get(state.looks[2 * clip]);
        if (group) { group.x.push(places[2 * clip]); group.y.push(places[2 * clip + 1]); }
      }
    }
    const middle = (values) => values.sort((a, b) => a - b)[values.length >> 1];
    names = [...wanted.values()].filter((one) => one.x.length).map((one) => {
      const [x, y] = [middle([...one.x]), middle([...one.y])];
      const near = one.x.filter((value, at) => Math.hypot(value - x, one.y[at] - y) < NEAR).length;
      return { text: one.text, x, y, together: near / one.x.length };
    }).filter((one) => one.together > TOGETHER);
  }

  function drawNames(brush, ink, card) {
    if (names.length > 24 || !places.length) return;
    brush.font = "600 13px system-ui, sans-serif";
    [brush.textAlign, brush.textBaseline, brush.lineJoin] = ["center", "middle", "round"];
    const taken = [];
    for (const one of names) {
      const text = one.text.length > 18 ? `${one.text.slice(0, 17)}…` : one.text;
      const half = brush.measureText(text).width / 2 + 3;
      const x = Math.max(half, Math.min(view.width - half, view.x + one.x * view.scale));
      const y = view.y - one.y * view.scale;
      if (y < 0 || y > view.height || taken.some(([a, b, c]) => Math.abs(a - x) < half + c && Math.abs(b - y) < 15)) continue;
      taken.push([x, y, half]);
      [brush.strokeStyle, brush.lineWidth, brush.fillStyle] = [card, 4, ink];
      brush.globalAlpha = 0.85;
      brush.strokeText(text, x, y);
      brush.globalAlpha = 1;
      brush.fillText(text, x, y);
    }
  }

  function index() {
    grid = new Map();
    for (let clip = 0; clip < count(); clip++) {
      const key = cell(places[2 * clip]) * CELLS + cell(places[2 * clip + 1]);
      const held = grid.get(key);
      if (held) held.push(clip); else grid.set(key, [clip]);
    }
  }
  const cell = (value) => Math.max(0, Math.min(CELLS - 1, Math.floor(((value + 1) / 2) * CELLS)));

  function hit(px, py) {
    if (!grid) return -1;
    const [x, y, reach] = [(px - view.x) / view.scale, (view.y - py) / view.scale, REACH / view.scale];
    let [best, least] = [-1, reach * reach];
    for (let i = cell(x - reach); i <= cell(x + reach); i++) {
      for (let j = cell(y - reach); j <= cell(y + reach); j++) {
        for (const clip of grid.get(i * CELLS + j) ?? []) {
          if (!state.visible[clip]) continue;
          const far = (places[2 * clip] - x) ** 2 + (places[2 * clip + 1] - y) ** 2;
          if (far <= least) [best, least] = [clip, far];
        }
      }
    }
    return best;
  }

  function hover(clip, px, py) {
    if (clip !== hovered) { hovered = clip; emit("hover", clip); }
    tip.hidden = clip < 0;
    if (clip < 0) return;
    const guess = guessOf(clip);
    const told = [labelOf(clip) && `label ${labelOf(clip)}`, !labelOf(clip) && guess && `guess ${guess.label}, ${percent(guess.confidence)}`, valueOf(clip)];
    tip.replaceChildren(h("b", { text: nameOf(clip) }), ...[...new Set(told.filter(Boolean))].map((text) => h("span", { text })));
    const left = Math.max(4, Math.min(px + 14, view.width - tip.offsetWidth - 4));
    tip.style.left = `${left}px`;
    tip.style.top = `${py + 18 + tip.offsetHeight > view.height ? py - tip.offsetHeight - 12 : py + 18}px`;
  }

  function inside(px, py) {
    let within = false;
    for (let i = 0, j = trail.length - 1; i < trail.length; j = i++) {
      const [[xi, yi], [xj, yj]] = [trail[i], trail[j]];
      if (yi > py !== yj > py && px < ((xj - xi) * (py - yi)) / (yj - yi) + xi) within = !within;
    }
    return within;
  }

  function close(add) {
    const found = add ? new Set(state.selection) : new Set();
    for (let clip = 0; clip < count(); clip++) if (state.visible[clip] && inside(across(clip), down(clip))) found.add(clip);
    setSelection(found);
    emit("lassoed");
  }

  function zoom(factor, px, py) {
    const wanted = Math.max(20, Math.min(view.scale * factor, 4e5));
    const ratio = wanted / view.scale;
    Object.assign(view, { scale: wanted, x: px - (px - view.x) * ratio, y: py - (py - view.y) * ratio });
    fitted = false;
    redraw();
  }

  const at = (event) => { const { left, top } = over.getBoundingClientRect(); return [event.clientX - left, event.clientY - top]; };
  let start = null;
  over.addEventListener("pointerdown", (event) => {
    over.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    start = { at: at(event), moved: false, add: event.ctrlKey || event.metaKey };
    if (fingers.size === 1 && (lasso || event.shiftKey)) trail = [at(event)];
    else trail = null;
  });
  over.addEventListener("pointermove", (event) => {
    const [px, py] = at(event);
    const before = fingers.get(event.pointerId);
    if (!before) { hover(hit(px, py), px, py); return redraw(); }
    if (Math.hypot(px - start.at[0], py - start.at[1]) > 4) start.moved = true;
    if (fingers.size === 2) pinch(event.pointerId, [px, py]);
    else if (trail) trail.push([px, py]);
    else if (start.moved) { view.x += px - before[0]; view.y += py - before[1]; fitted = false; }
    fingers.set(event.pointerId, [px, py]);
    redraw();
  });
  function pinch(id, now) {
    const [other] = [...fingers].filter(([key]) => key !== id).map(([, value]) => value);
    const before = fingers.get(id);
    const gap = ([x, y]) => Math.max(8, Math.hypot(x - other[0], y - other[1]));
    zoom(gap(now) / gap(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  }
  function lift(event) {
    if (!fingers.delete(event.pointerId)) return;
    if (trail && start.moved && trail.length > 2 && event.type === "pointerup") close(start.add);
    else if (!start.moved && event.type === "pointerup") {
      const clip = hit(...at(event));
      if (clip >= 0) {
        if (start.add) setSelection(toggled(clip));
        setCurrent(clip);
      } else if (!start.add && state.selection.size) setSelection([]);
    }
    trail = null;
    redraw();
  }
  const toggled = (clip) => { const some = new Set(state.selection); if (!some.delete(clip)) some.add(clip); return some; };
  over.addEventListener("pointerup", lift);
  over.addEventListener("pointercancel", lift);
  over.addEventListener("pointerleave", () => { hover(-1); redraw(); });
  over.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), ...at(event)); }, { passive: false });
  over.addEventListener("dblclick", fit);
  over.addEventListener("keydown", (event) => {
    if (event.key === "+" || event.key === "=") zoom(1.4, view.width / 2, view.height / 2);
    else if (event.key === "-") zoom(1 / 1.4, view.width / 2, view.height / 2);
    else if (event.key === "0") fit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  lassoKey.addEventListener("click", () => emit("lasso"));
  whole.addEventListener("click", fit);
  on("lasso", () => {
    lasso = !lasso;
    lassoKey.setAttribute("aria-pressed", String(lasso));
    box.classList.toggle("cutting", lasso);
  });

  // the nearest visible clip within 45 degrees of a direction
  function step(key) {
    const [dx, dy] = ARROWS[key];
    if (!places.length) return;
    const from = state.current >= 0 ? state.current : hit(view.width / 2, view.height / 2);
    if (from < 0) { const first = state.visible.indexOf(1); if (first >= 0) setCurrent(first); return; }
    let [best, least] = [-1, Infinity];
    for (let clip = 0; clip < count(); clip++) {
      if (!state.visible[clip] || clip === from) continue;
      const [x, y] = [places[2 * clip] - places[2 * from], places[2 * clip + 1] - places[2 * from + 1]];
      const [along, side] = [x * dx + y * dy, Math.abs(x * dy) + Math.abs(y * dx)];
      if (along <= 0 || side > along) continue;
      const far = along + 2 * side;
      if (far < least) [best, least] = [clip, far];
    }
    if (best >= 0) setCurrent(best);
  }

  on("current", (clip, { centre }) => {
    const [x, y] = clip >= 0 && places.length ? [across(clip), down(clip)] : [0, 0];
    if (clip >= 0 && places.length && (centre || x < 0 || y < 0 || x > view.width || y > view.height) && !(x > EDGE && y > EDGE && x < view.width - EDGE && y < view.height - EDGE)) {
      view.x += view.width / 2 - x;
      view.y += view.height / 2 - y;
      fitted = false;
    }
    redraw();
  });
  on("hover", (clip) => { if (clip !== hovered) { hovered = clip; redraw(); } });
  on("looks", () => { points.setLooks(state.looks); placeNames(); redraw(); });
  on("mark", redraw);
  on("theme", () => { points.setColours(palette()); redraw(); });
  points.setColours(palette());
  new ResizeObserver(resize).observe(box);

  function settle(next) {
    places = next;
    points.setPlaces(places);
    index();
    placeNames();
    redraw();
  }

  return {
    figure, step, part,
    places: () => places,
    setPlaces(next, name) {
      method.textContent = name;
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches || places.length !== next.length || next.length > 60000;
      if (still) return settle(next);
      const [from, began] = [places, performance.now()];
      const move = (now) => {
        const share = Math.min(1, (now - began) / 700);
        const eased = share * share * (3 - 2 * share);
        places = from.map((value, one) => value + (next[one] - value) * eased);
        points.setPlaces(places);
        if (share < 1) requestAnimationFrame(move);
        else settle(next);
        redraw();
      };
      requestAnimationFrame(move);
    },
  };
}
