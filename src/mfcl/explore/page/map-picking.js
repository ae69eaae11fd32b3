// Which clip of a map is meant: the one at a place, those within a lasso, or the next one in a direction.

import { count, state } from "./state.js";

const CELLS = 96;

const cell = (value) => Math.max(0, Math.min(CELLS - 1, Math.floor(((value + 1) / 2) * CELLS)));

// the clips of each square of a map, so that a place is looked up among few
export function gridOf(places) {
  const grid = new Map();
  for (let clip = 0; clip < count(); clip++) {
    const key = cell(places[2 * clip]) * CELLS + cell(places[2 * clip + 1]);
    const held = grid.get(key);
    if (held) held.push(clip); else grid.set(key, [clip]);
  }
  return grid;
}

// the nearest visible clip no farther than `reach`; -1 if there is none
export function clipAt(grid, places, x, y, reach) {
  if (!grid) return -1;
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

export function inside(trail, px, py) {
  let within = false;
  for (let i = 0, j = trail.length - 1; i < trail.length; j = i++) {
    const [[xi, yi], [xj, yj]] = [trail[i], trail[j]];
    if (yi > py !== yj > py && px < ((xj - xi) * (py - yi)) / (yj - yi) + xi) within = !within;
  }
  return within;
}

// the nearest visible clip within 45 degrees of a direction; -1 if there is none
export function nextTowards(places, from, [dx, dy]) {
  let [best, least] = [-1, Infinity];
  for (let clip = 0; clip < count(); clip++) {
    if (!state.visible[clip] || clip === from) continue;
    const [x, y] = [places[2 * clip] - places[2 * from], places[2 * clip + 1] - places[2 * from + 1]];
    const [along, side] = [x * dx + y * dy, Math.abs(x * dy) + Math.abs(y * dx)];
    if (along <= 0 || side > along) continue;
    const far = along + 2 * side;
    if (far < least) [best, least] = [clip, far];
  }
  return best;
}
