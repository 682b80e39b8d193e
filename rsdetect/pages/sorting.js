"use strict";
// Tables of the class "sorts": a button in a head with data-key sorts the rows by their data of that name.
for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0], compare = new Intl.Collator("en").compare;
  table.tHead.addEventListener("click", (event) => {
    const head = event.target.closest("th[data-key]");
    if (!head) return;
    const { key, kind } = head.dataset, sort = head.getAttribute("aria-sort");
    const falling = kind === "number" ? sort !== "descending" : sort === "ascending";
    const value = kind === "number" ? (row) => Number(row.dataset[key]) : (row) => row.dataset[key] || "";
    const order = kind === "number" ? (one, other) => one - other : compare;
    const sorted = [...body.rows].map((row) => [value(row), row]);
    sorted.sort((one, other) => (falling ? -1 : 1) * order(one[0], other[0]));
    for (const each of table.tHead.querySelectorAll("th")) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    body.append(...sorted.map((each) => each[1]));
  });
}
