"use strict";
// maps of clips: marks by colour and shape, the nearest clip under the pointer or the arrow keys, its sound on a click
(() => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const panels = [...document.querySelectorAll(".panel")];
  const colours = ["--blue", "--vermilion", "--green", "--orange", "--purple", "--sky", "--yellow", "--grey"];
  const colour = (value) => `var(${colours[value % 8]})`;
  const shape = (value) => data.shapes[(value + Math.floor(value / 8)) % 8]; // 64 pairs of colour and shape
  const player = new Audio();
  player.id = "player";
  document.body.append(player);

  const element = (name, attributes, parent) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (parent) parent.append(made);
    return made;
  };

  const LOOKS = 64; // pairs of colour and shape there are
  const KEYS = 30; // values in a legend where there are more than LOOKS
  const FIRST = 10; // of the map on the first screen
  const short = (text, room) => (text.length <= room ? text : `${text.slice(0, room - 1).trimEnd()}\u2026`);

  const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

  const names = (svg, map, label) => { // a class's name in its middle, where it covers no other
    const placed = [];
    label.values.forEach((text, value) => {
      const own = map.of.flatMap((clip, place) => (label.of[clip] === value ? [place] : []));
      if (!own.length) return;
      const x = median(own.map((place) => map.x[place]));
      const y = median(own.map((place) => map.y[place]));
      const half = 14 + 13 * Math.min(text.length, 20);
      const apart = median(own.map((place) => Math.hypot(map.x[place] - x, map.y[place] - y)));
      if (apart > 130) return; // strewn over the map, it has no middle to speak of
      if (x < half || x > 1000 - half || placed.some((one) => Math.abs(one.y - y) < 56 && Math.abs(one.x - x) < one.half + half)) return;
      placed.push({ x, y, half, text });
    });
    if (2 * placed.length < label.values.length) return; // a few names alone would say nothing
    placed.forEach(({ x, y, text }) => { element("text", { x, y }, svg).textContent = short(text, 20); });
  };

  const part = (whole, every) => { // the clips of a map that are shown: those of the test part, or every one
    const kept = whole.of.flatMap((clip, place) => (every || !data.part[clip] ? [place] : []));
    const taken = (values) => kept.map((place) => values[place]);
    return { of: taken(whole.of), x: taken(whole.x), y: taken(whole.y) };
  };

  const draw = (panel, number, every = false) => {
    const svg = panel.querySelector("svg");
    const map = part(data.maps[number], every);
    const label = data.labels[Number(panel.dataset.label)];
    if (panel.every !== every) {
      panel.every = every;
      panel.held = -1;
      keys(panel, new Set(map.of.map((clip) => label.of[clip])));
    }
    svg.replaceChildren();
    const crowd = map.of.length > 900 ? 1.7 : map.of.length > 400 ? 2.1 : 2.6;
    const size = crowd * Math.min(Math.max(480 / (svg.clientWidth || 480), 1), 1.45); // marks shrink less than a small map
    for (const tested of [false, true]) { // those of the test part above the others
      map.of.forEach((clip, place) => {
        if ((data.part[clip] === 0) !== tested) return;
        const value = label.of[clip];
        const scale = tested ? size : 0.62 * size;
        element("path", { d: shape(value), fill: colour(value), class: tested ? "" : "other", transform: `translate(${map.x[place]} ${map.y[place]}) scale(${scale})`, "data-value": value }, svg);
      });
    }
    if (label.values.length <= 12) names(svg, map, label);
    panel.ring = element("circle", { class: "ring", r: 20, cx: -99, cy: -99 }, svg);
    panel.map = map;
    panel.at = -1;
    panel.querySelector(".tip").hidden = true;
    light(panel, panel.held ?? -1);
  };

  const light = (panel, value) => {
    for (const point of panel.querySelectorAll("path[data-value]")) point.classList.toggle("faint", value >= 0 && Number(point.dataset.value) !== value);
  };

  const keys = (panel, present) => {
    const label = data.labels[Number(panel.dataset.label)];
    const box = panel.querySelector(".keys");
    const most = "follow" in panel.dataset ? KEYS : FIRST;
    const values = label.values.flatMap((text, value) => (present.has(value) ? [[text, value]] : []));
    const shown = values.length > LOOKS ? most : values.length;
    box.replaceChildren();
    values.slice(0, shown).forEach(([text, value]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "false");
      const icon = element("svg", { viewBox: "-6 -6 12 12", "aria-hidden": "true" }, button);
      element("path", { d: shape(value), fill: colour(value) }, icon);
      button.append(short(text, 40));
      if (text.length > 40) button.title = text;
      const press = () => {
        panel.held = panel.held === value ? -1 : value;
        for (const other of box.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button && panel.held === value));
        light(panel, panel.held);
      };
      button.addEventListener("click", press);
      button.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") light(panel, value); });
      button.addEventListener("pointerleave", () => light(panel, panel.held ?? -1));
      box.append(button);
    });
    if (shown < values.length) {
      const more = document.createElement("span");
      more.className = "more";
      more.textContent = `and ${values.length - shown} more`;
      box.append(more);
    }
  };

  const ring = (panel, clip) => {
    const place = panel.map.of.indexOf(clip);
    panel.ring.setAttribute("cx", place < 0 ? -99 : panel.map.x[place]);
    panel.ring.setAttribute("cy", place < 0 ? -99 : panel.map.y[place]);
  };

  const show = (panel, place) => { // the clip is ringed on every map, and named on this one
    panel.at = place;
    const clip = place < 0 ? -1 : panel.map.of[place];
    for (const other of panels) ring(other, clip);
    for (const other of panels) if (other !== panel) other.querySelector(".tip").hidden = true;
    const tip = panel.querySelector(".tip");
    tip.hidden = place < 0;
    if (place < 0) return;
    const title = document.createElement("b");
    title.textContent = data.clips[clip];
    const known = data.labels.map((label) => `${label.name} ${short(label.values[label.of[clip]], 60)}`).join(", ");
    const side = data.parts.length > 1 ? `, ${data.parts[data.part[clip]]}` : "";
    tip.replaceChildren(title, known + side);
    const field = panel.querySelector(".field");
    const unit = field.clientWidth / 1060;
    const x = (panel.map.x[place] + 30) * unit;
    const y = (panel.map.y[place] + 30) * unit;
    tip.style.left = `${Math.min(Math.max(x - tip.offsetWidth / 2, 4), field.clientWidth - tip.offsetWidth - 4)}px`;
    tip.style.top = `${y > tip.offsetHeight + 20 ? y - tip.offsetHeight - 16 : y + 18}px`;
  };

  const nearest = (panel, event, reach) => {
    const box = panel.querySelector("svg").getBoundingClientRect();
    const unit = 1060 / box.width;
    const x = (event.clientX - box.left) * unit - 30;
    const y = (event.clientY - box.top) * unit - 30;
    let found = -1;
    let least = (reach * unit) ** 2;
    panel.map.of.forEach((clip, place) => {
      if ((panel.held ?? -1) >= 0 && data.labels[Number(panel.dataset.label)].of[clip] !== panel.held) return;
      const distance = (panel.map.x[place] - x) ** 2 + (panel.map.y[place] - y) ** 2;
      if (distance < least) [found, least] = [place, distance];
    });
    return found;
  };

  const play = (panel) => {
    const address = panel.at < 0 ? undefined : data.sounds[panel.map.of[panel.at]];
    if (!address) return;
    player.src = address;
    player.play().catch(() => {}); // a second click stops the first sound before it has begun
  };

  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const step = (panel, [dx, dy]) => { // the nearest clip in this direction, those off the line counting as farther
    const { x, y, of } = panel.map;
    let found = panel.at;
    let least = Infinity;
    of.forEach((_, place) => {
      const along = (x[place] - x[panel.at]) * dx + (y[place] - y[panel.at]) * dy;
      const aside = Math.abs((x[place] - x[panel.at]) * dy) + Math.abs((y[place] - y[panel.at]) * dx);
      if (along > 0 && along >= aside / 2 && along + 2 * aside < least) [found, least] = [place, along + 2 * aside];
    });
    return found;
  };

  for (const panel of panels) {
    const svg = panel.querySelector("svg");
    draw(panel, data.first);
    svg.addEventListener("pointermove", (event) => show(panel, nearest(panel, event, 18)));
    svg.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") show(panel, -1); });
    svg.addEventListener("click", (event) => { show(panel, nearest(panel, event, 24)); play(panel); });
    svg.addEventListener("focus", () => { if (svg.matches(":focus-visible") && panel.at < 0) show(panel, 0); });
    svg.addEventListener("blur", () => show(panel, -1));
    svg.addEventListener("keydown", (event) => {
      if (steps[event.key]) {
        event.preventDefault();
        show(panel, panel.at < 0 ? 0 : step(panel, steps[event.key]));
      } else if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        play(panel);
      } else if (event.key === "Escape") show(panel, -1);
    });
  }
  const choice = document.getElementById("representation");
  const clips = document.getElementById("clips"); // there are others than test clips
  const follow = () => {
    const every = clips?.value === "all";
    for (const panel of panels) if ("follow" in panel.dataset) draw(panel, Number(choice.value), every);
    if (clips) document.getElementById("alone").hidden = !every || data.maps[Number(choice.value)].of.some((clip) => data.part[clip]);
  };
  const labels = document.getElementById("label"); // one map, and a choice of its colours
  const recolour = () => {
    for (const panel of panels) [panel.dataset.label, panel.every] = [labels.value, undefined];
    follow();
  };
  choice.addEventListener("change", follow);
  labels?.addEventListener("change", recolour);
  clips?.addEventListener("change", follow);
  if (labels) recolour();
  else follow(); // a browser that goes back keeps the choice, not the map
})();
