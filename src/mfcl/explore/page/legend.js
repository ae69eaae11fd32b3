// What the colours mean: a chosen value shows its clips alone.

import { byId, fill, h } from "./dom.js";
import { palette, swatch } from "./palette.js";
import { count, on, restyle, state } from "./state.js";

export function makeLegend() {
  on("looks", draw);
  on("theme", draw);
}

function draw() {
  const colours = palette();
  fill(byId("legend"), ...state.legend.map((one) => (one.plain
    ? h("span", { class: "key" }, swatch(one.look, colours), one.name)
    : h("button", { class: "key", title: one.name, "aria-pressed": String(state.values.has(one.key)), onclick: () => choose(one.key) },
      swatch(one.look, colours), h("span", { text: one.name }), h("small", { text: one.count })))));
  const total = count();
  byId("tally").textContent = state.shown === total ? `${total.toLocaleString("en")} clips` : `${state.shown.toLocaleString("en")} of ${total.toLocaleString("en")} clips`;
}

function choose(key) {
  if (!state.values.delete(key)) state.values.add(key);
  restyle();
}
