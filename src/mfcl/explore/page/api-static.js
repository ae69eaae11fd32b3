// Answers of a site without a server: they were written into data.js when the site was made.

import { unpack } from "./api.js";

export const writable = false;

const kept = () => window.EXPLORER;

function key(path, query) {
  const text = new URLSearchParams(Object.entries(query ?? {}).filter(([, value]) => value !== undefined)).toString();
  return text ? `${path}?${text}` : path;
}

export async function get(path, query) {
  const near = /^\/api\/clips\/(\d+)\/near$/.exec(path);
  if (near) {
    const table = unpack(decoded(kept().near[query.part]));
    const width = table.clips.shape[1];
    const row = (values) => [...values.slice(near[1] * width, (+near[1] + 1) * width)];
    return { clips: row(table.clips), distances: row(table.distances) };
  }
  const found = kept().answers[key(path, query)];
  if (found === undefined) throw new Error("This page has no server: that was not written into it.");
  return found;
}

const decoded = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;

export async function arrays(path, query) {
  const found = kept().arrays[key(path, query)];
  return found === undefined ? get(path, query) : unpack(decoded(found));
}

export const open = () => get("/api/about");
export const post = () => Promise.reject(new Error("This page has no server: nothing can be changed."));
export const send = post;
export const soundOf = (clip) => `sounds/${clip}.flac`;
export const download = post;

// a page that is opened from disk may load scripts but not files: each clip's picture is a small script
export function pictureOf(clip) {
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = `sounds/${clip}.js`;
    script.onload = () => { script.remove(); done(unpack(decoded(kept().picture))); };
    script.onerror = () => { script.remove(); failed(new Error("The picture of this clip is missing.")); };
    document.head.append(script);
  });
}
