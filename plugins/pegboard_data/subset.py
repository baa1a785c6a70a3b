"""Some samples of a dataset."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pegboard.errors import DataError
from pegboard_data.view import View


class Subset(View):
    """Some samples of another dataset: those at ``indices``, or a ``fraction`` of them drawn by ``seed``.

    Its classes are those of the whole dataset, also where it has no sample of one.

    Args:
        dataset: the other one.
        indices: which samples, from 0, in this order; one may come twice.
        fraction: the share of the samples to draw, above 0 and at most 1; ``round(fraction * n)``, at least one, each
            equally likely whatever its class, in their order.
        seed: from 0; what the draw depends on beside the number of samples.

    Raises:
        DataError: an index or the fraction is out of range; or both are given, or neither.
    """

    def __init__(
        self, dataset: Any, indices: Sequence[int] | None = None, fraction: float | None = None, seed: int = 0
    ) -> None:
        super().__init__(dataset)
        count = len(dataset)
        if (indices is None) == (fraction is None):
            raise DataError("Subset: expected either indices or a fraction")
        if indices is not None:
            wrong = [index for index in indices if not 0 <= index < count]
            if wrong or not len(indices):
                found = f"index {wrong[0]} is out of range" if wrong else "indices is empty"
                raise DataError(f"Subset: {found}; expected numbers from 0 to {count - 1}")
            self.indices = np.asarray(indices, dtype=np.int64)
        elif fraction is not None:
            if not 0 < fraction <= 1:
                raise DataError(f"Subset: fraction={fraction}; expected a number above 0 and at most 1")
            if seed < 0:
                raise DataError(f"Subset: seed={seed}; expected at least 0")
            chosen = np.random.default_rng(seed).permutation(count)[: max(1, round(fraction * count))]
            self.indices = np.sort(chosen)
