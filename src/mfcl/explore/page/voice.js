// Whose voice it is, by the gallery that the server was given: a name, or "unknown" and why.

import { h } from "./dom.js";

export function voiceLine(voice) {
  const margin = voice.margin === null ? "" : `, ${voice.margin} more than the next voice`;
  const why = voice.reason ? `: ${voice.reason}` : "";
  const score = voice.best ? `${voice.name === voice.best ? "" : `nearest ${voice.best}, `}score ${voice.score}${margin}` : "";
  return h("p", { class: "voice" }, h("b", { text: voice.name }), h("small", { text: ` voice${why}${score ? ` (${score})` : ""}` }));
}
