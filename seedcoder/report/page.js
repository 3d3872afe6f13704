"use strict";
document.documentElement.classList.add("js");
document.addEventListener("DOMContentLoaded", () => {
  const textOf = (cell) => (cell.dataset.value ?? cell.textContent).trim();

  function setOpen(row, open) {
    const detail = row.nextElementSibling;
    if (!row.classList.contains("opens")) return;
    detail.classList.toggle("open", open);
    row.querySelector(".opener button").setAttribute("aria-expanded", String(open));
  }

  for (const grid of document.querySelectorAll(".grid")) {
    const body = grid.querySelector("tbody");
    const find = grid.querySelector("input");
    const shown = grid.querySelector(".shown");
    const rows = [...body.querySelectorAll("tr.row")];
    const follower = new Map(
      rows.map((row) => [row, row.classList.contains("opens") ? row.nextElementSibling : null]),
    );

    function filter() {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      const pressed = new Map();
      for (const button of grid.querySelectorAll('.choices [aria-pressed="true"]')) {
        const column = Number(button.dataset.column);
        pressed.set(column, [...(pressed.get(column) ?? []), button.dataset.choice]);
      }
      let count = 0;
      for (const row of rows) {
        const line = row.textContent.toLowerCase();
        const fits = words.every((word) => line.includes(word)) &&
          [...pressed].every(([column, values]) => values.includes(textOf(row.cells[column])));
        row.classList.toggle("away", !fits);
        follower.get(row)?.classList.toggle("away", !fits);
        count += fits ? 1 : 0;
      }
      shown.textContent = count === rows.length ? `${count} rows` : `${count} of ${rows.length} rows`;
    }

    function sortBy(head, column) {
      const before = head.getAttribute("aria-sort");
      const down = before ? before === "ascending" : head.dataset.first === "descending";
      for (const other of grid.querySelectorAll("th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = rows.map((row, place) => {
        const cell = row.cells[column];
        const key = cell.dataset.sort ?? textOf(cell);
        return { row, place, key, value: key === "" || key === "–" ? NaN : Number(key) };
      });
      const numeric = keyed.every(({ key, value }) => key === "" || key === "–" || !Number.isNaN(value));
      keyed.sort((a, b) => {
        if (numeric) {
          // What has no number stands last either way.
          const order = Number.isNaN(a.value) - Number.isNaN(b.value);
          if (order) return order;
          if (!Number.isNaN(a.value) && a.value !== b.value) {
            return (a.value < b.value ? -1 : 1) * (down ? -1 : 1);
          }
          return a.place - b.place;
        }
        const order = a.key.localeCompare(b.key, "en", { numeric: true });
        return order ? order * (down ? -1 : 1) : a.place - b.place;
      });
      for (const { row } of keyed) {
        body.append(row);
        if (follower.get(row)) body.append(follower.get(row));
      }
    }

    find.addEventListener("input", filter);
    for (const button of grid.querySelectorAll(".choices button")) {
      button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
        filter();
      });
    }
    grid.querySelectorAll("th").forEach((head, column) => {
      head.querySelector("button")?.addEventListener("click", () => sortBy(head, column));
    });
    // From row to row by the arrow keys, once a row's button has the focus.
    body.addEventListener("keydown", (event) => {
      const row = event.target.closest("td.opener button") && event.target.closest("tr.row");
      if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
      const seen = [...body.querySelectorAll("tr.row.opens:not(.away)")];
      const at = seen.indexOf(row);
      const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: seen.length - 1 }[event.key];
      if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
        setOpen(row, event.key === "ArrowRight");
      } else if (next === undefined) {
        return;
      } else {
        seen[next]?.querySelector(".opener button").focus();
      }
      event.preventDefault();
    });
    body.addEventListener("click", (event) => {
      const row = event.target.closest("tr.row");
      if (!row || event.target.closest("a") || String(getSelection())) return;
      setOpen(row, !follower.get(row)?.classList.contains("open"));
    });
  }

  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      const code = button.closest("figure").querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        // A page opened from a file may not write to the clipboard: select, the keys do the rest.
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  function openNamed() {
    const row = document.getElementById(location.hash.slice(1));
    if (!row?.classList.contains("row")) return;
    row.classList.remove("away");
    row.nextElementSibling?.classList.remove("away");
    setOpen(row, true);
    row.scrollIntoView({ block: "start" });
  }
  addEventListener("hashchange", openNamed);
  openNamed();
});
