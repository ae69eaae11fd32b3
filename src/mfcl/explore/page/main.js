// The page begins here: what the server has, then the maps, then the panels.

import { arrays, get, open, writable } from "./api.js";
import { makeCheckPanel } from "./check-panel.js";
import { makeClipPanel } from "./clip-panel.js";
import { byId, h, toast } from "./dom.js";
import { makeDialogs } from "./export.js";
import { makeKeys } from "./keys.js";
import { makeLabelPanel } from "./label-panel.js";
import { chooseColumn, chosen, turn } from "./labelling.js";
import { readGuesses, readLabels } from "./labels.js";
import { makeLegend } from "./legend.js";
import { makeList, refresh } from "./list.js";
import { makeMap } from "./map.js";
import { makePlayer } from "./player.js";
import { makeSaid } from "./said.js";
import { makeSearchPanel } from "./search-panel.js";
import { emit, filteredColumn, on, restyle, state } from "./state.js";

const SLOW = 6000;
let maps = [];

async function begin() {
  state.about = await open();
  state.about.writable = writable;
  document.body.classList.toggle("fixed", !writable);
  document.title = `${state.about.name}: explorer`;
  byId("name").textContent = state.about.name;
  [state.codes, state.held] = [new Int32Array(state.about.count).fill(-1), new Uint8Array(state.about.count)];
  state.notes = state.about.notes_of;
  for (const note of state.about.notes) byId("notes").append(h("p", { class: "note", text: note }));
  maps = state.about.parts.map(makeMap);
  byId("maps").append(...maps.map((map) => map.figure));
  byId("maps").classList.toggle("two", maps.length > 1);
  makeLegend();
  makePlayer();
  makeSaid();
  makeList();
  makeTabs();
  makeDialogs();
  makeKeys(maps, flip);
  controls();
  restyle();
  const ids = get("/api/ids").then((found) => { state.ids = found; refresh(); });
  await Promise.all([ids, ...maps.map(readMap), ...state.about.columns.map(readColumn)]);
  const first = columnToBegin();
  if (first && !chosen()) await chooseColumn(first);  // else somebody was quicker
  colours(state.column ? `labels\u0000` : state.about.columns.length ? `column\u0000${firstColumn()}` : "");
  document.body.classList.add("ready");
  watch();
}

// a key gives a label of the column that is shown: after a reload it must be that of before, else the one last used
function columnToBegin() {
  const names = state.about.own.map(({ name }) => name);
  return names.find((name) => placeOf(name) === location.hash) ?? (names.includes(state.about.last) ? state.about.last : names[0]);
}

const placeOf = (column) => `#${encodeURIComponent(column)}`;

const firstColumn = () => state.about.columns.find((one) => one.values > 1 && one.values <= 24 && one.name !== "split")?.name ?? state.about.columns[0].name;

async function readMap(map) {
  const found = await arrays(`/api/maps/${map.part}`);
  map.method = found.method;
  map.setPlaces(found.places, found.method === "PCA" && writable ? "PCA while t-SNE is worked out" : found.method);
}

async function readColumn({ name }) {
  const found = await arrays("/api/columns", { name });
  state.columns[`column\u0000${name}`] = { values: found.values, codes: found.codes.map((code) => (found.values[code] === "" ? -1 : code)) };
}

// a filter may name a column of labels that is not the one shown
async function readBeside() {
  const wanted = filteredColumn();
  const name = state.about.own.map((one) => one.name).find((one) => one.toLowerCase() === wanted);
  const key = `beside\u0000${name}`;
  if (!writable || !name || name === state.column || state.columns[key]?.version === state.version) return;
  try {
    const found = await arrays("/api/labels", { column: name });
    state.columns[key] = { values: found.values, codes: found.codes.map((code) => (found.values[code] === "" ? -1 : code)), version: state.version };
    restyle();
  } catch (error) { toast(error.message, true); }
}

// what may colour the points; the choice stays where it is still there
function colours(wanted = state.colour) {
  const own = state.column ? [["labels\u0000", `${state.column}: labels`], ["guesses\u0000", `${state.column}: guesses`], ["confidence\u0000", `${state.column}: how sure`]] : [];
  const all = [...own, ...state.about.columns.map(({ name }) => [`column\u0000${name}`, name]),
    ...state.about.parts.map((part) => [`cluster\u0000${part}`, state.about.parts.length > 1 ? `clusters of ${part}` : "clusters"])];
  state.colour = all.some(([key]) => key === wanted) ? wanted : all[0][0];
  byId("colour").replaceChildren(...all.map(([key, text]) => h("option", { value: key, text, selected: key === state.colour })));
  pickColour();
}

async function pickColour() {
  const [kind, part] = state.colour.split("\u0000");
  if (kind === "cluster" && !state.columns[state.colour]) {
    const key = state.colour;
    toast("Looking for clusters …");
    state.columns[key] = await arrays(`/api/clusters/${part}`);
  }
  state.values.clear();
  restyle();
}

function controls() {
  byId("colour").addEventListener("change", (event) => { state.colour = event.target.value; pickColour().catch((error) => toast(error.message, true)); });
  byId("only").addEventListener("change", (event) => { state.only = event.target.value; restyle(); });
  byId("filter").addEventListener("input", (event) => { state.text = event.target.value; restyle(); readBeside(); });
  byId("view-map").addEventListener("click", () => view(true));
  byId("view-list").addEventListener("click", () => view(false));
  byId("undo").addEventListener("click", () => turn("undo"));
  byId("redo").addEventListener("click", () => turn("redo"));
  on("column", () => { history.replaceState(null, "", placeOf(state.column)); colours("labels\u0000"); readBeside(); });
  on("columns", () => colours());
  on("lassoed", () => { if (state.selection.size && writable) emit("tab", "label"); });
  on("guesses", () => { if (state.colour === "labels\u0000" && state.guesses && !state.told) { state.told = true; colours("guesses\u0000"); } });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => emit("theme"));
}

function view(map) {
  [byId("maps").hidden, byId("list").hidden] = [!map, map];
  byId("view-map").setAttribute("aria-pressed", String(map));
  byId("view-list").setAttribute("aria-pressed", String(!map));
  refresh();
}

const flip = () => view(byId("maps").hidden);

function makeTabs() {
  const panels = writable
    ? [["label", "Label", makeLabelPanel()], ["clip", "Clip", makeClipPanel()], ["check", "Check", makeCheckPanel()], ["search", "Search", makeSearchPanel()]]
    : [["clip", "Clip", makeClipPanel()]];
  const tabs = panels.map(([name, text]) => h("button", { role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, text, onclick: () => emit("tab", name) }));
  on("tab", (wanted) => panels.forEach(([name, , panel], at) => {
    panel.hidden = name !== wanted;
    tabs[at].setAttribute("aria-selected", String(name === wanted));
    tabs[at].tabIndex = name === wanted ? 0 : -1;
    if (name === wanted) emit("shown", name);
  }));
  byId("tabs").addEventListener("keydown", ({ key }) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (!by) return;
    const at = (tabs.indexOf(document.activeElement) + by + tabs.length) % tabs.length;
    tabs[at].focus();
    tabs[at].click();
  });
  byId("tabs").append(...tabs);
  byId("panels").append(...panels.map(([, , panel]) => panel));
  emit("tab", panels[0][0]);
}

// maps that become ready, and labels that were given elsewhere
async function watch() {
  if (!writable) return;
  let lost = false;
  // a step of our own is known here; what others did before it is read
  on("saved", (number) => { if (number === state.version + 1) state.version = number; });
  for (;;) {
    try {
      const status = await get("/api/status");
      lost = false;
      for (const map of maps) if (map.method !== status.maps[map.part]) await readMap(map);
      const near = JSON.stringify([status.ways, status.waiting.includes("nearest clips")]);
      const newer = status.version > state.version;
      if (newer) state.about.own = (await get("/api/about")).own;
      if (newer || near !== state.near) { await readLabels(); await readGuesses(); }
      [state.version, state.near] = [Math.max(state.version, status.version), near];
      for (const line of status.failed) if (!state.failed?.includes(line)) toast(line, true);
      state.failed = status.failed;
      document.body.dataset.waiting = status.waiting.join(", ");
      await new Promise((done) => setTimeout(done, status.waiting.length ? 1000 : SLOW));
    } catch (error) {
      if (error.outdated) return fail(error);
      if (!lost) toast(error.message, true);
      lost = true;
      await new Promise((done) => setTimeout(done, SLOW));
    }
  }
}

function fail(error) {
  byId("notes").append(h("p", { class: "note bad", role: "alert", text: error.message }));
}

begin().catch(fail);
