"""The images that an index file lists."""

from pathlib import Path

from PIL import Image

from pegboard.errors import DataError
from pegboard_data.images import read_image
from pegboard_data.index_files import locate
from pegboard_data.listed import Listed
from pegboard_data.shared_index import shared_index


class IndexFile(Listed):
    """The images that an index file lists, one a line: ``path label``.

    The format is that of :mod:`pegboard_data.index_files`; the classes are those of the ``classes.txt`` beside the
    file, where there is one. ``pegboard split`` and ``pegboard index`` write such files.

    Costs the length of its path and 12 bytes a sample, once for a process and the workers forked from it. A file of
    4 MiB or more costs that once a machine: its text is read once and kept in the cache folder, in a form that all
    processes of all runs map.

    Args:
        path: the index file.
        root: the folder that relative paths are looked up in first; ``"."`` is the working directory. They are looked
            up beside the index file otherwise, and where ``root`` does not hold them.

    Attributes:
        targets: the class of each sample, (N,) int32; of a large file it cannot be written to.
        classes: the names of the classes.
        num_classes: how many there are.
        paths: of each image, as the file has it.

    Raises:
        DataError: the file is not there, or a line of it is wrong, or the first image is not found. Whether the other
            images are there is seen when they are read; ``pegboard verify`` looks at all.
    """

    def __init__(self, path: str, root: str | None = None) -> None:
        self._path = Path(path).expanduser()
        self._root = Path(root).expanduser() if root is not None else None
        if self._root is not None and not self._root.is_dir():
            raise DataError(f"IndexFile: root {self._root}: no such folder")
        super().__init__(shared_index(self._path))
        self.path(0)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        """A PIL RGB image and its class.

        Raises:
            DataError: the file is not there or cannot be read; names the file and the index.
        """
        return read_image(self.path(index), f"image {index} of {self._path}"), int(self.targets[index])

    def path(self, index: int) -> Path:
        """Where the image lies.

        Raises:
            DataError: in none of the places that it may lie in; names them all.
        """
        try:
            return locate(self.paths[index], self._path, self._root)
        except DataError as error:
            raise DataError(f"image {index} of {self._path}: {error}") from None
