// Confusion matrices: the cell under the pointer in words, arrow keys, a slider over epochs.

function startConfusion() {
  for (const one of data.confusion ?? []) {
    const place = document.querySelector(`[data-matrix="${one.key}"]`);
    const table = place?.querySelector(".confusion");
    if (!table || !one.steps.length) continue;
    const rows = [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll("td")]);
    const names = [...table.tHead.querySelectorAll("th")].map((head) => head.textContent);
    const readout = place.querySelector(".readout");
    let [counts, at] = [one.steps.at(-1).counts, null];

    const show = () => rows.forEach((cells, truth) => {
      const total = counts[truth].reduce((sum, count) => sum + count, 0);
      cells.forEach((cell, predicted) => {
        const count = counts[truth][predicted], share = total ? count / total : 0;
        cell.textContent = count.toLocaleString("en");
        cell.style.setProperty("--share", share.toFixed(4));
        cell.style.setProperty("--some", count && truth !== predicted ? 1 : 0);
        cell.classList.toggle("zero", count === 0);
        cell.classList.toggle("strong", share > 0.45);
      });
    });
    const read = (truth, predicted) => {
      if (at) rows[at[0]][at[1]].classList.remove("at");
      at = [truth, predicted];
      rows[truth][predicted].classList.add("at");
      const count = counts[truth][predicted], total = counts[truth].reduce((sum, other) => sum + other, 0);
      const share = total ? ` (${((100 * count) / total).toFixed(1)} %)` : "";
      const what = truth === predicted ? `${names[truth]} recognised` : `${names[truth]} taken for ${names[predicted]}`;
      readout.textContent = `${what}: ${count.toLocaleString("en")} of ${total.toLocaleString("en")}${share}`;
    };
    table.addEventListener("pointerover", (event) => {
      const cell = event.target.closest("tbody td");
      const truth = rows.findIndex((cells) => cells.includes(cell));
      if (truth >= 0) read(truth, rows[truth].indexOf(cell));
    });
    table.addEventListener("keydown", (event) => {
      const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!move) return;
      event.preventDefault();
      const within = (number) => Math.max(0, Math.min(names.length - 1, number));
      at ? read(within(at[0] + move[0]), within(at[1] + move[1])) : read(0, 0);
    });
    const slider = place.querySelector(".slider");
    if (slider) {
      steps(slider, one.steps.map((step) => `epoch ${step.epoch}`), (chosen) => {
        counts = one.steps[chosen].counts;
        show();
        if (at) read(...at);
      });
    }
    show();
  }
}
