"use strict";
// tables that sort, commands that copy, legends that point
(() => {
  const say = (text) => { document.getElementById("said").textContent = text; };

  const sortBy = (head) => {
    const table = head.closest("table");
    const column = [...head.parentNode.children].indexOf(head);
    // the first click shows the largest figures, or names from A
    const down = head.getAttribute("aria-sort") === "none" ? column > 0 : head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.querySelectorAll("[aria-sort]")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const key = (row) => {
      const cell = row.children[column];
      if (column === 0) return cell.textContent.trim();
      return cell.dataset.order === "" ? null : Number(cell.dataset.order);
    };
    const rows = [...body.rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null); // what was not measured stays last
      const order = typeof a === "string" ? a.localeCompare(b) : a - b;
      return down ? -order : order;
    });
    body.append(...rows.map(([, row]) => row));
    say(`sorted by ${head.innerText.replace(/\s+/g, " ")}, ${down ? "descending" : "ascending"}`);
  };
  for (const button of document.querySelectorAll("thead button")) button.addEventListener("click", () => sortBy(button.parentNode));

  const copyText = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // not allowed for a page from a disk in every browser
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      await copyText(button.dataset.copy);
      button.textContent = "copied";
      button.classList.add("done");
      say("command copied");
      setTimeout(() => { button.textContent = "copy"; button.classList.remove("done"); }, 1600);
    });
  }

  for (const plot of document.querySelectorAll(".plot")) {
    for (const entry of plot.querySelectorAll("[data-of]")) {
      const light = (on) => {
        plot.classList.toggle("dimmed", on);
        for (const part of plot.querySelectorAll("[data-series]")) part.classList.toggle("lit", on && part.dataset.series === entry.dataset.of);
      };
      entry.addEventListener("pointerenter", () => light(true));
      entry.addEventListener("pointerleave", () => light(false));
    }
  }
})();
