"""Image files in class folders: ``root/<class>/**/*``."""

import os
from collections.abc import Iterator
from pathlib import Path

from pegboard.errors import DataError
from pegboard_data.images import SUFFIXES

# The folders of a data set that is split already, and the parts they are; each part may have one of its names.
PARTS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}


def class_names(folder: Path) -> list[str]:
    """The sorted names of the folders in a folder.

    Raises:
        DataError: there is no such folder, or no folder in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one folder a class in it, {folder}/<class>/*")
    names = sorted(path.name for path in visible(folder) if path.is_dir())
    if not names:
        raise DataError(f"{folder}: no class folders in it; expected {folder}/<class>/*")
    return names


def image_files(folder: Path) -> list[str]:
    """The images in a folder at any depth, as sorted paths relative to it with ``/`` between the folders.

    Links to folders are followed; a folder that is reached a second time is left out, so that links may run in a
    circle. Names that begin with a dot are left out.
    """
    found = []
    seen = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        identity = Path(here).stat()
        if (identity.st_dev, identity.st_ino) in seen:
            folders.clear()
            continue
        seen.add((identity.st_dev, identity.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = Path(here).relative_to(folder).as_posix()
        prefix = "" if below == "." else f"{below}/"
        found += [prefix + name for name in names if _is_image(name)]
    return sorted(found)


def part_folders(root: Path) -> dict[str, Path]:
    """The parts of a data set that is split into folders: ``"train"``, ``"valid"``, ``"test"`` -> the folder.

    Empty unless ``root`` holds a ``train`` or ``test`` folder with folders in it.

    Raises:
        DataError: two folders are one part, e.g. ``val`` and ``valid``.
    """
    found: dict[str, Path] = {}
    for name, part in PARTS.items():
        if _holds_folders(root / name):
            if part in found:
                raise DataError(f"{root}: holds both {found[part].name}/ and {name}/; expected one of them")
            found[part] = root / name
    return found if {"train", "test"} & found.keys() else {}


def check_is_one_part(root: Path, classes: list[str], what: str) -> None:
    """Raise a DataError where the folders in ``root`` are no classes but the parts of a data set, train and test."""
    parts = part_folders(root)
    if parts and set(classes) <= PARTS.keys():
        first = str(next(iter(parts.values())))
        raise DataError(f"{what}: the folders in {root} are parts, {', '.join(classes)}; did you mean {first!r}?")


def visible(folder: Path) -> Iterator[Path]:
    """What stands in a folder, without the dot files that editors and other systems leave behind."""
    return (path for path in folder.iterdir() if not path.name.startswith("."))


def _holds_folders(folder: Path) -> bool:
    return folder.is_dir() and any(path.is_dir() for path in visible(folder))


def _is_image(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122  # a million names
