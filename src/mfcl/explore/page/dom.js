// Elements without HTML in strings: whatever a label or a file is called, it is text.

export function h(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "text") made.textContent = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

// put children in place of what is there; what is null is left out
export function fill(box, ...children) {
  box.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
}

export const byId = (id) => document.getElementById(id);

export function toast(text, bad = false) {
  const made = h("p", { class: bad ? "toast bad" : "toast", text });
  byId("toasts").append(made);
  setTimeout(() => made.remove(), bad ? 9000 : 3500);
}

export const percent = (share) => `${Math.round(100 * share)} %`;

export function typing() {
  const at = document.activeElement;
  return at && (at.matches("input:not([type=radio]):not([type=checkbox]), textarea, select") || at.isContentEditable);
}

export function natural(a, b) {
  return a.localeCompare(b, undefined, { numeric: true });
}
