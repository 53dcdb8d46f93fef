"use strict";
(() => {
  document.documentElement.classList.add("scripted");
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Filters: each shows the elements whose data hold what is chosen, and says how many there are.
  for (const form of all(".filters")) {
    const items = all(form.dataset.items);
    const count = form.querySelector("output");
    const order = form.querySelector("[name=order]");
    const apply = () => {
      let shown = 0;
      for (const item of items) {
        const fits = all("[data-key]", form).every((field) => {
          const wanted = field.value.trim().toLowerCase();
          if (wanted === "") return true;
          if (field.dataset.key === "text") return item.textContent.toLowerCase().includes(wanted);
          return (item.dataset[field.dataset.key] || "").toLowerCase().split("\n").includes(wanted);
        });
        item.hidden = !fits;
        if (fits) shown += 1;
      }
      count.textContent = `${shown} of ${items.length}`;
    };
    const sort = () => {
      const value = (item) => Number(item.dataset[order.value]);
      const sign = order.value === "number" ? 1 : -1;
      const sorted = [...items].sort(
        (a, b) => sign * (value(a) - value(b)) || a.dataset.number - b.dataset.number);
      for (const item of sorted) item.parentElement.append(item);
    };
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => { apply(); if (order) sort(); });
    apply();
  }

  // What a link points to is shown, whatever is filtered.
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    target.hidden = false;
    for (let place = target; place; place = place.parentElement) if (place.tagName === "DETAILS") place.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  // Tables: a column's title sorts by it; numbers by data-value.
  for (const table of all("table.sortable")) {
    const titles = all("thead th", table);
    titles.forEach((title, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...title.childNodes);
      title.append(button);
      button.addEventListener("click", () => {
        const descends = title.getAttribute("aria-sort") === (title.dataset.first || "ascending")
          ? title.dataset.first !== "descending" : title.dataset.first === "descending";
        for (const other of titles) other.removeAttribute("aria-sort");
        title.setAttribute("aria-sort", descends ? "descending" : "ascending");
        const value = (row) => {
          const cell = row.cells[column];
          return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
        };
        const compare = (a, b) =>
          typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
        const body = table.tBodies[0];
        const rows = [...body.rows].sort((a, b) => (descends ? -1 : 1) * compare(value(a), value(b)));
        body.append(...rows);
      });
    });
  }

  // Commands: a button copies; from a file the clipboard may be out of reach, then the text is selected.
  for (const command of all(".command")) {
    const text = command.querySelector("pre");
    const button = command.querySelector("button");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "copied";
      } catch {
        getSelection().selectAllChildren(text);
        button.textContent = document.execCommand("copy") ? "copied" : "selected";
      }
      setTimeout(() => { button.textContent = "copy"; }, 2000);
    });
  }
})();
