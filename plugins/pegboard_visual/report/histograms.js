// Histograms of one tensor at a time, a slider over epochs, its quantiles, and how large the updates are.

function startHistograms() {
  const place = document.getElementById("histogram"), all = data.histograms;
  if (!place || !all) return;
  const select = make("select", { "aria-label": "Tensor" }, ...all.names.map((name) => make("option", { value: name }, name)));
  const plot = make("div", { class: "plot" });
  const readout = make("p", { class: "readout", "aria-live": "polite" });
  const quantiles = make("figure", { class: "panel chart" }, make("figcaption", {}, make("h3", {}, "quantiles over epochs")));
  let [step, redraw] = [all.steps.at(-1), null];

  const bars = () => {
    const found = step.tensors[select.value], width = Math.max(260, plot.clientWidth || 560), height = 230;
    const svg = make("svg:svg", { viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: 0 });
    plot.replaceChildren(svg);
    if (!found) {
      svg.setAttribute("aria-label", "no values");
      svg.append(make("svg:text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "no values at this epoch"));
      return;
    }
    const [low, high, counts] = found, most = Math.max(...counts, 1), total = counts.reduce((sum, count) => sum + count, 0);
    const edge = (number) => (high === null ? low[number] : low + ((high - low) * number) / counts.length);
    const [x0, x1] = [edge(0), edge(counts.length)], bottom = height - 28;
    const X = (x) => 14 + ((x - x0) / (x1 - x0 || 1)) * (width - 28);
    svg.setAttribute("aria-label", `${select.value}: ${total.toLocaleString("en")} values from ${figure(x0)} to ${figure(x1)}. Arrow keys read the bars.`);
    counts.forEach((count, number) => {
      const tall = (count / most) * (bottom - 8);
      svg.append(make("svg:rect", { class: "bar", x: X(edge(number)), width: Math.max(0.5, X(edge(number + 1)) - X(edge(number)) - 1), y: bottom - tall, height: tall }));
    });
    svg.append(make("svg:line", { class: "grid base", x1: 14, x2: width - 14, y1: bottom, y2: bottom }));
    for (const x of ticks(Math.min(x0, x1), Math.max(x0, x1), width < 420 ? 4 : 7, false)) {
      svg.append(make("svg:text", { x: X(x), y: bottom + 17, "text-anchor": "middle" }, tickText(x)));
    }
    let at = null;
    const read = (number) => {
      at = Math.max(0, Math.min(counts.length - 1, number));
      readout.textContent = `${figure(edge(at))} to ${figure(edge(at + 1))}: ${counts[at].toLocaleString("en")} of ${total.toLocaleString("en")} values`;
    };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = x0 + ((((event.clientX - box.left) / box.width) * width - 14) / (width - 28)) * (x1 - x0);
      read(counts.findIndex((_, number) => x < edge(number + 1)) >= 0 ? counts.findIndex((_, number) => x < edge(number + 1)) : counts.length - 1);
    });
    svg.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!move) return;
      event.preventDefault();
      read(at === null ? 0 : at + move);
    });
    readout.textContent = `${total.toLocaleString("en")} values`;
  };
  const lines = () => {
    const found = all.quantiles[select.value] ?? { epochs: [], lines: {} };
    const names = Object.keys(found.lines).sort((one, other) => other - one);
    return names.map((name, number) => ({ label: name === "0.5" ? "median" : `quantile ${name}`, colour: colour(number, names.length), role: "val", xs: found.epochs, ys: found.lines[name] }));
  };
  const show = () => { bars(); redraw?.(lines(), "epoch"); };
  select.addEventListener("change", show);
  const slider = makeSlider(all.steps.map((each) => `epoch ${each.epoch}`), "Epoch of the histogram", (chosen) => { step = all.steps[chosen]; bars(); });
  const panels = make("div", { class: "panels" }, make("figure", { class: "panel" }, ...[select, slider, readout, plot].filter(Boolean)));
  place.append(panels);
  if (Object.values(all.quantiles).some((found) => Object.keys(found.lines).length)) {
    panels.append(quantiles);
    redraw = lineChart(quantiles, lines(), { x: "epoch", title: "quantiles" });
  }
  const ratios = Object.entries(all.ratios);
  if (ratios.length) {
    const updates = make("figure", { class: "panel chart" }, make("figcaption", {}, make("h3", {}, "update over weight")));
    panels.append(updates);
    lineChart(updates, ratios.map(([name, found], number) => ({ label: name, colour: colour(number, ratios.length), role: "val", xs: found.epochs, ys: found.values })),
      { x: "epoch", title: "size of the update over that of the weight", canLog: true, isLog: true });
  }
  new ResizeObserver(bars).observe(plot.parentElement);
  show();
}
