"""Several datasets as one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pegboard.errors import DataError, did_you_mean
from pegboard_data.facts import Around, check_is_dataset, classes_of, label_of, targets_of


class Concat(Around):
    """Several datasets of the same classes as one, one after the other.

    ``mean`` and ``std`` are passed on where all parts agree on them; ``label`` joins those of the parts; it is a
    ``stand_in`` where any part is.

    Args:
        datasets: the parts, in this order.

    Raises:
        DataError: the parts differ in their classes; or there is no part, or an empty one.
    """

    def __init__(self, datasets: Sequence[Any]) -> None:
        super().__init__()
        if isinstance(datasets, str) or not isinstance(datasets, Sequence) or not datasets:
            raise DataError(f"Concat: datasets={datasets!r}; expected a list of one or more datasets")
        for dataset in datasets:
            check_is_dataset(dataset, "Concat")
        self.datasets = list(datasets)
        self._starts = np.cumsum([0, *map(len, datasets)])  # the last one is the length
        self._part_targets: list[NDArray[np.int64]] | None = None
        self._check_classes()
        for fact in ("mean", "std", "ignore_index"):
            said = [getattr(dataset, fact, None) for dataset in datasets]
            if said[0] is not None and all(np.array_equal(said[0], other) for other in said if other is not None):
                setattr(self, fact, said[0])
        self.label = " + ".join(dict.fromkeys(map(label_of, datasets)))
        if any(hasattr(dataset, "stand_in") for dataset in datasets):
            self.stand_in = any(getattr(dataset, "stand_in", False) for dataset in datasets)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> Any:
        """What the part gives: (image, target)."""
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"there are {len(self)} samples, and none at {index}")
        part = int(np.searchsorted(self._starts, place, side="right")) - 1
        return self.datasets[part][place - int(self._starts[part])]

    def _check_classes(self) -> None:
        """Parts that name their classes must name the same; those that number them must have as many."""
        named = [(number, list(part.classes)) for number, part in enumerate(self.datasets) if hasattr(part, "classes")]
        for number, classes in named[1:]:
            if classes != named[0][1]:
                raise DataError(f"Concat: dataset {number} {_difference(classes, *named[0])}")
        expected = len(named[0][1]) if named else getattr(self.datasets[0], "num_classes", None)
        for number, part in enumerate(self.datasets):
            count = getattr(part, "num_classes", expected)
            if expected is not None and count != expected:
                raise DataError(f"Concat: dataset {number} has {count} classes, another {expected}; expected the same")

    def _each_targets(self) -> list[NDArray[np.int64]]:
        if self._part_targets is None:
            self._part_targets = [targets_of(dataset) for dataset in self.datasets]
        return self._part_targets

    def _find_targets(self) -> NDArray[np.int64]:
        return np.concatenate(self._each_targets())

    def _find_classes(self) -> list[str]:
        for dataset in self.datasets:
            if hasattr(dataset, "classes") or hasattr(dataset, "num_classes"):
                return classes_of(dataset)
        return [str(number) for number in range(int(self.targets.max()) + 1)]


def _difference(classes: list[str], first: int, expected: list[str]) -> str:
    """How the classes of a dataset differ from those of dataset ``first``, in words."""
    missing, extra = sorted(set(expected) - set(classes)), sorted(set(classes) - set(expected))
    if missing or extra:
        words = [f"lacks {', '.join(map(repr, missing))}"] * bool(missing)
        words += [f"adds {', '.join(map(repr, extra))}"] * bool(extra)
        hint = did_you_mean(extra[0], missing) if extra else ""
        return f"{' and '.join(words)}; expected the classes of dataset {first}{hint}"
    place = next(place for place, pair in enumerate(zip(classes, expected, strict=True)) if pair[0] != pair[1])
    return (
        f"has the classes in another order: class {place} is {classes[place]!r} there and {expected[place]!r} in "
        f"dataset {first}; expected the same order"
    )
