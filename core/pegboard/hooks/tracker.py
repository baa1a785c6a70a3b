"""The base of hooks that tell somebody else of a run: TensorBoard, MLflow, a service of one's own."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pegboard.errors import PegboardError
from pegboard.hooks.hook import Hook

if TYPE_CHECKING:
    from pegboard.pictures import Shown
    from pegboard.runner import Runner

logger = logging.getLogger("pegboard")

SECONDS_BETWEEN_RECORDS = 1.0
MOST_WAITING = 1000  # calls that a tracker may be behind


@dataclass(frozen=True)
class About:
    """What a tracker is told first.

    Args:
        name: of the run.
        folder: where it is written; whoever must find their own record again after a resume leaves a note here.
        config: as resolved, nested dicts and lists.
        resumed: the run goes on with one that was stopped.
        told_until: seconds since 1970, after which what was told before is told again; None where all is new, or
            where it is not known.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]
    resumed: bool
    told_until: float | None


class Tracker(Hook):
    """Tells somebody else of a run: define those of ``begin``, ``record``, ``picture``, ``flush``, ``checkpoint``
    and ``end`` that you need. They are called one at a time, and never for a run that only evaluates.

    They are called on a thread of their own, so that a slow network costs the run nothing. One that raises, that falls
    1000 calls behind, or that at the end makes no progress for ``patience`` seconds is reported once and told no more;
    the run goes on. Records are handed over about once a second.
    """

    ranks: ClassVar[Literal["all", "first"]] = "first"
    threaded: ClassVar[bool] = True  # False: called in the training thread, for who only writes to files, and fast
    patience: ClassVar[float] = 30.0  # seconds

    _calls: "queue.Queue[tuple[Callable[..., None], tuple[Any, ...]] | None] | None" = None
    _about: About | None = None  # while the run is told of
    _error: Exception | None = None

    def begin(self, about: About) -> None:
        """The run begins, or goes on."""

    def record(self, values: Mapping[str, Any], when: float) -> None:
        """Numbers by name, with ``epoch`` and ``iteration`` among them.

        Args:
            values: e.g. ``{"epoch": 3, "iteration": 150, "loss": 0.8, "lr": 0.1}``, or with ``"val/top1"`` and such.
            when: seconds since 1970.
        """

    def picture(self, shown: "Shown") -> None:
        """A picture: its file is ``shown.path``, its array ``shown.pixels()``, with name, caption and iteration.

        ``shown.data["kind"] == "histograms"`` has counts and edges of tensors.
        """

    def flush(self) -> None:
        """A checkpoint is about to be written: what was told so far is never told again, so it should be kept now."""

    def checkpoint(self, path: Path) -> None:
        """A checkpoint was written; only the newest few stay there, so take the last one at the end."""

    def end(self, summary: Mapping[str, Any]) -> None:
        """The run is over, however it ended: ``summary["exit"]`` is finished, stopped, interrupted or failed.

        Args:
            summary: what ``summary.json`` holds, with ``final`` and ``best`` figures.
        """

    # -- from the run to the tracker -----------------------------------------------------------------------------

    def before_run(self, run: "Runner") -> None:
        resumed = run.resume is not None
        told = run.checkpoints.saved_at(run.iteration) if resumed else None
        self._about = About(run.name, run.folder, run.config.values, resumed, told)
        self._waiting: list[tuple[Mapping[str, Any], float]] = []
        if self.threaded:
            self._calls, self._error = queue.Queue(MOST_WAITING), None
            self._thread = threading.Thread(target=self._work, args=(self._calls,), name=type(self).__name__)
            self._thread.daemon = True
            self._progress = time.monotonic()
            self._thread.start()
        self._tell(self.begin, self._about)

    def on_log(self, run: "Runner", values: Mapping[str, Any]) -> None:
        if self._about is None:
            return
        now = time.time()
        self._waiting.append((values, now))
        if now - self._waiting[0][1] > SECONDS_BETWEEN_RECORDS or any(map(_of_an_epoch, values)):
            self._tell_records()

    def before_checkpoint(self, run: "Runner", state: Mapping[str, Any]) -> None:
        self._tell_records()  # with clock readings from before the checkpoint's, and so they stay
        self._tell(self.flush)

    def after_checkpoint(self, run: "Runner", path: Path) -> None:
        self._tell(self.checkpoint, path)

    def on_show(self, run: "Runner", shown: "Shown") -> None:
        self._tell(self.picture, shown)

    def on_end(self, run: "Runner", summary: Mapping[str, Any]) -> None:
        self._tell_records()
        self._tell(self.end, dict(summary))
        self._about = None
        if self._calls is None:
            return
        calls, self._calls = self._calls, None
        self._progress = time.monotonic()
        with suppress(queue.Full):  # a tracker that far behind is not waited for
            calls.put_nowait(None)
        while self._thread.is_alive() and time.monotonic() - self._progress < self.patience:
            self._thread.join(0.02)
        self._raise_error()
        if self._thread.is_alive():
            logger.warning(
                "%s has not ended after %g s without a sign of life; what it was told last may be missing there",
                type(self).__name__, self.patience,
            )  # fmt: skip

    def _tell_records(self) -> None:
        if self._about is not None:
            waiting, self._waiting = self._waiting, []
            for values, when in waiting:
                self._tell(self.record, values, when)

    def _tell(self, method: Callable[..., None], *given: Any) -> None:
        if self._about is None:
            return
        if self._calls is None:
            method(*given)
            return
        self._raise_error()
        try:
            self._calls.put_nowait((method, given))
        except queue.Full:
            raise PegboardError(
                f"{type(self).__name__} is {MOST_WAITING} calls behind; is what it talks to alive?"
            ) from None

    def _work(self, calls: "queue.Queue[tuple[Callable[..., None], tuple[Any, ...]] | None]") -> None:
        while (call := calls.get()) is not None:
            method, given = call
            try:
                method(*given)
            except Exception as error:  # noqa: BLE001  # a stranger's code, on a thread that nobody watches
                self._error = error  # raised in the training thread, which reports it and calls no more
                return
            self._progress = time.monotonic()

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            self._about = None
            raise error


def _of_an_epoch(name: str) -> bool:
    return name.startswith(("train/", "val/"))
