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

// change what is in a box, and leave the focus where it was
export function keepFocus(box, change) {
  const before = document.activeElement;
  const name = before !== box && box.contains(before) ? called(before) : null;
  change();
  const now = document.activeElement;
  if (name === null || (now !== box && box.contains(now))) return;
  [...box.querySelectorAll("button, a, input, select, textarea")].find((one) => called(one) === name)?.focus();
  if (box.contains(document.activeElement)) return;
  box.tabIndex = -1;  // it is gone or cannot be used now: the next Tab goes on from here
  box.focus({ preventScroll: true });
}

// put children in place of what is there; what is null is left out
export function fill(box, ...children) {
  keepFocus(box, () => box.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== "")));
}

const called = (one) => one.id || one.getAttribute("aria-label") || (one.querySelector("span") ?? one).textContent;

export const byId = (id) => document.getElementById(id);

export function toast(text, bad = false) {
  const made = h("p", { class: bad ? "toast bad" : "toast", text });
  const dialog = byId("dialog");
  (dialog.open ? dialog : byId("toasts")).append(made);  // a dialog lies above everything
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
