// Which key gives which label. In their order labels take the first key that is free, so that a further one moves no
// other's; a digit has its own key or none: a key 3 for "7" would be pressed where "3" is meant.

import { state } from "./state.js";

const KEYS = [..."123456789"];

// the key of each label, "" for none
export function keysOf(labels) {
  const taken = new Set();
  return labels.map((label) => {
    const key = /^[0-9]$/.test(label) ? label : KEYS.find((one) => !taken.has(one)) ?? "";
    if (taken.has(key)) return "";
    taken.add(key);
    return key;
  });
}

export const labelOfKey = (key) => state.classes[keysOf(state.classes).indexOf(key)];

// 0 takes a label off, unless it is the key of a label
export const offKey = () => (labelOfKey("0") === undefined ? "0" : "Delete");
