"""The images in class folders."""

from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from pegboard.errors import DataError
from pegboard_data.folders import check_is_one_part, class_names, image_files
from pegboard_data.images import kinds, read_image
from pegboard_data.index_files import Index
from pegboard_data.listed import Listed
from pegboard_data.paths import Paths
from pegboard_data.shared_index import shared


class ImageFolder(Listed):
    """Images in one folder a class: ``root/<class>/**/*``, at any depth below the class.

    Classes are numbered in the sorted order of their names, and the images of a class follow in the sorted order of
    their paths. An image is what has the extension of one; dot files and other files are left out.

    Every process looks through the folders. What it finds, if that is 4 MiB of paths or more, lies once a machine as
    the list of an :class:`IndexFile` does.

    Args:
        root: the folder that holds the class folders.

    Attributes:
        targets: the class of each sample, (N,) int32; of a large folder it cannot be written to.
        classes: the names of the classes, which are those of the folders.
        num_classes: how many there are.
        paths: of each image, below ``root``.

    Raises:
        DataError: there are no class folders, or one has no image in it; or the folders are ``train`` and ``test``.
    """

    def __init__(self, root: str) -> None:
        self._root = Path(root).expanduser()
        super().__init__(shared(partial(index_of_folder, self._root)))

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        """A PIL RGB image and its class.

        Raises:
            DataError: the file cannot be read; names the file and the index.
        """
        return read_image(self._root / self.paths[index], f"image {index}"), int(self.targets[index])


def index_of_folder(root: Path) -> Index:
    """The images in class folders, in the order in which ``ImageFolder`` has them.

    Raises:
        DataError: there are no class folders, or one has no image in it; or the folders are ``train`` and ``test``.
    """
    classes = class_names(root)
    check_is_one_part(root, classes, "ImageFolder")
    paths, counts = Paths(), []
    for name in classes:
        files = image_files(root / name)
        if not files:
            raise DataError(f"{root / name}: no image in this class folder; expected files {kinds()}")
        for file in files:
            paths.append(f"{name}/{file}")
        counts.append(len(files))
    return Index(paths, np.repeat(np.arange(len(classes), dtype=np.int32), counts), classes)
