// Line charts: values under the pointer and by arrow keys, series on and off, log scale.

const MARGIN = { left: 52, right: 12, top: 8, bottom: 30 };

/** Round places for an axis, about `count` of them. */
function ticks(low, high, count, isLog) {
  if (isLog) {
    const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
    const every = Math.max(1, Math.ceil((last - first + 1) / count));
    const powers = [];
    for (let power = first; power <= last; power += every) powers.push(10 ** power);
    if (powers.length > 2) return powers;
    const between = [];
    for (let power = first - 1; power <= last + 1; power++) {
      for (const factor of [1, 2, 5]) between.push(Number(`${factor}e${power}`));
    }
    const inside = between.filter((place) => place >= low * 0.999 && place <= high * 1.001);
    return inside.length > 1 ? inside : ticks(low, high, count, false);
  }
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw * 0.999);
  const places = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) places.push(Number((n * step).toPrecision(12)));
  return places;
}

function tickText(value) {
  const size = Math.abs(value);
  if (value !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(1).replace(".0e", "e").replace("e+", "e");
  return size >= 1000 ? value.toLocaleString("en") : String(Number(value.toPrecision(6)));
}

/**
 * Draw lines into an element.
 * series: [{label, colour, role, dashed, xs, ys}]; options: {x: what the axis counts, title, height, canLog, isLog}.
 * Returns redraw(series, x), which keeps what is switched off.
 */
function lineChart(place, series, options) {
  const plot = make("div", { class: "plot" });
  const tip = make("div", { class: "tip", hidden: true });
  const said = make("p", { class: "unseen", "aria-live": "polite" });
  let shown = series.map(() => true);
  let [isLog, at, lines, scales] = [Boolean(options.isLog), null, [], null];

  if (options.canLog) {
    const box = make("input", { type: "checkbox", checked: isLog, onchange: () => { isLog = box.checked; draw(); } });
    (place.querySelector("figcaption") ?? place).append(make("label", { class: "log-scale" }, box, "log scale"));
  }
  place.append(plot, said);
  if (series.length > 1) {
    place.append(makeLegend(series.map((one) => one.label), series.map((one) => one.colour), (now) => { shown = now; draw(); },
      series.map((one) => ["line", one.dashed ? "dashed" : "", one.role === "step" && series.some((other) => other.role !== "step") ? "thin" : ""].join(" ").trim())));
  }

  function draw() {
    const width = Math.max(260, plot.clientWidth || 560);
    const height = options.height ?? (width < 420 ? 210 : 250);
    lines = series.map((one, number) => {
      const kept = one.xs.map((x, i) => [x, one.ys[i]]).filter(([, y]) => y !== null && (!isLog || y > 0));
      return { ...one, points: shown[number] ? kept : [] };
    });
    const all = lines.flatMap((line) => line.points);
    const svg = make("svg:svg", {
      viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "img",
      "aria-label": `${options.title}: ${describe()}. Arrow keys read its values.`,
    });
    plot.replaceChildren(svg, tip);
    tip.hidden = true;
    scales = null;
    if (!all.length) {
      svg.append(make("svg:text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, isLog ? "nothing above zero" : "nothing is shown"));
      return;
    }
    const bounds = (values) => values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
    let [x0, x1] = bounds(all.map((point) => point[0]));
    let [y0, y1] = bounds(all.map((point) => point[1]));
    if (x0 === x1) [x0, x1] = [x0 - 0.5, x1 + 0.5];
    const f = isLog ? Math.log10 : (value) => value;
    let [low, high] = [f(y0), f(y1)];
    const room = (high - low) * 0.05 || Math.abs(high) * 0.05 || (isLog ? 0.3 : 0.5);
    const floor = !isLog && y0 >= 0 ? 0 : -Infinity;
    [low, high] = [Math.max(floor, low - room), high + room];
    const right = width - MARGIN.right, bottom = height - MARGIN.bottom;
    const X = (x) => MARGIN.left + ((x - x0) / (x1 - x0)) * (right - MARGIN.left);
    const Y = (y) => bottom - ((f(y) - low) / (high - low)) * (bottom - MARGIN.top);
    const value = (place) => (isLog ? 10 ** place : place);
    for (const y of ticks(value(low), value(high), 5, isLog)) {
      if (Y(y) < MARGIN.top - 1 || Y(y) > bottom + 1) continue;
      svg.append(make("svg:line", { class: "grid", x1: MARGIN.left, x2: right, y1: Y(y), y2: Y(y) }),
        make("svg:text", { x: MARGIN.left - 8, y: Y(y) + 4, "text-anchor": "end" }, tickText(y)));
    }
    for (const x of ticks(x0, x1, width < 420 ? 4 : 7, false)) {
      svg.append(make("svg:text", { x: X(x), y: bottom + 17, "text-anchor": X(x) + 3.4 * tickText(x).length > width ? "end" : "middle" }, tickText(x)));
    }
    svg.append(make("svg:line", { class: "grid base", x1: MARGIN.left, x2: right, y1: bottom, y2: bottom }));
    const ordered = [...lines].sort((one, other) => (other.role === "step") - (one.role === "step"));
    const only = lines.every((line) => line.role === "step");
    for (const line of ordered) {
      const way = line.points.map(([x, y], i) => `${i ? "L" : "M"}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`).join("");
      const classes = [line.role === "step" ? "step" : "", only ? "only" : line.role === "step" && data.runs.length > 1 ? "thin" : "", line.dashed ? "dashed" : ""].join(" ").trim();
      svg.append(make("svg:path", { d: way || "M0 0", class: classes, style: `--k: ${line.colour}` }));
      if (line.points.length === 1) svg.append(make("svg:circle", { cx: X(line.points[0][0]), cy: Y(line.points[0][1]), r: 3.5, style: `--k: ${line.colour}` }));
    }
    const marks = make("svg:g", {});
    svg.append(marks);
    const xs = [...new Set(all.map((point) => point[0]))].sort((one, other) => one - other);
    scales = { X, Y, xs, marks, width, bottom };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      read(nearest(xs, x0 + ((((event.clientX - box.left) / box.width) * width - MARGIN.left) / (right - MARGIN.left)) * (x1 - x0)), false);
    });
    svg.addEventListener("pointerleave", clear);
    svg.addEventListener("blur", clear);
    svg.addEventListener("keydown", (event) => {
      const last = xs.length - 1;
      const to = { ArrowLeft: at === null ? last : Math.max(0, at - 1), ArrowRight: at === null ? 0 : Math.min(last, at + 1), Home: 0, End: last }[event.key];
      if (event.key === "Escape") clear();
      if (to === undefined) return;
      event.preventDefault();
      read(to, true);
    });
  }

  function describe() {
    return lines.filter((line) => line.points.length).map((line) => `${line.label} from ${figure(line.points[0][1])} to ${figure(line.points.at(-1)[1])}`).join(", ") || "nothing is shown";
  }

  function clear() {
    at = null;
    tip.hidden = true;
    scales?.marks.replaceChildren();
  }

  /** Show the values at the n-th place of the horizontal axis. */
  function read(place, aloud) {
    at = place;
    const x = scales.xs[place], { X, Y, marks, width, bottom } = scales;
    marks.replaceChildren(make("svg:line", { class: "cursor", x1: X(x), x2: X(x), y1: MARGIN.top, y2: bottom }));
    const rows = [];
    for (const line of lines) {
      if (!line.points.length) continue;
      const point = line.points[nearest(line.points.map((one) => one[0]), x)];
      if (Math.abs(X(point[0]) - X(x)) > 14) continue;
      marks.append(make("svg:circle", { cx: X(point[0]), cy: Y(point[1]), r: 4, style: `--k: ${line.colour}` }));
      rows.push([line, point[1]]);
    }
    const head = `${options.x} ${figure(x)}`;
    tip.replaceChildren(make("b", {}, head), ...rows.map(([line, y]) => make("span", { style: `--k: ${line.colour}` }, line.label, make("em", {}, figure(y)))));
    tip.hidden = false;
    const share = X(x) / width;
    tip.style.left = share < 0.5 ? `calc(${100 * share}% + 12px)` : "auto";
    tip.style.right = share < 0.5 ? "auto" : `calc(${100 - 100 * share}% + 12px)`;
    if (aloud) said.textContent = [head, ...rows.map(([line, y]) => `${line.label} ${figure(y)}`)].join(", ");
  }

  new ResizeObserver(() => plot.clientWidth && Math.abs((scales?.width ?? 0) - plot.clientWidth) > 1 && draw()).observe(plot);
  draw();
  return (next, x) => {
    [series, options.x] = [next, x ?? options.x];
    draw();
  };
}

/** Index of the number of a rising list that is next to `wanted`. */
function nearest(numbers, wanted) {
  let [low, high] = [0, numbers.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (numbers[middle] < wanted) low = middle; else high = middle;
  }
  return Math.abs(numbers[low] - wanted) <= Math.abs(numbers[high] - wanted) ? low : high;
}

const COLOUR_OF_ROLE = { train: "var(--c0)", val: "var(--c1)", step: "var(--c0-faint)" };

function startCurves() {
  const several = data.runs.length > 1;
  const names = { epochs: "epoch", iterations: "iteration" };
  const redraws = [];
  const seriesOf = (chart, axis) => chart.series.map((one, place) => ({
    label: several ? (chart.series.filter((other) => other.run === one.run).length > 1 ? `${data.runs[one.run]}, ${one.label}` : data.runs[one.run]) : one.label,
    colour: several ? colour(one.run, data.runs.length) : chart.series.every((other) => other.role === "step") ? colour(place, chart.series.length) : COLOUR_OF_ROLE[one.role],
    dashed: several && one.role === "train",
    role: one.role,
    xs: one[axis],
    ys: one.values,
  }));
  for (const place of document.querySelectorAll("[data-chart]")) {
    const chart = data.charts[place.dataset.chart];
    const redraw = lineChart(place, seriesOf(chart, "epochs"), { x: "epoch", title: chart.title, canLog: true });
    redraws.push((axis) => redraw(seriesOf(chart, axis), names[axis]));
  }
  const axis = document.getElementById("axis");
  if (axis) axis.hidden = false;
  for (const input of document.querySelectorAll("[name=axis]")) {
    input.addEventListener("change", () => redraws.forEach((redraw) => redraw(input.value)));
  }
}
