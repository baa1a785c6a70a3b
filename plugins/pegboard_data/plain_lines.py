"""Lines of an index file without anything odd in them, thousands at a time."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LONGEST_LABEL = 64  # bytes
_BYTE_ORDER_MARK = "\ufeff".encode()
_ODD = (b'"', b"\r", b"\0")


class PlainLines(NamedTuple):
    """What some lines say.

    Args:
        text: their paths, one after the other, in UTF-8.
        lengths: how many bytes of it each path has, (N,) int64.
        labels: as they stand there, in UTF-8.
    """

    text: bytes
    lengths: NDArray[np.int64]
    labels: list[bytes]


def plain_lines(lines: bytes) -> PlainLines | None:
    """The samples in whole lines, if each is a path, white space and a label, and nothing else.

    None leaves them to be read one by one: a line is empty, a comment or wrong, white space stands around it, or there
    is a quote, a byte order mark, a carriage return within a line, or what is no UTF-8 text in any.
    """
    if b"\r" in lines:
        lines = lines.replace(b"\r\n", b"\n")
    if any(odd in lines for odd in _ODD) or lines.startswith(_BYTE_ORDER_MARK) or not _is_utf8(lines):
        return None
    here = np.frombuffer(lines, dtype=np.uint8)
    ends = np.flatnonzero(here == ord("\n"))
    if not len(ends) or ends[-1] != len(here) - 1:
        ends = np.append(ends, len(here))  # the last line of a file may go without a line break
    starts = np.concatenate([[0], ends[:-1] + 1])
    blank = (here == ord(" ")) | (here == ord("\t"))
    if (ends == starts).any() or (here[starts] == ord("#")).any() or blank[starts].any() or blank[ends - 1].any():
        return None
    blanks = np.flatnonzero(blank)
    before = np.searchsorted(blanks, ends) - 1
    if not len(blanks) or before[0] < 0 or (blanks[before] < starts).any():
        return None
    label_starts = blanks[before] + 1
    path_ends = _without_blanks(blank, blanks[before])
    labels = _texts(here, label_starts, ends - label_starts)
    if labels is None:
        return None
    return PlainLines(_joined(here, starts, path_ends), path_ends - starts, labels)


def _is_utf8(text: bytes) -> bool:
    try:
        return text.isascii() or bool(text.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _without_blanks(blank: NDArray[np.bool_], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each path ends that ends in blanks; none begins with one."""
    while (more := blank[ends - 1]).any():
        ends = ends - more
    return ends


def _texts(here: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[bytes] | None:
    """The text at each place; None where one is very long."""
    longest = int(lengths.max())
    if longest > LONGEST_LABEL:
        return None
    columns = np.arange(longest)
    letters = here[np.minimum(starts[:, None] + columns, len(here) - 1)]
    letters[columns >= lengths[:, None]] = 0  # which numpy takes for the end of a text
    found: list[bytes] = letters.view(f"S{longest}")[:, 0].tolist()
    return found


def _joined(here: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> bytes:
    """What stands between the starts and the ends; the first start is 0."""
    turns = np.stack([starts, ends], axis=1).ravel()  # from a path to what follows it, and back
    lengths = np.diff(turns, append=len(here))
    found: bytes = here[np.repeat(np.arange(len(turns)) % 2 == 0, lengths)].tobytes()
    return found
