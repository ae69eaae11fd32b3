// One map: pan, zoom, lasso, hover, click, and the arrow keys to the next clip in a direction.

import { h, percent } from "./dom.js";
import { between, drawMarks, namesOf } from "./map-marks.js";
import { clipAt, gridOf, inside, nextTowards } from "./map-picking.js";
import { palette } from "./palette.js";
import { makePoints, pointSize } from "./points.js";
import { count, emit, guessOf, labelOf, nameOf, on, setCurrent, setSelection, state, valueOf } from "./state.js";

const REACH = 14;  // pixels from which a clip is hit
const MARGIN = 18;
const EDGE = 8;  // a clip nearer to the edge is brought to the middle; less than the margin of the whole map
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
  const whole = h("button", { title: "Whole map (or double-click it)", text: "Whole" });
  const box = h("div", { class: "plane" }, gl, over, tip);
  const figure = h("figure", { class: "map", "data-part": part },
    h("figcaption", {}, h("b", { text: part === "all" ? "map" : part }), " ", method, h("span", { class: "keys" }, lassoKey, whole)), box);
  const points = makePoints(gl, () => redraw());
  const view = { scale: 1, x: 0, y: 0, width: 1, height: 1, ratio: 1 };
  let [places, grid, names, dirty, moved, hovered, trail, lasso, fitted] = [new Float32Array(), null, [], false, true, -1, null, false, true];
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

  // the points take most of a frame and are only drawn anew where they, or the view of them, have changed
  function redraw() { moved = true; remark(); }
  function remark() {
    if (!dirty) requestAnimationFrame(drawn);
    dirty = true;
  }

  const across = (clip) => view.x + places[2 * clip] * view.scale;
  const down = (clip) => view.y - places[2 * clip + 1] * view.scale;

  function draw() { moved = true; drawn(); }
  function drawn() {
    dirty = false;
    if (moved) drawPoints();
    moved = false;
    drawMarks(over.getContext("2d"), view, { places, names, hovered, current: state.current, mark: state.mark && places.length ? between(state.mark.near[part], places) : null, trail });
  }
  function drawPoints() {
    const zoom = view.scale / Math.max(10, Math.min(view.width, view.height) / 2 - MARGIN);
    points.draw({ ...view, dot: Math.min(16, pointSize(count()) * Math.sqrt(Math.min(view.width, view.height) / 560) * zoom ** 0.35) });
  }

  const hit = (px, py) => clipAt(grid, places, (px - view.x) / view.scale, (view.y - py) / view.scale, REACH / view.scale);

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

  function close(add) {
    const found = add ? new Set(state.selection) : new Set();
    const [[left, top], [right, bottom]] = [Math.min, Math.max].map((most) => [0, 1].map((axis) => trail.reduce((sum, point) => most(sum, point[axis]), trail[0][axis])));
    for (let clip = 0; clip < count(); clip++) {
      const [x, y] = [across(clip), down(clip)];
      if (state.visible[clip] && x >= left && x <= right && y >= top && y <= bottom && inside(trail, x, y)) found.add(clip);
    }
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
    if (event.button > 0) return;  // its end may go to the browser's menu
    over.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    start = { at: at(event), moved: false, add: event.ctrlKey || event.metaKey };
    if (fingers.size === 1 && (lasso || event.shiftKey)) trail = [at(event)];
    else trail = null;
  });
  over.addEventListener("pointermove", (event) => {
    const [px, py] = at(event);
    const before = fingers.get(event.pointerId);
    if (!before) { hover(hit(px, py), px, py); return remark(); }
    if (Math.hypot(px - start.at[0], py - start.at[1]) > 4) start.moved = true;
    if (fingers.size === 2) pinch(event.pointerId, [px, py]);
    else if (trail) trail.push([px, py]);
    else if (start.moved) { view.x += px - before[0]; view.y += py - before[1]; fitted = false; redraw(); }
    fingers.set(event.pointerId, [px, py]);
    remark();
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
    remark();
  }
  const toggled = (clip) => { const some = new Set(state.selection); if (!some.delete(clip)) some.add(clip); return some; };
  over.addEventListener("pointerup", lift);
  over.addEventListener("pointercancel", lift);
  over.addEventListener("pointerleave", () => { hover(-1); remark(); });
  over.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), ...at(event)); }, { passive: false });
  over.addEventListener("dblclick", fit);
  over.addEventListener("keydown", (event) => {
    if (event.key === "+" || event.key === "=") zoom(1.4, view.width / 2, view.height / 2);
    else if (event.key === "-") zoom(1 / 1.4, view.width / 2, view.height / 2);
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

  function step(key) {
    if (!places.length) return;
    const from = state.current >= 0 ? state.current : hit(view.width / 2, view.height / 2);
    const clip = from < 0 ? state.visible.indexOf(1) : nextTowards(places, from, ARROWS[key]);
    if (clip >= 0) setCurrent(clip);
  }

  on("current", (clip, { centre }) => {
    const [x, y] = clip >= 0 && places.length ? [across(clip), down(clip)] : [0, 0];
    if (clip >= 0 && places.length && (centre || x < 0 || y < 0 || x > view.width || y > view.height) && !(x > EDGE && y > EDGE && x < view.width - EDGE && y < view.height - EDGE)) {
      view.x += view.width / 2 - x;
      view.y += view.height / 2 - y;
      fitted = false;
      redraw();
    }
    remark();
  });
  on("hover", (clip) => { if (clip !== hovered) { hovered = clip; remark(); } });
  on("looks", () => { points.setLooks(state.looks); names = namesOf(places); redraw(); });
  on("mark", remark);
  document.addEventListener("visibilitychange", redraw);  // a browser may have dropped what a hidden page showed
  on("theme", () => { points.setColours(palette()); redraw(); });
  points.setColours(palette());
  new ResizeObserver(resize).observe(box);

  function settle(next) {
    places = next;
    points.setPlaces(places);
    grid = gridOf(places);
    names = namesOf(places);
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
