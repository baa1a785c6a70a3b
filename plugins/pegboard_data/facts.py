"""What a dataset says of itself: targets, classes and statistics, gathered from one that says little."""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pegboard.errors import DataError

logger = logging.getLogger("pegboard")

PASSED_ON = ("mean", "std", "stand_in", "ignore_index")  # what a dataset around another says where the inner one does


class NoClassesError(DataError):
    """The targets of a dataset are no class numbers."""


class Around:
    """A dataset made of others; the base class of those, which knows how to ask them for what they say.

    Attributes:
        targets: the class of each sample, (N,) int64; where an inner dataset has no ``targets``, found out by decoding
            each of its samples, once, when first asked.
        classes: the names of the classes; their numbers where an inner dataset has none.
        num_classes: how many there are.
        mean, std, stand_in, ignore_index: the inner dataset's, where it has them.
        label: the inner dataset's, or the name of its class, which a run would show in its place.
    """

    mean: Any
    std: Any
    label: str
    stand_in: bool
    ignore_index: int

    def __init__(self) -> None:
        self._targets: NDArray[np.int64] | None = None

    def _find_targets(self) -> NDArray[np.int64]:
        raise NotImplementedError

    def _find_classes(self) -> list[str]:
        raise NotImplementedError

    @property
    def targets(self) -> NDArray[np.int64]:
        if self._targets is None:
            self._targets = self._find_targets()
        return self._targets

    @property
    def classes(self) -> list[str]:
        try:
            return self._find_classes()
        except NoClassesError as error:  # so that getattr(dataset, "classes", None) is None, as of the inner one
            raise AttributeError(str(error)) from None

    @property
    def num_classes(self) -> int:
        return len(self.classes)


def label_of(dataset: Any) -> str:
    """What a run calls the data: a subset is still the data that it is a subset of."""
    return str(getattr(dataset, "label", type(dataset).__name__))


def check_is_dataset(dataset: Any, what: str) -> None:
    """Raise a DataError unless it has a length and samples."""
    is_one = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
    if not is_one or isinstance(dataset, str | dict):
        raise DataError(f"{what}: {type(dataset).__name__} is no dataset; expected __len__ and __getitem__")
    if not len(dataset):
        raise DataError(f"{what}: the dataset inside, {type(dataset).__name__}, is empty")


def targets_of(dataset: Any) -> NDArray[np.int64]:
    """The class of each sample, (N,) int64: the dataset's own ``targets``, or what decoding each sample gives.

    Raises:
        NoClassesError: targets are no class numbers.
    """
    known = getattr(dataset, "targets", None)
    name = type(dataset).__name__
    if known is None:
        logger.info("%s has no `targets`: decoding its %d samples to find them", name, len(dataset))
        return np.array([_target(dataset, index) for index in range(len(dataset))], dtype=np.int64)
    targets = np.asarray(known)
    if targets.shape != (len(dataset),) or targets.dtype.kind not in "iub":
        found = f"an array {targets.shape} of {targets.dtype}"
        raise NoClassesError(f"the targets of {name} are {found}; expected {len(dataset)} class numbers")
    return targets.astype(np.int64)


def classes_of(dataset: Any, targets: NDArray[np.int64] | None = None) -> list[str]:
    """The names of the classes; their numbers where the dataset has none.

    Args:
        targets: the dataset's, where they are known already.

    Raises:
        NoClassesError: targets are no class numbers.
    """
    names = getattr(dataset, "classes", None)
    if names is not None:
        return list(names)
    count = getattr(dataset, "num_classes", None)
    if count is None:
        count = int((targets_of(dataset) if targets is None else targets).max()) + 1
    return [str(number) for number in range(count)]


def _target(dataset: Any, index: int) -> int:
    sample = dataset[index]
    name = type(dataset).__name__
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        raise NoClassesError(f"sample {index} of {name} is no (image, target) pair but {type(sample).__name__}")
    target = np.asarray(sample[1])
    if target.size != 1 or target.dtype.kind not in "iub":
        raise NoClassesError(f"sample {index} of {name} has the target {sample[1]!r}; expected a class number")
    return int(target.item())
