"""TensorBoard's event files, written by the caller's own hand."""

import logging
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorboardX.record_writer import RecordWriter


logger = logging.getLogger("pegboard")


class EventFiles:
    """Event files below a folder, one in each folder of series.

    tensorboardX's ``SummaryWriter`` hands events to a thread through a queue: a killed process loses what is in it,
    and whoever writes after a full disk has ended the thread waits for ever. Here an event is on the disk once
    ``flush`` returns.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, RecordWriter] = {}
        self.paths: dict[str, Path] = {}

    def add(self, summary: Any, step: int, when: float | None = None, below: str = "") -> None:
        """Add an event.

        Args:
            summary: a protocol buffer that a function of ``tensorboardX.summary`` gives.
            when: seconds since 1970; now unless given.
            below: the folder of its series; what is no part of a plain file name becomes ``_``.

        Raises:
            OSError: the disk does not take it; all files are closed.
        """
        from tensorboardX.proto.event_pb2 import Event

        try:
            self._file(below).write(
                Event(wall_time=when or time.time(), step=step, summary=summary).SerializeToString()
            )
        except OSError:
            self.abandon()
            raise

    def _file(self, below: str) -> "RecordWriter":
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import RecordWriter

        if below not in self.files:
            folder = self.folder / below
            folder.mkdir(parents=True, exist_ok=True)
            now = time.time_ns()  # a run that is resumed within the second writes to another file
            path = folder / f"events.out.tfevents.{now // 10**9}.{socket.gethostname()}.{now}"
            self.files[below], self.paths[below] = RecordWriter(str(path)), path
            self.files[below].write(Event(wall_time=now / 1e9, file_version="brain.Event:2").SerializeToString())
        return self.files[below]

    def flush(self) -> None:
        """Let everything reach the disk itself; a file that somebody has removed is followed by a new one.

        Raises:
            OSError: it does not; all files are closed.
        """
        try:
            for below, file in list(self.files.items()):
                file.flush()
                if not self.paths[below].exists():
                    logger.warning(
                        "%s was removed while the run wrote to it: what it held is not in TensorBoard any more, but in "
                        "metrics.jsonl; a new file begins",
                        self.paths[below],
                    )
                    self.files.pop(below).close()
        except OSError:
            self.abandon()
            raise

    def close(self) -> None:
        """Raises OSError if something has not reached the disk."""
        self.flush()
        self.abandon()

    def abandon(self) -> None:
        """Close the files, whatever becomes of what they still hold."""
        for file in self.files.values():
            with suppress(OSError):
                file.close()
        self.files = {}
