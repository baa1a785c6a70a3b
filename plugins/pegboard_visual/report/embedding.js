// Embeddings: points in the plane by class, classes on and off, a slider over epochs.

function startEmbeddings() {
  for (const one of data.embedding ?? []) {
    const place = document.querySelector(`[data-embedding="${one.key}"]`);
    const canvas = make("canvas", { role: "img", "aria-label": `${one.method} of ${one.steps.at(-1).points.length} images, coloured by class` });
    const readout = make("p", { class: "readout", "aria-live": "polite" }, "Point at a dot to see its class.");
    const colours = one.classes.map((_, number) => colour(number, one.classes.length));
    let [step, shown, spots] = [one.steps.at(-1), one.classes.map(() => true), []];

    const draw = () => {
      const width = canvas.clientWidth || 600, height = Math.round(width * 0.66), ratio = window.devicePixelRatio || 1;
      [canvas.width, canvas.height] = [width * ratio, height * ratio];
      const pen = canvas.getContext("2d");
      pen.scale(ratio, ratio);
      const real = colours.map((name) => (name.startsWith("var") ? getComputedStyle(canvas).getPropertyValue(name.slice(4, -1)).trim() : name));
      const range = (axis) => step.points.reduce(([low, high], point) => [Math.min(low, point[axis]), Math.max(high, point[axis])], [Infinity, -Infinity]);
      const [[x0, x1], [y0, y1]] = [range(0), range(1)];
      const radius = step.points.length > 800 ? 2.2 : 3;
      spots = [];
      pen.globalAlpha = 0.8;
      step.points.forEach(([x, y], number) => {
        const target = step.targets[number];
        if (!shown[target]) return;
        const spot = [10 + ((x - x0) / (x1 - x0 || 1)) * (width - 20), height - 10 - ((y - y0) / (y1 - y0 || 1)) * (height - 20), target];
        pen.fillStyle = real[target];
        pen.beginPath();
        pen.arc(spot[0], spot[1], radius, 0, 7);
        pen.fill();
        spots.push(spot);
      });
    };
    canvas.addEventListener("pointermove", (event) => {
      const box = canvas.getBoundingClientRect();
      const far = (spot) => Math.hypot(spot[0] - (event.clientX - box.left), spot[1] - (event.clientY - box.top));
      const near = spots.reduce((best, spot) => (far(spot) < best[0] ? [far(spot), spot] : best), [12, null])[1];
      readout.textContent = near ? one.classes[near[2]] : "Point at a dot to see its class.";
    });
    const slider = makeSlider(one.steps.map((each) => `epoch ${each.epoch}`), "Epoch of the embedding", (chosen) => { step = one.steps[chosen]; draw(); });
    place.append(...[slider, readout, canvas, makeLegend(one.classes, colours, (now) => { shown = now; draw(); })].filter(Boolean));
    new ResizeObserver(draw).observe(canvas.parentElement);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    draw();
  }
}
