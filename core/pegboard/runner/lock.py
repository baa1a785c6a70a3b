"""A run folder belongs to one live run."""

import json
import logging
import os
from pathlib import Path

from pegboard.errors import PegboardError

try:
    import fcntl
except ImportError:  # Windows: there folders are not locked
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger("pegboard")

_held: set[int] = set()  # open folders of this process


class FolderLock:
    """Holds a folder from ``take`` to ``release``, or until the process ends in whatever way.

    It is the system's own lock (``flock``) on the folder itself: no file is left behind that could be out of date.
    """

    def __init__(self) -> None:
        self.number: int | None = None

    def take(self, folder: Path) -> None:
        """Raises PegboardError if a live run holds it; what is held already is no matter."""
        if self.number is not None or fcntl is None:
            return
        number = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(number)
            raise PegboardError(
                f"{folder} is used by a run that still goes on{_process_of(folder)}; wait for its end, or take another "
                "--work-dir"
            ) from None
        except OSError as error:  # some network file systems lock no folders
            os.close(number)
            logger.warning("%s cannot be locked (%s): do not start a second run in it", folder, error.strerror)
            return
        self.number = number
        _held.add(number)

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None:
        self.release()

    def release(self) -> None:
        """Let others have it."""
        if self.number is not None:
            _held.discard(self.number)
            os.close(self.number)
            self.number = None


def _process_of(folder: Path) -> str:
    try:
        return f" (process {json.loads((folder / 'environment.json').read_text(encoding='utf-8'))['process']})"
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _let_go() -> None:
    """A worker process may outlive a killed run by seconds; the lock must not."""
    for number in _held:
        os.close(number)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
