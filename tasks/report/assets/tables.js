// Tables that the reader sorts by a heading and filters by words.
(() => {
  const value = (cell) => {
    if (cell.dataset.value === "") return null;
    return cell.dataset.value === undefined ? cell.textContent.trim().toLowerCase() : Number(cell.dataset.value);
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
  const sort = (table, at, direction) => {
    const rows = [...table.tBodies[0].rows].map((row) => ({ row, key: value(row.cells[at]) }));
    // What is unknown comes last in both directions.
    rows.sort((a, b) => (a.key === null || b.key === null ? (a.key === null) - (b.key === null) : direction * compare(a.key, b.key)));
    table.tBodies[0].append(...rows.map(({ row }) => row));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, at) => heading.querySelector("button").addEventListener("click", () => {
      const now = heading.getAttribute("aria-sort");
      const isNumber = heading.classList.contains("number");
      // The greatest number first is what a reader wants first.
      const next = now === "none" ? (isNumber ? "descending" : "ascending") : now === "ascending" ? "descending" : "ascending";
      headings.forEach((other) => other.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", next);
      sort(table, at, next === "ascending" ? 1 : -1);
    }));
  }
  for (const input of document.querySelectorAll("input[data-filters]")) {
    const table = nb.byId(input.dataset.filters);
    const output = document.querySelector(`output[data-count="${input.dataset.filters}"]`);
    const rows = [...table.tBodies[0].rows].map((row) => ({ row, text: row.textContent.toLowerCase() }));
    const noun = rows.length === 1 ? "row" : "rows";
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const { row, text } of rows) {
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      output.textContent = shown === rows.length ? `${shown} ${noun}` : `${shown} of ${rows.length} ${noun}`;
    });
  }
})();
