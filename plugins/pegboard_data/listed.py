"""The base of datasets whose images are files that an index lists."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pegboard_data.index_files import Index
from pegboard_data.paths import Paths


class Listed:
    """Knows the path and the class of each sample; a copy that goes to another process shares a large index with it.

    Args:
        index: the list.
    """

    paths: Paths
    targets: NDArray[np.int32]
    classes: list[str]

    def __init__(self, index: Index) -> None:
        self._take(index)

    def _take(self, index: Index) -> None:
        self._index = index
        self.paths, self.targets, self.classes = index.paths, index.targets, index.classes
        self.num_classes = len(index.classes)

    def __len__(self) -> int:
        return len(self.targets)

    def __getstate__(self) -> dict[str, Any]:
        """The index, and what is not of it: a process that maps the index needs no copy of its parts."""
        shared = ("paths", "targets", "classes")
        return {
            name: value
            for name, value in vars(self).items()
            if name not in shared or value is not getattr(self._index, name)
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._take(state["_index"])
        self.__dict__.update(state)
