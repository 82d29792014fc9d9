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
  const sized = new ResizeObserver((entries) => entries.forEach(({ target: box }) => {
    if (box.scrollWidth > box.clientWidth) box.setAttribute("tabindex", "0");
    else box.removeAttribute("tabindex");
  }));
  document.querySelectorAll(".scroll, .code pre").forEach((box) => sized.observe(box));

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

  // All folded pieces at once.
  const expand = document.querySelector(".expand");
  expand.parentElement.hidden = false;
  expand.addEventListener("click", () => {
    const open = expand.getAttribute("aria-pressed") !== "true";
    expand.setAttribute("aria-pressed", String(open));
    expand.textContent = open ? "Fold all" : "Expand all";
    folded.forEach((piece) => { piece.open = open; });
  });

  // The SVG that an image shows: on a phone that of its own source, where it has one.
  const drawn = (image) => {
    const other = image.parentElement.querySelector("source");
    const source = other && matchMedia(other.media).matches ? other.srcset : image.getAttribute("src");
    return decodeURIComponent(source.replace(/^[^,]*,/, ""));
  };

  // What a figure or a table shows, as a file: the drawing as SVG or PNG, the cells as CSV.
  const save = (blob, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const tool = (figure, words, action) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "tool";
    button.textContent = words;
    button.setAttribute("aria-label", `${words} of ${figure.id}`);
    button.addEventListener("click", action);
    figure.append(button);
  };
  const file = (figure, kind) => `${figure.id.replace(/[^\w.-]+/g, "_")}.${kind}`;
  for (const figure of document.querySelectorAll("figure.plot")) {
    const image = figure.querySelector("img");
    tool(figure, "SVG", () => {
      save(new Blob([drawn(image)], { type: "image/svg+xml" }), file(figure, "svg"));
    });
    tool(figure, "PNG", () => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [2 * image.naturalWidth, 2 * image.naturalHeight];
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => save(blob, file(figure, "png")));
    });
  }
  // Values on hover and on focus: a spot over every point that the drawing has words for; arrow keys go along them.
  const spots = (figure) => {
    const image = figure.querySelector("img");
    const text = drawn(image);
    figure.querySelectorAll(".spot").forEach((spot) => spot.remove());
    if (!text.includes("class='tip'")) return;
    const drawing = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
    const [left, top, width, height] = drawing.getAttribute("viewBox").split(/\s+/).map(Number);
    const layer = image.closest(".spots") ?? document.createElement("div");
    if (!layer.isConnected) {
      const whole = image.closest("picture") ?? image;
      layer.className = "spots";
      whole.before(layer);
      layer.append(whole);
      layer.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        const there = [...layer.querySelectorAll(".spot")];
        const here = there.indexOf(document.activeElement);
        if (!step || here < 0) return;
        event.preventDefault();
        there[(here + step + there.length) % there.length].focus();
      });
    }
    for (const circle of drawing.querySelectorAll("circle.tip")) {
      const x = (circle.getAttribute("cx") - left) / width;
      const y = (circle.getAttribute("cy") - top) / height;
      if (x < 0 || x > 1 || y < 0 || y > 1) continue;
      const spot = document.createElement("button");
      spot.type = "button";
      spot.className = "spot";
      spot.style.left = `${100 * x}%`;
      spot.style.top = `${100 * y}%`;
      spot.dataset.words = circle.textContent;
      spot.setAttribute("aria-label", circle.textContent);
      spot.tabIndex = layer.querySelector(".spot") ? -1 : 0;
      layer.append(spot);
    }
  };
  // Those in folded pieces get theirs once they are seen.
  const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (!entry.isIntersecting) return;
    seen.unobserve(entry.target);
    spots(entry.target);
  }));
  document.querySelectorAll("figure.plot").forEach((figure) => seen.observe(figure));
  document.querySelectorAll("figure.plot source").forEach((source) => {
    matchMedia(source.media).addEventListener("change", () => spots(source.closest("figure")));
  });

  // One choice of the axis, and one of the scale, for all drawings that have views: a view is called `axis`, `scale` or
  // `axis-scale`, and a drawing that lacks the one asked for stays as it is.
  const viewed = [...document.querySelectorAll("figure.plot[data-views]")].map((figure) => ({ figure, views: JSON.parse(figure.dataset.views) }));
  const chosen = { axis: "epochs", scale: "log" };
  const show = ({ figure, views }) => {
    const box = views[`${chosen.axis}-${chosen.scale}`] ?? views[`${chosen.axis}-linear`] ?? views[chosen.axis] ?? views[chosen.scale];
    const image = figure.querySelector("img");
    if (!box || figure.dataset.view === box) return;
    figure.dataset.view = box;
    image.setAttribute("src", image.getAttribute("src").replace(/viewBox='[^']*'/, `viewBox='${box}'`));
    if (image.closest(".spots")) spots(figure);
  };
  const choice = (name, legend, values, shown, group) => {
    const now = values.includes(chosen[name]) ? chosen[name] : shown;
    const box = document.createElement("fieldset");
    const title = document.createElement("legend");
    title.textContent = legend;
    box.append(title);
    for (const value of values) {
      const label = document.createElement("label");
      const input = Object.assign(document.createElement("input"), { type: "radio", name: `${name}-${group}`, value, checked: value === now });
      input.dataset.choice = name;
      input.addEventListener("change", () => {
        chosen[name] = value;
        for (const other of document.querySelectorAll(`input[data-choice="${name}"][value="${value}"]`)) other.checked = true;
        viewed.forEach(show);
      });
      label.append(input, value);
      box.append(label);
    }
    return box;
  };
  // The switches stand once in every piece of the page that has such drawings, and agree.
  const pieces = new Map();
  for (const each of viewed) {
    const piece = each.figure.closest(".panels, details.more");
    pieces.set(piece, [...(pieces.get(piece) ?? []), each]);
  }
  [...pieces.values()].forEach((among, group) => {
    const names = among.flatMap(({ views }) => Object.keys(views));
    const axes = ["epochs", "updates", "examples", "seconds"].filter((axis) => names.some((name) => name.split("-")[0] === axis));
    const scales = ["log", "linear"].filter((scale) => names.some((name) => name.split("-").at(-1) === scale));
    const switches = document.createElement("div");
    switches.className = "switches";
    const [shown] = names[0].split("-");
    if (axes.length && !axes.includes(chosen.axis)) chosen.axis = axes[0];
    if (axes.length > 1) switches.append(choice("axis", "Against", axes, shown, group));
    if (scales.length > 1) switches.append(choice("scale", "Losses", scales, shown, group));
    if (!switches.hasChildNodes()) return;
    const first = among[0].figure;
    (first.closest(".panels") ?? first).before(switches);
  });

  // A cell that a spreadsheet would take for a formula starts with an apostrophe.
  const quoted = (text) => `"${text.replace(/^[=+@\t]/, "'$&").replace(/"/g, '""')}"`;
  for (const figure of document.querySelectorAll("figure.table")) {
    tool(figure, "CSV", () => {
      const rows = [...figure.querySelectorAll("tr")].map((row) => [...row.cells].map((cell) => quoted(cell.innerText.replace(/\s+/g, " ").trim())).join(","));
      save(new Blob([`${rows.join("\n")}\n`], { type: "text/csv" }), file(figure, "csv"));
    });
  }

  // The chapter that is read is marked in the bar.
  const links = [...document.querySelectorAll(".bar nav a:not(.brand)")];
  const targets = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
  const mark = () => {
    const passed = targets.filter((target) => target.getBoundingClientRect().top < 120).length;
    links.forEach((link, index) => {
      if (index === Math.max(0, passed - 1)) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  };
  let waiting = false;
  document.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; mark(); });
  }, { passive: true });
  mark();
})();
