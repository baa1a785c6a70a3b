"""A dataset that shows samples of another in an order of its own."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pegboard_data.facts import PASSED_ON, Around, check_is_dataset, classes_of, label_of, targets_of


class View(Around):
    """Sample ``i`` is sample ``indices[i]`` of another dataset; the base class of Subset, Repeat and ClassBalanced.

    Args:
        dataset: the other one.
        indices: (N,) from 0.
    """

    def __init__(self, dataset: Any, indices: Sequence[int] | NDArray[np.int64] = ()) -> None:
        super().__init__()
        check_is_dataset(dataset, type(self).__name__)
        self.dataset = dataset
        self.indices = np.asarray(indices, dtype=np.int64)
        self.label = label_of(dataset)
        for fact in PASSED_ON:
            if hasattr(dataset, fact):
                setattr(self, fact, getattr(dataset, fact))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        """What the other dataset gives: (image, target)."""
        return self.dataset[int(self.indices[index])]

    @cached_property
    def inner_targets(self) -> NDArray[np.int64]:
        """The targets of the whole other dataset."""
        return targets_of(self.dataset)

    def _find_targets(self) -> NDArray[np.int64]:
        return self.inner_targets[self.indices]

    def _find_classes(self) -> list[str]:
        needs_targets = not hasattr(self.dataset, "classes") and not hasattr(self.dataset, "num_classes")
        return classes_of(self.dataset, self.inner_targets if needs_targets else None)
