// Everything by the keyboard.

import { byId, typing } from "./dom.js";
import { labelOfKey, offKey } from "./label-keys.js";
import { accept, advance, give, queued, reject, turn } from "./labelling.js";
import { all, stepList } from "./list.js";
import { toggle } from "./player.js";
import { emit, setSelection, state } from "./state.js";

// what was clicked gives the keys back: arrows are for clips, Enter accepts. Who goes by keys keeps the focus
function freeKeys() {
  let pointed = false;
  document.addEventListener("pointerdown", ({ target }) => { pointed = target.closest("select") !== null; }, true);
  document.addEventListener("keydown", () => { pointed = false; }, true);
  document.addEventListener("change", ({ target }) => { if (pointed && target.matches("select")) target.blur(); });
  document.addEventListener("click", ({ detail }) => {
    const now = document.activeElement;
    if (detail && now?.matches("button") && !now.closest("dialog")) now.blur();  // a click by a key has no detail
  });
}

export function makeKeys(maps, flip) {
  freeKeys();
  document.addEventListener("keydown", (event) => {
    const key = event.key.length > 1 ? event.key : event.key.toLowerCase();  // caps lock means the same keys
    const command = event.ctrlKey || event.metaKey;
    if (byId("dialog").open) return;
    if (key === "Escape") {
      if (typing()) {
        event.preventDefault();  // some browsers empty the filter by this key and tell nobody: it would go on unseen
        return document.activeElement.blur();
      }
      return setSelection([]);
    }
    if (typing() || (event.altKey && !command)) return;
    if (command) {
      const again = key === "y" || (key === "z" && event.shiftKey);
      if (!again && key !== "z" && key !== "a") return;
      event.preventDefault();
      if (event.repeat) return;
      if (key === "a") return setSelection(all());
      if (state.about.writable !== false) turn(again ? "redo" : "undo");
      return;
    }
    const pressed = document.activeElement?.matches("button, a, [role=tab], summary");
    // a key that is held down moves, but gives no label to clip after clip, unheard
    if (event.repeat && !key.startsWith("Arrow")) { if (!pressed) event.preventDefault(); return; }
    if (key.startsWith("Arrow")) {
      if (document.activeElement?.matches("[role=tab]")) return;
      if (!byId("list").hidden) stepList(key, event.shiftKey);
      else (maps.find((map) => map.figure.contains(document.activeElement)) ?? maps[0]).step(key);
    } else if (key === " " && !pressed) toggle();
    else if (key === "?") emit("help");
    else if (key === "m") flip();
    else if (key === "l") emit("lasso");
    else if (key === "f") byId("filter").focus();
    else if (state.about.writable === false) return;
    else if (/^[0-9]$/.test(key) && labelOfKey(key) !== undefined) give(labelOfKey(key));
    else if (key === "Delete" || key === offKey()) give("");
    else if (key === "Enter" && queued() && !pressed) accept();
    else if (key === "x" && queued()) reject();
    else if (key === "s" && queued()) advance();
    else if (key === "b" && queued()) advance(-1);
    else if (key === "n") { emit("tab", "label"); byId("new-label")?.focus(); }
    else return;
    event.preventDefault();
  });
}
