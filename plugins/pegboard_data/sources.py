"""What a command is pointed at: an index file, a folder of them, a folder of class folders, or one with parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pegboard.errors import DataError, did_you_mean
from pegboard_data.folders import class_names, image_files, part_folders
from pegboard_data.images import kinds
from pegboard_data.index_files import CLASSES_FILE, locate, read_index
from pegboard_data.paths import Paths


@dataclass
class Part:
    """Images that belong together, with their classes.

    Args:
        name: ``"train"``, ``"valid"``, ``"test"``, or what the file or folder is called.
        place: the file or folder.
        listed: the path of each image, relative to the folder or as it stands in the index file.
        targets: the class number of each, (N,) int32.
        classes: the names of the classes.
        locate: from a listed path to the file; raises a DataError where that is not there.
    """

    name: str
    place: Path
    listed: Sequence[str]
    targets: NDArray[np.int32]
    classes: list[str]
    locate: Callable[[str], Path]

    def path(self, index: int) -> Path:
        """Where an image lies.

        Raises:
            DataError: an index file lists it, and it is not there.
        """
        try:
            return self.locate(self.listed[index])
        except DataError as error:
            raise DataError(f"image {index} of {self.place}: {error}") from None

    def missing_classes(self) -> list[str]:
        """The names of the classes of which there is no image."""
        counts = np.bincount(self.targets, minlength=len(self.classes))
        return [name for name, count in zip(self.classes, counts.tolist(), strict=True) if not count]


def read_source(source: str, root: str | None = None) -> list[Part]:
    """The parts of a data set, train first; one part where it is not split.

    Args:
        source: an index file; or a folder that holds ``train`` and ``test`` folders of class folders, or index files,
            or class folders.
        root: where the relative paths of index files are looked up first.

    Raises:
        DataError: there is no such thing, or nothing in it, or no such ``root``.
    """
    place = Path(source).expanduser()
    if place.is_file():
        return [index_part(place, root)]
    if not place.is_dir():
        siblings = [path.name for path in place.parent.iterdir()] if place.parent.is_dir() else []
        near = did_you_mean(place.name, siblings)
        expected = near or "; expected an index file or a folder of class folders"
        raise DataError(f"{place}: no such file or folder{expected}")
    files = index_files(place)
    if files:
        return [index_part(path, root) for path in files]
    if root is not None:
        raise DataError(f"--root {root}: {place} holds no index files, the only ones whose paths have a root")
    folders = part_folders(place)
    if not folders:
        return [folder_part(place)]
    classes = sorted({name for folder in folders.values() for name in class_names(folder)})
    return [folder_part(folder, name, classes) for name, folder in folders.items()]


def index_files(folder: Path) -> list[Path]:
    """The index files of a folder, train first; none where it holds class folders instead."""
    found = sorted(path for path in folder.glob("*.txt") if path.name != CLASSES_FILE)
    names = ["train", "valid", "val", "test"]
    if not any(path.stem in names for path in found) and any(path.is_dir() for path in folder.iterdir()):
        return []  # a README.txt beside the class folders
    return sorted(found, key=lambda path: names.index(path.stem) if path.stem in names else len(names))


def index_part(place: Path, root: str | None = None) -> Part:
    """The images that an index file lists."""
    folder = Path(root).expanduser() if root is not None else None
    if folder is not None and not folder.is_dir():
        raise DataError(f"--root {root}: no such folder")
    index = read_index(place)
    find = partial(locate, index_file=place, root=folder)
    return Part(place.stem, place, index.paths, index.targets, index.classes, find)


def folder_part(folder: Path, name: str = "", classes: list[str] | None = None) -> Part:
    """The images in class folders.

    Args:
        classes: those of the whole data set; those of the folder unless given.

    Raises:
        DataError: there is no class folder, or no image in any.
    """
    own = class_names(folder)
    classes = own if classes is None else classes
    listed, targets = Paths(), []
    for class_name in own:
        for file in image_files(folder / class_name):
            listed.append(f"{class_name}/{file}")
            targets.append(classes.index(class_name))
    if not listed:
        raise DataError(f"{folder}: no image in its class folders {', '.join(own)}; expected files {kinds()}")
    return Part(name or folder.name, folder, listed, np.array(targets, dtype=np.int32), classes, folder.joinpath)
