"use strict";
/* A heading sorts its table: first ascending, then descending; numbers by size, the rest by the alphabet. */
for (const table of document.querySelectorAll(".sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
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
/* A part that is larger than its box says so, and has a shadow where it goes on. */
for (const box of document.querySelectorAll(".scroll,.drawn")) {
  const hint = Object.assign(document.createElement("p"), { className: "hint", hidden: true }), table = box.querySelector("table");
  hint.setAttribute("aria-hidden", "true");
  box.before(hint);
  const look = () => {
    const wide = box.scrollWidth > box.clientWidth + 1, tall = box.scrollHeight > box.clientHeight + 1;
    const sideways = table && table.tHead ? `${table.tHead.rows[0].cells.length} columns: scroll sideways →` : "Scroll sideways →", down = table ? `${table.tBodies[0].rows.length} rows: scroll down ↓` : "Scroll down ↓";
    hint.textContent = [wide && sideways, tall && down].filter(Boolean).join("; ");
    hint.hidden = !hint.textContent;
    box.classList.toggle("right", wide && box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
    box.classList.toggle("below", tall && box.scrollTop + box.clientHeight < box.scrollHeight - 1);
  };
  box.addEventListener("scroll", look, { passive: true });
  new ResizeObserver(look).observe(box);
  look();
}
window.addEventListener("beforeprint", () => { for (const folded of document.querySelectorAll("details.printed")) folded.open = true; });
