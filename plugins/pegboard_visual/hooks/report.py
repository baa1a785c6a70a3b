"""The report of a run, written by the run itself."""

from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from pegboard import Hook, PegboardError

if TYPE_CHECKING:
    from pegboard import Runner, Shown
    from pegboard_visual.report.embed import Embedder

FIRST_COST, PICTURE_COST = 0.5, 0.2  # seconds that the first page is expected to take, and each picture in it


class Report(Hook):
    """Write ``report.html`` into the run folder: at the end, however the run ends, and after validations.

    After a validation only while all its writing stays within ``share`` of the run's time so far, by its own measured
    cost; so a short run has its report at the end alone.

    Args:
        share: of the run's time that may go into refreshing the page, from 0 (only at the end).
    """

    fleeting = ("started", "spent", "last_cost")
    ranks = "first"

    def __init__(self, share: float = 0.01) -> None:
        if isinstance(share, bool) or not isinstance(share, int | float) or not share >= 0:
            raise PegboardError(f"Report: share must be a number from 0, got {share!r}")
        self.share = share
        self.started = 0.0
        self.spent = 0.0
        self.last_cost = FIRST_COST
        self.embedder: Embedder | None = None

    def before_run(self, run: "Runner") -> None:
        self.started = perf_counter()

    def on_log(self, run: "Runner", values: Mapping[str, Any]) -> None:
        elapsed = perf_counter() - self.started
        measured = any(name.startswith("val/") for name in values)
        if measured and self.spent + self.last_cost <= self.share * elapsed:
            from pegboard.runner.record import summary

            self._write(run, summary(run, "running", elapsed))

    def on_end(self, run: "Runner", summary: Mapping[str, Any]) -> None:
        self._write(run, summary)

    def on_show(self, run: "Runner", shown: "Shown") -> None:
        if self.embedder is None:  # before the first page
            self.last_cost += PICTURE_COST

    def _write(self, run: "Runner", summary: Mapping[str, Any]) -> None:
        before = perf_counter()
        from pegboard_visual.report.embed import Embedder
        from pegboard_visual.report.page import write
        from pegboard_visual.report.run_folder import read

        self.embedder = self.embedder or Embedder()
        write(read(run.folder, dict(summary)), run.folder / "report.html", self.embedder)
        self.last_cost = perf_counter() - before
        self.spent += self.last_cost
