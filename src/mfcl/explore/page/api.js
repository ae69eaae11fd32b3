// What the server is asked. Arrays come packed: a header of JSON, then the numbers (see packing.py).

const KINDS = { float32: Float32Array, int32: Int32Array, int16: Int16Array, uint8: Uint8Array, int8: Int8Array };

export const writable = true;

// The collection that this page was made for: the server refuses it where clip numbers mean others by now.
let collection = "";
const own = () => (collection ? { "x-mfcl-collection": collection } : {});

async function checked(answer) {
  if (answer.ok) return answer;
  let text = answer.statusText || `status ${answer.status}`;
  try {
    const said = await answer.text();
    text = said.startsWith("{") ? JSON.parse(said).error : said.trim() || text;
  } catch { /* the status is all there is */ }
  throw Object.assign(new Error(text), { outdated: answer.status === 409 });
}

async function ask(path, { headers, ...options } = {}) {
  let answer;
  try {
    answer = await fetch(path, { headers: { ...own(), ...headers }, ...options });
  } catch {
    throw new Error("The server does not answer: is mfcl explore still running? Labels that were shown as saved are.");
  }
  return checked(answer);
}

function address(path, query) {
  const text = new URLSearchParams(Object.entries(query ?? {}).filter(([, value]) => value !== undefined)).toString();
  return text ? `${path}?${text}` : path;
}

export function unpack(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  const arrays = {};
  for (const [name, { kind, shape, at }] of Object.entries(header.arrays)) {
    const count = shape.reduce((one, other) => one * other, 1);
    arrays[name] = new KINDS[kind](buffer, 4 + size + at, count);
    arrays[name].shape = shape;
  }
  return { ...header.about, ...arrays };
}

export async function open() {
  const about = await get("/api/about");
  collection = about.digest;
  return about;
}

export async function get(path, query) {
  const answer = await ask(address(path, query));
  return answer.json();
}

// arrays, or { waiting } while they are worked out
export async function arrays(path, query) {
  const answer = await ask(address(path, query));
  return answer.status === 202 ? answer.json() : unpack(await answer.arrayBuffer());
}

export async function post(path, body) {
  const answer = await ask(path, { method: "POST", headers: { "x-mfcl": "1" }, body: JSON.stringify(body ?? {}) });
  return answer.json();
}

export async function send(path, query, bytes) {
  const answer = await ask(address(path, query), { method: "POST", headers: { "x-mfcl": "1" }, body: bytes });
  return answer.json();
}

export const soundOf = (clip) => address(`/api/clips/${clip}/sound`, { collection });
export const pictureOf = (clip) => arrays(`/api/clips/${clip}/picture`);
export const download = (kind, query) => ask(address(`/api/export/${kind}`, query));
