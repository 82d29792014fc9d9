"use strict";
(() => {
  document.documentElement.classList.add("js");

  // Tables: a click on a heading sorts by it, ascending first; rows without a value stay at the end.
  const order = (table, column, descending) => {
    const body = table.tBodies[0];
    const numeric = table.tHead.rows[0].cells[column].dataset.kind === "number";
    const value = (row) => row.cells[column].dataset.value ?? "";
    const compare = (a, b) => {
      if (a === "" || b === "") return (a === "") - (b === "");
      const difference = numeric ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true });
      return descending ? -difference : difference;
    };
    body.append(...[...body.rows].sort((a, b) => compare(value(a), value(b))));
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const descending = heading.getAttribute("aria-sort") === "ascending";
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
        order(table, column, descending);
      });
    });
  }

  // Boxes take the keyboard focus only where there is something to scroll.
  const boxes = [...document.querySelectorAll(".scroll")];
  const fit = () => boxes.forEach((box) => {
    if (box.scrollWidth > box.clientWidth) box.setAttribute("tabindex", "0");
    else box.removeAttribute("tabindex");
  });
  window.addEventListener("resize", fit);
  fit();

  // Code: hidden until asked for; without this script each piece can be unfolded by itself.
  const toggle = document.querySelector(".toggle-code");
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    const show = document.documentElement.classList.toggle("show-code");
    toggle.setAttribute("aria-pressed", String(show));
    toggle.textContent = show ? "Hide code" : "Show code";
    for (const code of document.querySelectorAll("details.code")) code.open = show;
  });

  // On paper everything is unfolded; afterwards each piece is again as the reader left it.
  const folded = [...document.querySelectorAll("details.more")];
  let left = [];
  window.addEventListener("beforeprint", () => {
    left = folded.filter((piece) => !piece.open);
    left.forEach((piece) => { piece.open = true; });
  });
  window.addEventListener("afterprint", () => left.forEach((piece) => { piece.open = false; }));

  // A link to a place inside a folded piece unfolds it.
  const unfold = () => {
    let piece = document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest("details.more");
    for (; piece; piece = piece.parentElement.closest("details.more")) piece.open = true;
  };
  window.addEventListener("hashchange", unfold);
  unfold();

  // Contents: always open beside the text, folded above it on narrow screens.
  const contents = document.querySelector("nav.contents details");
  const narrow = window.matchMedia("(max-width: 64rem)");
  const fold = () => { contents.open = !narrow.matches; };
  narrow.addEventListener("change", fold);
  fold();
  contents.addEventListener("click", (event) => {
    if (narrow.matches && event.target.closest("a")) contents.open = false;
  });

  // The heading that was passed last is marked in the contents.
  const links = [...contents.querySelectorAll("a")];
  const targets = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
  const mark = () => {
    const passed = targets.filter((target) => target.getBoundingClientRect().top < 120).length;
    links.forEach((link, index) => {
      const current = index === Math.max(0, passed - 1);
      if (current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
      link.closest("nav.contents > details > ul > li").classList.toggle("current", false);
    });
    links[Math.max(0, passed - 1)]?.closest("nav.contents > details > ul > li").classList.add("current");
  };
  let waiting = false;
  document.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; mark(); });
  }, { passive: true });
  mark();
})();
