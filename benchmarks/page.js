// What is measured on the explorer's page (see page.py): each with the page's own work and the time until it is drawn.

const { restyle } = await import("/page/state.js");
const over = document.querySelector(".map[data-part=words] .over");
const field = (name) => document.getElementById(name);

// a frame is over when every map's points can be read
const settled = () => {
  for (const canvas of document.querySelectorAll(".points")) {
    canvas.getContext("webgl2").readPixels(0, 0, 1, 1, 6408, 5121, new Uint8Array(4));
  }
};
const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(() => { settled(); done(); })));

// some place on the map, another one each time
function spot(at) {
  const { left, top, width, height } = over.getBoundingClientRect();
  const share = (factor) => 0.2 + 0.6 * ((at * factor) % 1);
  return { clientX: left + share(0.381) * width, clientY: top + share(0.618) * height, bubbles: true, cancelable: true };
}

const ARROWS = ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"];
const DONE = {
  "a frame": () => {},
  zoom: (at) => over.dispatchEvent(new WheelEvent("wheel", { ...spot(at), deltaY: at % 2 ? 60 : -60 })),
  hover: (at) => over.dispatchEvent(new PointerEvent("pointermove", { ...spot(at), pointerId: 9 })),
  "arrow key": (at) => over.dispatchEvent(new KeyboardEvent("keydown", { key: ARROWS[at % 4], bubbles: true })),
  "new colours": (at) => { field("colour").selectedIndex = at % 2; field("colour").dispatchEvent(new Event("change")); },
  filter: (at) => { field("filter").value = at % 2 ? "clip 1" : ""; field("filter").dispatchEvent(new Event("input")); },
  "a label": () => restyle(),  // what follows each change of labels
};
const middle = (values) => values.sort((a, b) => a - b)[values.length >> 1];

window.measured = async (name, rounds) => {
  const [work, shown] = [[], []];
  for (let at = 0; at < rounds; at++) {
    const start = performance.now();
    DONE[name](at);
    work.push(performance.now() - start);
    await frame();
    shown.push(performance.now() - start);
  }
  return { "work, ms": middle(work), "shown after, ms": middle(shown) };
};
window.names = Object.keys(DONE);

// the mouse that holds the map goes on in each frame: a test driver's own moves come in every second one
window.swept = async (x, y, radius, moves) => {
  await frame();
  const start = performance.now();
  for (let at = 0; at < moves; at++) {
    const angle = (2 * Math.PI * at) / (moves - 1);
    const spot = { clientX: x + radius * Math.cos(angle), clientY: y + radius * Math.sin(angle) };
    over.dispatchEvent(new PointerEvent("pointermove", { ...spot, pointerId: 1, bubbles: true }));
    await frame();
  }
  return (1000 * moves) / (performance.now() - start);
};

window.drawnBy = () => {
  const gl = document.querySelector(".points").getContext("webgl2");
  return String(gl.getParameter(gl.getExtension("WEBGL_debug_renderer_info").UNMASKED_RENDERER_WEBGL));
};

// what the page does when a mouse lets go is timed
window.dragging = () => {
  const seen = { ended: 0 };
  let start = 0;
  document.addEventListener("pointerup", () => { start = performance.now(); }, { capture: true, once: true });
  window.addEventListener("pointerup", () => { seen.ended = performance.now() - start; }, { once: true });
  window.seen = seen;
};
