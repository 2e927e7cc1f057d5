"use strict";

// A cell sorts by the number it begins with, otherwise by its text; cells without a figure come last either way.
function keyOf(text) {
  const number = text.replace(/,/g, "").match(/^[<\s]*([-+]?\d+(?:\.\d+)?)/);
  return number ? Number(number[1]) : null;
}

function sortTable(table, column, descending) {
  const rows = Array.from(table.tBodies[0].rows, (row) => {
    const text = row.cells[column].textContent.trim();
    return { row, text, key: keyOf(text) };
  });
  const numeric = rows.some((entry) => entry.key !== null);
  rows.sort((a, b) => {
    if (numeric && (a.key === null || b.key === null)) return (a.key === null) - (b.key === null);
    const order = numeric ? a.key - b.key : a.text.localeCompare(b.text);
    return descending ? -order : order;
  });
  table.tBodies[0].append(...rows.map((entry) => entry.row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sortTable(table, column, descending);
    });
  });
}

// A case opens large, with its outlines as they are switched.
const dialog = document.getElementById("large");
for (const button of document.querySelectorAll("button.large")) {
  button.addEventListener("click", () => {
    dialog.querySelector("svg")?.remove();
    dialog.append(button.parentElement.querySelector("svg").cloneNode(true));
    dialog.showModal();
  });
}
dialog.querySelector("button").addEventListener("click", () => dialog.close());
