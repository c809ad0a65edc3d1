"use strict";
/* A heading sorts its table: first ascending, then descending; numbers by size, the rest by the alphabet. */
for (const table of document.querySelectorAll(".sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending", rows = [...table.tBodies[0].rows];
    const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim(), number = (text) => (text === "" ? NaN : Number(text));
    const unknown = (row) => row.cells[column].textContent === "–";
    rows.sort((a, b) => {
      if (unknown(a) || unknown(b)) return unknown(a) - unknown(b);
      const x = number(key(a)), y = number(key(b));
      return (up ? 1 : -1) * (Number.isNaN(x) || Number.isNaN(y) ? key(a).localeCompare(key(b)) : x - y);
    });
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    table.tBodies[0].append(...rows);
  }));
}
window.addEventListener("beforeprint", () => { for (const folded of document.querySelectorAll("details.printed")) folded.open = true; });
