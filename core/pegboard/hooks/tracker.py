"""The base of hooks that tell somebody else of a run: TensorBoard, MLflow, a service of one's own."""

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pegboard.errors import PegboardError, reason_of
from pegboard.hooks.hook import Hook

if TYPE_CHECKING:
    from pegboard.pictures import Shown
    from pegboard.runner import Runner

logger = logging.getLogger("pegboard")

SECONDS_BETWEEN_RECORDS = 1.0
MOST_WAITING = 1000  # calls that a tracker may be behind
SECONDS_OF_SILENCE = 2.0  # that a finished run waits for a tracker before it says so


@dataclass(frozen=True)
class About:
    """What a tracker is told first.

    Args:
        name: of the run, and of every other of the same config; ``folder.name`` tells them apart.
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
    and ``end`` that you need. They are called one at a time, on the first rank alone, and never for a run that only
    evaluates.

    They are called on a thread of their own, so that a slow network costs the run nothing, nor does an import there;
    ``__init__`` is not. One that raises, that falls 1000 calls behind, or that at the end makes no progress for
    ``patience`` seconds (an attribute of the class) is reported in one line and told no more; the run goes on, and
    ``log.txt`` has the traceback. Records are handed over about once a second.

    An attribute with an id that the service gave, which is another one in each run, is named in ``fleeting``.
    """

    ranks: ClassVar[Literal["all", "first"]] = "first"
    threaded: ClassVar[bool] = True  # False: called in the training thread, for who only writes to files, and fast
    patience: ClassVar[float] = 30.0  # seconds

    _about: About | None = None  # while the run is told of
    _line: "_Line | None" = None

    def begin(self, about: About) -> None:
        """The run begins, or goes on."""

    def record(self, values: Mapping[str, Any], when: float) -> None:
        """Floats by name, nan and infinite ones too, with ``epoch`` and ``iteration`` among them, which are int.

        A hook may log under any name, and one may be the beginning of another, as ``lr`` and ``lr/conv*`` of parameter
        groups are: change them for a service that takes fewer characters, or keeps a name as a file.

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
        """A checkpoint was written; only the newest few stay there, so take the last one at the end.

        What the hook ``BestCheckpoint`` keeps is no checkpoint of the run; it lies beside it, as ``best.pt``.
        """

    def end(self, summary: Mapping[str, Any]) -> None:
        """The run is over, however it ended: ``summary["exit"]`` is finished, stopped, interrupted or failed.

        All files of the run folder are there, ``report.html`` among them unless its hook is off.

        Args:
            summary: what ``summary.json`` holds, with ``final`` and ``best`` figures.
        """

    # -- from the run to the tracker -----------------------------------------------------------------------------

    def before_run(self, run: "Runner") -> None:
        resumed = run.resume is not None
        told = run.checkpoints.saved_at(run.iteration) if resumed else None
        self._about = About(run.name, run.folder, run.config.values, resumed, told)
        self._waiting: list[tuple[Mapping[str, Any], float]] = []
        self._line = _Line(type(self).__name__) if self.threaded else None
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
        line, self._line = self._line, None
        if line is not None and not line.end(self.patience):
            logger.warning(
                "%s has not ended after %g s without a sign of life, in %s; what it was told last may be missing there",
                type(self).__name__, self.patience, line.doing,
            )  # fmt: skip

    def _tell_records(self) -> None:
        if self._about is not None:
            waiting, self._waiting = self._waiting, []
            for values, when in waiting:
                self._tell(self.record, values, when)

    def _tell(self, method: Callable[..., None], *given: Any) -> None:
        if self._about is None:
            return
        try:
            if self._line is None:
                _call(method, given)
            else:
                self._line.put(method, given)
        except TrackerFailed:
            self._about = None
            raise


class TrackerFailed(PegboardError):
    """A tracker raised, or fell too far behind.

    Args:
        method: of the tracker, e.g. ``"begin"``; the hook point at which the run hears of it says nothing.
        reason: one line.
    """

    def __init__(self, method: str, reason: str) -> None:
        super().__init__(reason)
        self.method = method


class _Line:
    """Calls that wait for a tracker, and the thread that makes them, one at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: queue.Queue[tuple[Callable[..., None], tuple[Any, ...]] | None] = queue.Queue(MOST_WAITING)
        self.failed: TrackerFailed | None = None
        self.progress = time.monotonic()
        self.doing = ""  # the method that is being called
        self.thread = threading.Thread(target=self.work, name=name, daemon=True)
        self.thread.start()

    def put(self, method: Callable[..., None], given: tuple[Any, ...]) -> None:
        """Hand over a call; what an earlier one raised is raised here, in the training thread."""
        self.raise_failure()
        try:
            self.calls.put_nowait((method, given))
        except queue.Full:
            reason = f"{self.name} is {MOST_WAITING} calls behind; is what it talks to alive?"
            raise TrackerFailed(method.__name__, reason) from None

    def end(self, patience: float) -> bool:
        """Wait until all calls are made; False if there is no progress for so many seconds."""
        self.progress = time.monotonic()
        with suppress(queue.Full):  # a tracker that far behind is not waited for
            self.calls.put_nowait(None)
        silent_until = self.progress + SECONDS_OF_SILENCE
        while self.thread.is_alive() and time.monotonic() - self.progress < patience:
            self.thread.join(0.02)
            if time.monotonic() > silent_until:
                silent_until = math.inf
                logger.info("waiting for %s, which is in %s; %d calls after it", self.name, self.doing, self.waiting())
        self.raise_failure()
        return not self.thread.is_alive()

    def waiting(self) -> int:
        return max(0, self.calls.qsize() - 1)  # one of them only ends the thread

    def work(self) -> None:
        while (call := self.calls.get()) is not None:
            self.doing = call[0].__name__
            try:
                _call(*call)
            except TrackerFailed as failed:
                self.failed = failed
                return
            self.progress = time.monotonic()

    def raise_failure(self) -> None:
        failed, self.failed = self.failed, None
        if failed is not None:
            raise failed


def _call(method: Callable[..., None], given: tuple[Any, ...]) -> None:
    try:
        method(*given)
    except Exception as error:  # a stranger's code, which talks to a stranger's service
        raise TrackerFailed(method.__name__, reason_of(error)) from error


def _of_an_epoch(name: str) -> bool:
    return name.startswith(("train/", "val/"))
