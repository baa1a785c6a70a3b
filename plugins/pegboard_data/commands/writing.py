"""Write the parts of a data set as index files."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from pegboard.errors import DataError
from pegboard_data.index_files import CLASSES_FILE, read_classes, write_classes, write_index


def check_can_write(folder: Path, names: Iterable[str], classes: Sequence[str], paths: Iterable[Path]) -> None:
    """Raise a DataError where index files would lie beside older ones, or cannot hold what is to be written.

    Args:
        names: files and folders that would be written, and others that would be taken for parts of the same split.
        paths: the images that would be listed.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"--out {folder} is a file; expected a folder")
    there = [name for name in names if (folder / name).exists()]
    if there:
        raise DataError(f"--out {folder} holds {', '.join(there)} already; expected another folder, or an empty one")
    for text in (*classes, *map(str, paths)):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise DataError(f"{text!r} is no UTF-8 text; expected names that an index file can hold") from None
    old = folder / CLASSES_FILE
    if old.is_file() and read_classes(old) != list(classes):
        raise DataError(f"--out {folder} holds a {CLASSES_FILE} of other classes; expected another folder")


def write_parts(folder: Path, parts: Mapping[str, Iterable[tuple[Path, int]]], classes: Sequence[str]) -> None:
    """Write ``NAME.txt`` for each part, (file, class number) pairs, and ``classes.txt``.

    Paths are written relative to the folder, so that the index files stay valid where it moves along with the images.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shorten = _shortener(folder)
    for name, samples in parts.items():
        write_index(folder / f"{name}.txt", ((shorten(path), target) for path, target in samples))
    write_classes(folder / CLASSES_FILE, classes)


def _shortener(folder: Path) -> Callable[[Path], str]:
    """From a file to its path relative to a folder; few folders hold many files, so that theirs are remembered."""
    start = os.path.realpath(folder)  # a ".." is followed from where a link leads

    @cache
    def prefix(place: Path) -> str:
        place = place.resolve() if ".." in place.parts else place.absolute()
        try:
            relative = os.path.relpath(place, start)
        except ValueError:  # on another drive of Windows
            relative = str(place)
        return "" if relative == "." else f"{Path(relative).as_posix()}/"

    return lambda path: prefix(path.parent) + path.name
