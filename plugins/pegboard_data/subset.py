"""Some samples of a dataset."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pegboard.errors import DataError
from pegboard_data.view import View


class Subset(View):
    """Some samples of another dataset: those at ``indices``, or a ``fraction`` of them drawn by ``seed``.

    Many indices stand better in a ``file``, as ``pegboard cross-validate`` writes them.

    Its classes are those of the whole dataset, also where it has no sample of one.

    Args:
        dataset: the other one.
        indices: which samples, from 0, in this order; one may come twice.
        fraction: the share of the samples to draw, above 0 and at most 1; ``round(fraction * n)``, at least one, each
            equally likely whatever its class, in their order.
        seed: from 0; what the draw depends on beside the number of samples.
        file: a text file of indices, whole numbers with white space between them; relative to the working directory.

    Raises:
        DataError: an index or the fraction is out of range, or the file is none; or not one of the three is given.
    """

    def __init__(
        self,
        dataset: Any,
        indices: Sequence[int] | None = None,
        fraction: float | None = None,
        seed: int = 0,
        file: str | None = None,
    ) -> None:
        super().__init__(dataset)
        count = len(dataset)
        if sum(given is not None for given in (indices, fraction, file)) != 1:
            raise DataError("Subset: expected either indices or a fraction, or a file of indices")
        if indices is not None:
            self.indices = _checked(np.asarray(indices), count, "indices")
        elif file is not None:
            self.indices = _checked(read_indices(Path(file).expanduser()), count, file)
        elif fraction is not None:
            if not 0 < fraction <= 1:
                raise DataError(f"Subset: fraction={fraction}; expected a number above 0 and at most 1")
            if seed < 0:
                raise DataError(f"Subset: seed={seed}; expected at least 0")
            chosen = np.random.default_rng(seed).permutation(count)[: max(1, round(fraction * count))]
            self.indices = np.sort(chosen)


def read_indices(path: Path) -> NDArray[np.int64]:
    """The whole numbers in a text file, (N,).

    Raises:
        DataError: there is no such file, or something else stands in it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise DataError(f"Subset: {path} cannot be read as a file of indices: {why}") from None
    found = []
    for number, line in enumerate(lines, 1):
        for word in line.split():
            if not (word.isascii() and word.isdigit() and len(word) < 19):
                raise DataError(f"Subset: {path}:{number}: {word!r} is no index; expected whole numbers from 0")
            found.append(int(word))
    return np.array(found, dtype=np.int64)


def write_indices(path: Path, indices: NDArray[np.int64]) -> None:
    """Write a file that :func:`read_indices` reads, one number a line."""
    path.write_text("".join(f"{index}\n" for index in indices.tolist()), encoding="utf-8")


def _checked(indices: NDArray[Any], count: int, what: str) -> NDArray[np.int64]:
    """The indices of ``count`` samples.

    Raises:
        DataError: there are none, or one is out of range.
    """
    wrong = indices[(indices < 0) | (indices >= count)]
    if len(wrong) or not len(indices):
        found = f"index {wrong[0]} is out of range" if len(wrong) else f"{what} is empty"
        raise DataError(f"Subset: {found}; expected numbers from 0 to {count - 1}")
    return indices.astype(np.int64)
