// What a screen reader says of the clip that is moved to: its name, and its label or guess.

import { byId, percent } from "./dom.js";
import { guessOf, labelOf, nameOf, on, state } from "./state.js";

export function makeSaid() {
  for (const name of ["current", "labels"]) on(name, say);
}

// not with each renewed guess: only what a person did is answered
function say() {
  const clip = state.current;
  const guess = clip < 0 ? null : guessOf(clip);
  const told = clip < 0 ? "" : labelOf(clip) ? `, label ${labelOf(clip)}` : guess ? `, guess ${guess.label}, ${percent(guess.confidence)} sure` : "";
  const text = clip < 0 ? "" : `${nameOf(clip)}${told}`;
  if (byId("said").textContent !== text) byId("said").textContent = text;
}
