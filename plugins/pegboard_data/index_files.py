r"""Index files: which images a part of a data set consists of, and the class of each.

UTF-8 text, one sample a line, ``path label``: the label is what stands after the last white space (blanks and tabs).
It is a class number from 0, or the name of a class. Empty lines, and lines whose first character is ``#``, say
nothing; CRLF line ends and a byte order mark are no part of a line.

    # path label
    cat/1.png 0
    a path with blanks.png 1
    "# a path that needs quotes\n.png" 1

A path, or a label, between double quotes is read as a JSON string. :func:`write_index` writes a path so where it would
be misread as it is: it begins with ``#`` or ``"`` or a byte order mark, begins or ends with white space, or holds a
control character such as a line break. A path that does not *begin* with a quote is never unquoted, so the backslashes
of Windows stay what they are.

The names of the classes stand in ``classes.txt`` beside it, one a line in the order of their numbers, by the same
rules. A label of digits is always a number. Without ``classes.txt``, names are numbered in their sorted order, and
numbers name themselves.
"""

import json
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pegboard.errors import DataError, did_you_mean
from pegboard_data.paths import Paths
from pegboard_data.plain_lines import plain_lines

CLASSES_FILE = "classes.txt"

_BYTE_ORDER_MARK = "\ufeff"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_LINE = re.compile(rf"({_QUOTED}|[^\"].*?)[ \t]+({_QUOTED}|[^ \t]+)", re.DOTALL)
_PLAIN = re.compile(
    r'([^"](?:.*[^ \t])?)[ \t]+([^ \t]*[^ \t"])', re.DOTALL
)  # without quotes: what nearly all lines are
_NUMBER = re.compile(r"[+-]?[0-9]+")
_NEEDS_QUOTES = re.compile(rf'^["#{_BYTE_ORDER_MARK}]|^[ \t]|[ \t]$|[\x00-\x1f\x7f]')
_AT_ONCE = 2**19  # bytes of a file that are read together
_EXPECTED = "expected a path and a label with a blank between them, e.g. 'cat/1.png 3'"


@dataclass
class Index:
    """What an index file says.

    Args:
        paths: as they stand in the file; relative ones are not resolved.
        targets: the class number of each, (N,) int32.
        classes: the names of the classes.
    """

    paths: Paths
    targets: NDArray[np.int32]
    classes: list[str]


def read_index(path: str | Path) -> Index:
    """Read an index file, and the ``classes.txt`` beside it where there is one.

    Raises:
        DataError: the file is not there, or holds no sample, or a line is wrong; names the file and the line.
    """
    path = Path(path)
    beside = path.with_name(CLASSES_FILE)
    labels = _Labels(read_classes(beside), str(beside)) if beside.is_file() else _Labels(None, "")
    paths, targets = Paths(), array("i")
    for number, lines in _stretches(path):
        plain = plain_lines(lines)
        if plain is not None and (numbers := labels.numbers_of(plain.labels)) is not None:
            paths.extend(plain.text, plain.lengths)
            targets.extend(numbers)
        else:
            _read_one_by_one(path, number, lines, paths, targets, labels)
    if not paths:
        raise DataError(f"{path}: no sample in it; expected lines of a path and a label, e.g. 'cat/1.png 3'")
    return Index(paths, *labels.sorted(np.frombuffer(targets, dtype=np.int32)))


def _read_one_by_one(
    path: Path, first: int, lines: bytes, paths: Paths, targets: "array[int]", labels: "_Labels"
) -> None:
    """Add the samples in some lines, of which ``first`` is the number of the first."""
    for number, line in _said(path, first, lines):
        match = _PLAIN.fullmatch(line) or _LINE.fullmatch(line)
        if match is None or "\r" in line:
            raise DataError(f"{path}:{number}: {_shown(line)}: {_why_no_sample(line)}; {_EXPECTED}")
        try:
            paths.append(_unquoted(match[1]))
            targets.append(labels.number(match[2]))
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}") from None


def locate(listed: str, index_file: Path, root: Path | None = None) -> Path:
    """Where the image lies that an index file lists: under ``root``, where that is given, or beside the index file.

    Raises:
        DataError: in neither place; names those tried.
    """
    path = Path(listed)
    folders = [folder for folder in (root, index_file.parent) if folder is not None]
    tried = [path] if path.is_absolute() else [folder / path for folder in folders]
    for place in tried:
        if place.exists():
            return place
    hint = ""
    if not path.is_absolute() and path.exists():
        hint = "; there is one in the working directory: did you mean '.' as root?"
    raise DataError(f"{listed!r} is not there; tried {', '.join(map(str, tried))}{hint}")


def write_index(path: str | Path, samples: Iterable[tuple[str, int]]) -> None:
    """Write (path, class number) pairs as an index file.

    Raises:
        DataError: a path is empty or cannot be written as UTF-8.
    """
    _write(Path(path), (f"{_quoted(image)} {target}" for image, target in samples))


def read_classes(path: str | Path) -> list[str]:
    """The names in a ``classes.txt``.

    Raises:
        DataError: the file is not there, or empty, or a name stands in it twice; names the file and the line.
    """
    path = Path(path)
    lines: dict[str, int] = {}
    for number, line in _lines(path):
        try:
            name = _unquoted(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}") from None
        if name in lines:
            raise DataError(
                f"{path}:{number}: class {name!r} stands in line {lines[name]} too; expected each name once"
            )
        lines[name] = number
    if not lines:
        raise DataError(f"{path}: no class in it; expected the names of the classes, one a line")
    return list(lines)


def write_classes(path: str | Path, classes: Sequence[str]) -> None:
    """Write the names of the classes, in the order of their numbers."""
    _write(Path(path), map(_quoted, classes))


def _write(path: Path, lines: Iterable[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)  # all of it first: a wrong path leaves no half file
    path.write_bytes(text.encode("utf-8"))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that say something, with their numbers from 1, without the white space around them."""
    for number, lines in _stretches(path):
        yield from _said(path, number, lines)


def _stretches(path: Path) -> Iterator[tuple[int, bytes]]:
    """The whole file, many whole lines at a time, with the number of the first of them."""
    number = 1
    try:
        with path.open("rb") as file:
            while lines := file.read(_AT_ONCE) + file.readline():
                yield number, lines
                number += lines.count(b"\n")
    except FileNotFoundError:
        folder = path.parent
        near = did_you_mean(path.name, [file.name for file in folder.glob("*.txt")]) if folder.is_dir() else ""
        raise DataError(f"{path}: no such file{near}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read as an index file: {error.strerror or error}") from error


def _said(path: Path, first: int, lines: bytes) -> Iterator[tuple[int, str]]:
    """Of some lines those that say something, as ``_lines`` gives them."""
    for number, raw in enumerate(lines.removesuffix(b"\n").split(b"\n"), first):
        try:
            line = raw.decode("utf-8").removesuffix("\r")
        except UnicodeDecodeError as error:
            where = f"byte 0x{raw[error.start]:02x} in column {error.start + 1}"
            raise DataError(f"{path}:{number}: {where} is not UTF-8; expected UTF-8 text") from None
        if number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line.startswith("#") and (line := line.strip(" \t")):
            yield number, line


def _quoted(text: str) -> str:
    if not text:
        raise DataError("an empty path or name cannot be written to an index file")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f"{text!r} is no UTF-8 text; expected a name that can be written to an index file") from None
    return json.dumps(text, ensure_ascii=False) if _NEEDS_QUOTES.search(text) else text


def _unquoted(text: str) -> str:
    """What a path or a label says; only text that begins with a quote is read as JSON."""
    if not text.startswith('"'):
        return text
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{_shown(text)} is no JSON string: {error.msg}") from None
    if not value:
        raise ValueError('"" is empty; expected a path or a name')
    return str(value)


def _why_no_sample(line: str) -> str:
    if "\r" in line:
        return "a carriage return within the line"
    if line.startswith('"'):
        return "no label after a closing quote"
    return "no label"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


class _Labels:
    """Turns labels into class numbers.

    Args:
        classes: the names by number; None where they are to be gathered from the labels.
        source: the file that gave them, for messages.
    """

    def __init__(self, classes: list[str] | None, source: str) -> None:
        self.source = source
        self.is_given = classes is not None
        self.numbers = {name: number for number, name in enumerate(classes or ())}
        self.kind = ""  # of the first label, where classes are gathered: "number" or "name"
        self.known: dict[bytes, int] = {}  # labels that were met before, and their numbers

    def number(self, text: str) -> int:
        """The class number; provisional, by first appearance, where names are gathered.

        Raises:
            ValueError: the label is no class.
        """
        label = text.encode()
        if label not in self.known:
            self.known[label] = self._number(text)
        return self.known[label]

    def numbers_of(self, labels: list[bytes]) -> list[int] | None:
        """The same of many labels without quotes; None where one of them is no class."""
        try:
            for label in dict.fromkeys(labels):
                if label not in self.known:
                    self.number(label.decode())
        except ValueError:
            return None
        return list(map(self.known.__getitem__, labels))

    def _number(self, text: str) -> int:
        kind = "number" if _NUMBER.fullmatch(text) else "name"
        label = _unquoted(text)
        if self.is_given:
            return self._given(kind, label)
        self.kind = self.kind or kind
        if kind != self.kind:
            raise ValueError(
                f"label {label!r} is a {kind}, those before it are {self.kind}s; expected one kind, or names in a "
                f"{CLASSES_FILE} beside the file"
            )
        if kind == "name":
            return self.numbers.setdefault(label, len(self.numbers))
        if not 0 <= int(label) < 2**31:
            raise ValueError(f"label {label} is out of range; expected a class number from 0")
        return int(label)

    def _given(self, kind: str, label: str) -> int:
        if kind == "number":
            if not 0 <= int(label) < len(self.numbers):
                last = len(self.numbers) - 1
                raise ValueError(f"label {label} is out of range; expected 0 to {last}, the classes in {self.source}")
            return int(label)
        if label not in self.numbers:
            near = did_you_mean(label, self.numbers)
            raise ValueError(f"label {label!r} is no class; expected one of those in {self.source}{near}")
        return self.numbers[label]

    def sorted(self, targets: NDArray[np.int32]) -> tuple[NDArray[np.int32], list[str]]:
        """The final targets and the names of the classes."""
        if self.is_given:
            return targets, list(self.numbers)
        if self.kind == "number":
            return targets, [str(number) for number in range(int(targets.max()) + 1)]
        names = sorted(self.numbers)
        final = {name: number for number, name in enumerate(names)}
        return np.array([final[name] for name in self.numbers], dtype=np.int32)[targets], names
