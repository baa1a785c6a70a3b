"""Every class equally often."""

from typing import Any

import numpy as np

from pegboard.errors import DataError
from pegboard_data.view import View


class ClassBalanced(View):
    """Another dataset with samples of the rarer classes repeated, so that each class is as frequent as the largest.

    Where the largest class has m samples, one with n has each of its samples ``m // n`` times, and ``m % n`` of them,
    drawn by ``seed``, once more. Copies stand beside each other; shuffle the loader.

    Args:
        dataset: the other one.
        seed: from 0; what the draw depends on beside the class's number and the counts.

    Raises:
        DataError: a class has no sample, so that no repetition makes it as frequent as the others; or a target is no
            class.
    """

    def __init__(self, dataset: Any, seed: int = 0) -> None:
        super().__init__(dataset)
        if seed < 0:
            raise DataError(f"ClassBalanced: seed={seed}; expected at least 0")
        classes = self._find_classes()
        wrong = np.flatnonzero((self.inner_targets < 0) | (self.inner_targets >= len(classes)))
        if len(wrong):
            found = f"sample {wrong[0]} has the target {self.inner_targets[wrong[0]]}"
            raise DataError(f"ClassBalanced: {found}; expected 0 to {len(classes) - 1}")
        counts = np.bincount(self.inner_targets, minlength=len(classes))
        missing = [classes[number] for number in np.flatnonzero(counts == 0)]
        if missing:
            raise DataError(f"ClassBalanced: no sample of class {', '.join(map(repr, missing))}; expected one or more")
        times = np.zeros(len(dataset), dtype=np.int64)
        for number, count in enumerate(counts.tolist()):
            members = np.flatnonzero(self.inner_targets == number)
            times[members] = counts.max() // count
            extra = np.random.default_rng([seed, number]).permutation(members)[: counts.max() % count]
            times[extra] += 1
        self.indices = np.repeat(np.arange(len(dataset)), times)
