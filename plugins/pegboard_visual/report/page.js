"use strict";
// What every part of the page uses: elements, numbers, sliders. `data` is all that the run's files said.

const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; a text child is text, never markup. */
function make(tag, attributes = {}, ...children) {
  const element = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A number as a reader wants it: four digits that count. */
function figure(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(2).replace("e", " e").replace("e+", "e");
  return Number.isInteger(value) ? value.toLocaleString("en") : value.toPrecision(4);
}

/** Lets a range control choose among steps, and says which one it is. */
function steps(slider, names, choose) {
  const [input, output] = [slider.querySelector("input"), slider.querySelector("output")];
  const show = () => {
    output.textContent = names[input.value];
    input.setAttribute("aria-valuetext", names[input.value]);
    choose(Number(input.value));
  };
  input.addEventListener("input", show);
  input.value = names.length - 1;
  input.setAttribute("aria-valuetext", names[names.length - 1]);
}

/** A range control that is made here; null where there is nothing to choose. */
function makeSlider(names, label, choose) {
  if (names.length < 2) return null;
  const slider = make("label", { class: "slider" }, make("span", { class: "unseen" }, label),
    make("input", { type: "range", min: 0, max: names.length - 1, step: 1 }), make("output", {}, names.at(-1)));
  steps(slider, names, choose);
  return slider;
}

/** Buttons that switch parts of a drawing on and off. */
function makeLegend(labels, colours, change, classes = []) {
  const shown = labels.map(() => true);
  const buttons = labels.map((label, place) => make("button", {
    type: "button", class: classes[place] ?? "", "aria-pressed": "true", style: `--k: ${colours[place]}`,
    onclick: (event) => {
      shown[place] = !shown[place];
      event.currentTarget.setAttribute("aria-pressed", shown[place]);
      change(shown);
    },
  }, label));
  return make("div", { class: "legend", role: "group", "aria-label": "Shown" }, ...buttons);
}

/** The colour of the n-th of several things; beyond ten, hues between. */
function colour(place, of = 10) {
  return of <= 10 ? `var(--c${place % 10})` : `hsl(${Math.round((360 * place) / of)} 55% ${place % 2 ? 45 : 58}%)`;
}

function startPictures() {
  const dialog = document.getElementById("large");
  for (const strip of document.querySelectorAll("[data-strip]")) {
    const buttons = [...strip.querySelectorAll(".zoom")];
    const slider = strip.querySelector(".slider");
    if (slider) {
      steps(slider, buttons.map((button) => button.dataset.when), (chosen) => {
        buttons.forEach((button, place) => (button.hidden = place !== chosen));
      });
    }
  }
  for (const button of document.querySelectorAll(".zoom")) {
    button.addEventListener("click", () => {
      const [from, to] = [button.querySelector("img"), dialog.querySelector("img")];
      to.src = from.src;
      to.alt = from.alt;
      to.classList.toggle("small", from.naturalWidth < 320);
      dialog.showModal();
    });
  }
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}

function startTables() {
  for (const table of document.querySelectorAll(".sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    const valueOf = (row, column) => {
      const cell = row.cells[column];
      const text = (cell.dataset.value ?? cell.textContent).trim();
      const number = Number(text.replaceAll(",", ""));
      return "text" in heads[column].dataset ? text : text === "" || Number.isNaN(number) ? -Infinity : number;
    };
    heads.forEach((head, column) => {
      const text = head.textContent;
      head.replaceChildren(make("button", { type: "button", onclick: () => {
        const rising = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "descending" : "text" in head.dataset;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", rising ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows];
        const compare = (one, other) => (typeof one === "string" ? one.localeCompare(other, "en") : one < other ? -1 : one > other ? 1 : 0);
        rows.sort((one, other) => (rising ? 1 : -1) * compare(valueOf(one, column), valueOf(other, column)));
        table.tBodies[0].append(...rows);
      } }, text));
    });
  }
}

function startSettings() {
  const [find, table, found] = ["find", "settings", "found"].map((id) => document.getElementById(id));
  if (!find) return;
  const rows = [...table.tBodies[0].rows].map((row) => [row, row.textContent.toLowerCase()]);
  find.addEventListener("input", () => {
    const wanted = find.value.trim().toLowerCase();
    for (const [row, text] of rows) row.hidden = !text.includes(wanted);
    const count = rows.filter(([row]) => !row.hidden).length;
    found.textContent = wanted ? `${count} of ${rows.length} values` : "";
  });
}

function startCommand() {
  const button = document.querySelector(".copy");
  if (!button || !navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
}
