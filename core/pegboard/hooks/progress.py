"""What a person sees while the run goes on."""

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pegboard.console import duration_text, is_terminal, plain, table
from pegboard.data.batch import Batch
from pegboard.hooks.hook import Hook

if TYPE_CHECKING:
    from pegboard.runner import Runner

SECONDS_BETWEEN_LINES = 15.0


class Progress(Hook):
    """A live bar on a terminal or in a notebook, plain lines elsewhere, and a table at the end.

    The bar shows epoch, iteration, loss, images/s and time left; it reads the loss where the run logs it, so watching
    costs the device nothing.
    """

    fleeting = ("last_line", "last_draw")
    ranks = "first"

    def __init__(self) -> None:
        self.bar: Any = None
        self.task: Any = None
        self.last_line = 0.0
        self.last_draw = 0.0
        self.loss = ""

    def before_train(self, run: "Runner") -> None:
        self.last_line = time.perf_counter()
        if is_terminal():
            self.bar = _bar()
            self.task = self.bar.add_task("", total=run.total_iterations, completed=run.iteration, loss="", speed="")
            self.bar.start()

    def after_train_iter(self, run: "Runner", batch: Batch, loss: Tensor, outputs: Any) -> None:
        if self.bar is not None:
            now = time.perf_counter()
            if now - self.last_draw > 0.1:
                self.last_draw = now
                self._draw(run)

    def _draw(self, run: "Runner") -> None:
        where = f"epoch {run.epoch + 1}" + (f"/{run.epochs}" if run.epochs else "")
        speed = f"{run.speed.recent:,.0f} images/s" if run.speed.recent else ""
        self.bar.update(self.task, description=where, completed=run.iteration, loss=self.loss, speed=speed)

    def on_log(self, run: "Runner", values: Mapping[str, Any]) -> None:
        if "loss" in values:
            self.loss = f"loss {values['loss']:.3f}"
        ends_epoch = any(name.startswith(("train/", "val/")) for name in values)
        now = time.perf_counter()
        if ends_epoch or (self.bar is None and now - self.last_line > SECONDS_BETWEEN_LINES):
            self.last_line = now
            self._line(run, values)

    def _line(self, run: "Runner", values: Mapping[str, Any]) -> None:
        hidden = ("epoch", "iteration")  # and the rates of groups, of which there may be dozens
        shown = {name: value for name, value in values.items() if name not in hidden and not name.startswith("lr/")}
        figures = "  ".join(f"{name} {_figure(value)}" for name, value in shown.items())
        epoch = values.get("epoch", run.epoch + 1)
        of = f"/{run.epochs}" if run.epochs else ""
        left = duration_text(run.speed.seconds_left)
        line = f"epoch {epoch}{of}  iteration {run.iteration}/{run.total_iterations}  {figures}"
        line = plain(line) + f"  {run.speed.recent:,.0f} images/s" + (f"  {left} left" if left else "")
        if self.bar is not None:
            self.bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, flush=True)

    def after_train(self, run: "Runner") -> None:
        self._stop_bar(run)

    def on_exception(self, run: "Runner", error: BaseException) -> None:
        self._stop_bar(run)

    def _stop_bar(self, run: "Runner") -> None:
        if self.bar is not None:
            self._draw(run)
            self.bar.stop()
            self.bar = None

    def after_run(self, run: "Runner") -> None:
        rows = [
            (name, f"{value:.4f}", f"{run.best[name][0]:.4f}", str(run.best[name][1]))
            for name, value in run.final.items()
        ]
        if rows:
            table(("", "last", "best", "at epoch"), rows, file=sys.stdout)
        spent = sorted(run.hook_seconds.items(), key=lambda item: -item[1])
        if shown := [f"{name} {seconds:.1f} s" for name, seconds in spent if seconds >= 0.05]:
            print(f"time in hooks: {', '.join(shown)}", flush=True)


def _bar() -> Any:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )


def _figure(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.3g}"
