"""Ctrl-C, and what a scheduler sends when time is up, during a run."""

import multiprocessing
import os
import signal
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pegboard.runner import Runner

# Signal -> what is said, and the exit status once the state is saved. A cluster's scheduler can be told to send
# SIGUSR1 some time before the end; that is no failure. Windows has no such signal.
SIGNALS = {"SIGINT": ("Ctrl-C", 130), "SIGTERM": ("SIGTERM", 143), "SIGUSR1": ("SIGUSR1", 0)}


class Interrupts:
    """While it is open, the first of these signals ends the run with its state saved, a second Ctrl-C at once.

    Attributes:
        status: what to exit with; None as long as no signal has come.
    """

    def __init__(self, runner: "Runner") -> None:
        self.runner = runner
        self.status: int | None = None
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        for number in (signal.Signals[name] for name in SIGNALS if hasattr(signal, name)):
            self.before[number] = signal.signal(number, self._first)
        return self

    def _first(self, number: int, frame: FrameType | None) -> None:
        text, self.status = SIGNALS[signal.Signals(number).name]
        self.runner.interrupt(f"interrupted by {text}")
        signal.signal(signal.SIGINT, self._second)
        if self.runner.ranks.several:
            return  # said once all agree: a launcher sends this also to those whose peer has died
        _say(f"{text}: the state is saved after this iteration; Ctrl-C ends the run at once, without\n")

    def _second(self, number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        for worker in multiprocessing.active_children():
            worker.kill()  # else they are waited for
        raise KeyboardInterrupt

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    """Past Python's streams, which must not be used in a signal handler that may have come amid a write to them."""
    try:
        os.write(2, line.encode())
    except OSError:  # closed
        return
