"""The run's figures as lines of JSON."""

import json
import logging
import math
import os
import time
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pegboard.errors import CheckpointError
from pegboard.hooks.hook import Hook

if TYPE_CHECKING:
    from pegboard.runner import Runner

logger = logging.getLogger("pegboard")


class MetricsFile(Hook):
    """Write each record to ``metrics.jsonl``, and what depends on the machine's speed to ``timing.jsonl``.

    Two runs of one config and seed write the same ``metrics.jsonl``. A resumed run first cuts both files back to what
    they held at its checkpoint, and a line that a killed run did not finish. Lines that a full disk refuses wait for
    the next one; the run fails if they still wait at its end.
    """

    essential = True
    ranks = "first"
    state = ("sizes",)
    fleeting = ("timing.jsonl",)

    def __init__(self) -> None:
        self.sizes = {"metrics.jsonl": 0, "timing.jsonl": 0}  # bytes at the last checkpoint
        self.files: dict[str, LinesFile] = {}

    def before_run(self, run: "Runner") -> None:
        for name, size in self.sizes.items():
            self.files[name] = LinesFile(run.folder / name, size)

    def on_log(self, run: "Runner", values: Mapping[str, Any]) -> None:
        self.files["metrics.jsonl"].write({name: _strict(value) for name, value in values.items()})
        timing = {
            "time": round(time.time(), 3),
            "iteration": run.iteration,
            "images_per_second": round(run.speed.recent, 1),
            "data_wait": round(run.speed.data_wait, 4),
        }
        if run.ranks.several:
            timing["communication"] = round(run.speed.communication, 4)
        self.files["timing.jsonl"].write(timing)

    def after_run(self, run: "Runner") -> None:
        self._close()
        if refused := [str(file.path) for file in self.files.values() if file.waiting]:
            raise CheckpointError(f"the last lines of {' and '.join(refused)} could not be written")

    def on_exception(self, run: "Runner", error: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        for file in self.files.values():
            file.close()

    def state_dict(self) -> dict[str, Any]:
        return {"sizes": dict(self.sizes)}

    def before_checkpoint(self, run: "Runner", state: Mapping[str, Any]) -> None:
        for name, file in self.files.items():
            self.sizes[name] = file.settle()


class LinesFile:
    """A file that grows by whole lines of JSON.

    Args:
        size: bytes to begin with; what lies beyond is cut off, and a last line that is not whole.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.waiting = b""  # what the disk has refused so far
        self.file = FileIO(path, "a+")  # without a buffer: each write says what was taken
        found = self.file.seek(0, os.SEEK_END)
        self.file.seek(0)
        kept = self.file.read(min(size, found))
        whole = kept.rfind(b"\n") + 1
        if 0 < found < size or whole < len(kept):
            logger.warning("%s has lost lines: it held %d bytes at the checkpoint, now %d", path, size, whole)
        self.file.truncate(whole)  # a run that goes on in another folder begins with empty files

    def write(self, record: Mapping[str, Any]) -> None:
        """Add a line, or keep it for later if the disk is full."""
        self._bring_back()
        first = not self.waiting
        self.waiting += json.dumps(record).encode() + b"\n"
        self._write_waiting(say=first)

    def _write_waiting(self, say: bool) -> None:
        try:
            while self.waiting:
                self.waiting = self.waiting[self.file.write(self.waiting) or 0 :]
        except OSError as error:
            if say:
                logger.error("%s cannot be written: %s; its lines wait for the next one", self.path, error.strerror)

    def settle(self) -> int:
        """Let what was written reach the disk itself: a checkpoint is about to count on it.

        Returns:
            the size of the file, with the lines that still wait.
        """
        self._bring_back()
        os.fsync(self.file.fileno())
        return self.file.seek(0, os.SEEK_END) + len(self.waiting)

    def _bring_back(self) -> bytes:
        """If somebody has removed the file, write it again: as long as it is open, its lines can be read.

        Returns:
            those lines, if the disk refuses them: they are tried again.
        """
        if os.fstat(self.file.fileno()).st_nlink:
            return b""
        self.file.seek(0)
        lines = self.file.read()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(lines)
            file = FileIO(self.path, "a+")
        except OSError:
            return lines
        self.file.close()
        self.file = file
        logger.warning("%s was removed while the run wrote to it; it is written again, with all its lines", self.path)
        return b""

    def close(self) -> None:
        """Try once more to write what still waits."""
        if not self.file.closed:
            self._write_waiting(say=False)
            self.waiting += self._bring_back()
            self.file.close()


def _strict(value: Any) -> Any:
    """JSON knows no nan and no infinity."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
