"""Which images belong together, told from their paths."""

import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pegboard.errors import DataError, PegboardError
from pegboard_data.concat import Concat
from pegboard_data.view import View


def groups_by(regex: str, paths: Iterable[str]) -> NDArray[Any]:
    """The group of each path: what the first group of the regular expression matched in it, or else all of it; (N,).

    Raises:
        PegboardError: it is no regular expression.
        DataError: it does not match a path.
    """
    try:
        pattern = re.compile(regex)
    except re.error as error:
        raise PegboardError(f"--group-by {regex!r} is no regular expression: {error}") from None
    found = []
    for path in paths:
        match = pattern.search(path)
        if match is None or (pattern.groups and match[1] is None):
            raise DataError(f"--group-by {regex!r} matches nothing in {path!r}; expected a group for every image")
        found.append(match[1] if pattern.groups else match[0])
    return np.array(found)


def paths_of(dataset: Any) -> Sequence[str]:
    """The path of each sample, below the dataset's root where it has one.

    It is the dataset's own ``paths``, or stands first in each pair of its ``samples``, as torchvision has it.

    Raises:
        DataError: it has none.
    """
    if isinstance(dataset, View):
        inner = paths_of(dataset.dataset)
        return [inner[index] for index in dataset.indices.tolist()]
    if isinstance(dataset, Concat):
        return [path for part in dataset.datasets for path in paths_of(part)]
    paths = getattr(dataset, "paths", None)
    if paths is None and (samples := getattr(dataset, "samples", None)) is not None:
        root = getattr(dataset, "root", None)
        paths = [str(path) if root is None else os.path.relpath(path, root) for path, _ in samples]
    if paths is None or len(paths) != len(dataset):
        raise DataError(f"--group-by asks for the paths of the images, and {type(dataset).__name__} has none")
    return paths  # type: ignore[no-any-return]
