"""What a run that hangs is doing."""

import faulthandler
import logging
import time
from typing import IO, TYPE_CHECKING, Any

from torch import Tensor

from pegboard import Batch, Hook, PegboardError

if TYPE_CHECKING:
    from pegboard import Runner

logger = logging.getLogger("pegboard")


class Watchdog(Hook):
    """Write every thread's stack into ``log.txt`` where no iteration has ended for too long.

    Iterations of training and of validation count. The run goes on: whoever waits for it can read where it stands. A
    process has one such timer (``faulthandler.dump_traceback_later``); another user of it takes it over. Of several
    ranks each writes into its own log.

    Args:
        minutes: how long an iteration may take, with all that comes before its end (the first batch, a checkpoint, an
            epoch's metrics); a fraction will do. Until the stacks are written it can take a second longer.

    Raises:
        PegboardError: ``minutes`` is not above 0.
    """

    def __init__(self, minutes: float = 10) -> None:
        if not minutes > 0:
            raise PegboardError(f"Watchdog: minutes must be above 0, got {minutes}")
        self.minutes = minutes
        self.between = min(1.0, minutes * 6)  # seconds between two settings of the timer, which cost 0.1 ms each
        self.seconds = minutes * 60 + self.between
        self.set_at = 0.0
        self.file: IO[str] | None = None

    def before_train(self, run: "Runner") -> None:
        name = "log.txt" if run.ranks.first else f"log_rank{run.ranks.rank}.txt"
        self.file = (run.folder / name).open("a", encoding="utf-8")
        self._set(time.monotonic())

    def after_train_iter(self, run: "Runner", batch: Batch, loss: Tensor, outputs: Any) -> None:
        self._alive()

    def after_val_iter(self, run: "Runner", batch: Batch, outputs: Any) -> None:
        self._alive()

    def _alive(self) -> None:
        now = time.monotonic()
        if now - self.set_at < self.between or self.file is None:
            return
        if now - self.set_at > self.seconds:
            logger.warning("no iteration ended for %.0f s; the stacks above say what ran", now - self.set_at)
        self._set(now)

    def _set(self, now: float) -> None:
        if self.file is not None:
            self.set_at = now
            faulthandler.dump_traceback_later(self.seconds, file=self.file)

    def after_train(self, run: "Runner") -> None:
        self._end(run)

    def on_exception(self, run: "Runner", error: BaseException) -> None:
        self._end(run)

    def _end(self, run: "Runner") -> None:
        if self.file is None:
            return
        faulthandler.cancel_dump_traceback_later()
        self.file.close()
        self.file, self.set_at = None, 0.0
