"""Where lines for a person go: a terminal, a notebook, a pipe, and the run's log.txt."""

import logging
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from pathlib import Path
from typing import IO

from pegboard.errors import PegboardError

logger = logging.getLogger("pegboard")


def is_terminal() -> bool:
    """True where a live bar can be drawn: a terminal or a notebook, not a pipe or a file."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules


def show_log(level: int = logging.INFO) -> None:
    """Send pegboard's log lines to standard error; the command line calls this, a library user need not."""
    if any(getattr(handler, "of_pegboard", False) for handler in logger.handlers):
        return
    handler = _StandardError()
    handler.setFormatter(_Plain())
    handler.setLevel(level)
    handler.of_pegboard = True  # type: ignore[attr-defined]  # our own mark, to add it only once
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


@contextmanager
def quiet() -> Iterator[None]:
    """While it is open, only warnings are logged; a log file that is opened within gets all."""
    ours: list[logging.Logger | logging.Handler] = [logger]
    ours += [handler for handler in logger.handlers if hasattr(handler, "of_pegboard")]
    levels = {one: one.level for one in ours}
    for one, level in levels.items():
        one.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        for one, level in levels.items():
            one.setLevel(level)


def plain(text: object, keep: str = "") -> str:
    """Text as it may be shown on a terminal: what would steer it, or turn the reading order, is written out.

    Control characters (the escape that begins a sequence among them), marks that turn the reading order, line and
    paragraph separators, and halves of characters, as a file name that is no UTF-8 holds them.

    Args:
        keep: control characters that may stay, e.g. line ends.

    Examples:
        >>> plain("red \\x1b[31mcat")
        'red \\\\x1b[31mcat'
    """
    return _STEERING.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], str(text))


# C0 and C1 controls, the marks of Unicode's bidirectional algorithm, separators, byte-order mark, surrogates.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def say(text: object = "", file: IO[str] | None = None) -> None:
    """Print one line that may hold names of files or classes: what would steer a terminal is written out."""
    print(plain(text), file=file)


def say_error(error: PegboardError) -> None:
    """Print what a user can mend, to standard error."""
    for line in error.lines:
        say(line, file=sys.stderr)


def shortened(text: str, width: int) -> str:
    """The text, its middle left out where it is wider than so many characters.

    Examples:
        >>> shortened("abcdefghij", 7)
        'abc...j'
    """
    if len(text) <= width:
        return text
    tail = (width - 3) // 3
    return f"{text[: width - 3 - tail]}...{text[len(text) - tail :]}"


class _StandardError(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to whatever ``sys.stderr`` is at that moment, so that a captured stream gets its lines too."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _Escaped(logging.Formatter):
    """Lets nothing through that steers a terminal: messages hold names of files and classes, which are anybody's."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return plain(super().formatMessage(record), keep="\t")  # one line: a name with a line end in it forges none

    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record), keep="\n\t")  # a traceback follows in lines of its own


class _Plain(_Escaped):
    """A line; the traceback of a record that says ``brief`` is for log.txt alone."""

    def format(self, record: logging.LogRecord) -> str:
        if getattr(record, "brief", False):
            record = copy(record)
            record.exc_info = record.exc_text = None
        text = super().format(record)
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"


class _File(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk takes no lines; standard error has them, and a traceback for each helps nobody."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        with suppress(OSError):  # of lines that wait to be written; the file is closed all the same
            super().close()


class LogFile:
    """Everything that is logged while it is open, with time and level, also in ``path``."""

    def __init__(self, path: Path) -> None:
        self.handler = _File(path, encoding="utf-8")
        self.handler.setFormatter(_Escaped("%(asctime)s %(levelname)s %(message)s"))
        self.level = logger.level

    def __enter__(self) -> None:
        logger.addHandler(self.handler)
        logger.setLevel(logging.DEBUG)

    def __exit__(self, *error: object) -> None:
        logger.removeHandler(self.handler)
        logger.setLevel(self.level)
        self.handler.close()


def table(header: Sequence[str], rows: Sequence[Sequence[str]], file: IO[str], left: bool = False) -> None:
    """Print columns, the first aligned left and the others right unless ``left``; no control characters."""
    lines = [[plain(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = [
            cell.ljust(width) if left or not i else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip(), file=file)


def duration_text(seconds: float | None) -> str:
    """``75.2`` as ``"1:15"``, hours where there are any; empty for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
