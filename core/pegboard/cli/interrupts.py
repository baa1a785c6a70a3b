"""Ctrl-C during a run."""

import signal
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pegboard.runner import Runner


class Interrupts:
    """While it is open, the first Ctrl-C ends the run with its state saved, and a second one ends it at once."""

    def __init__(self, runner: "Runner") -> None:
        self.runner = runner

    def __enter__(self) -> None:
        self.before = signal.signal(signal.SIGINT, self._first)

    def _first(self, number: int, frame: FrameType | None) -> None:
        self.runner.interrupt("interrupted by Ctrl-C")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self.before)
