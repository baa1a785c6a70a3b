"""Cut samples into parts to train, validate and test on; scikit-learn does the drawing.

Every function gives parts that are disjoint (a bootstrap's training part holds samples several times, and none of its
test part) and together all samples; the same arguments and seed give the same parts. Indices ascend.

Letters: N samples.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    StratifiedGroupKFold,
    StratifiedKFold,
    train_test_split,
)
from sklearn.utils import resample

from pegboard.errors import DataError

Indices = NDArray[np.int64]
Parts = dict[str, Indices]

TRIES = 50  # draws of whole groups, of which the one nearest to the ratios in every class is taken


class Samples:
    """What is split: the class, and the group, of each sample.

    Args:
        targets: class numbers, (N,).
        classes: their names.
        groups: what must stay together, (N,) of anything that compares; None where each sample stands alone.
        stratify: keep the share of every class in every part; a class too small for that is an error.
        what: what a message calls them.
    """

    def __init__(
        self,
        targets: NDArray[Any],
        classes: Sequence[str],
        groups: NDArray[Any] | None = None,
        stratify: bool = True,
        what: str = "SOURCE",
    ) -> None:
        self.targets = np.asarray(targets)
        self.classes = list(classes)
        self.groups = None if groups is None else np.unique(groups, return_inverse=True)[1]
        self.stratify = stratify
        self.what = what
        self.everything: Indices = np.arange(len(self.targets))

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def strata(self) -> NDArray[Any] | None:
        """What scikit-learn stratifies by."""
        return self.targets if self.stratify else None

    def units(self, number: int | None = None) -> int:
        """How many groups there are (samples, where there are no groups), in all or of one class."""
        chosen = slice(None) if number is None else self.targets == number
        return len(self.targets[chosen]) if self.groups is None else len(np.unique(self.groups[chosen]))

    def unit_name(self, count: int) -> str:
        word = "image" if self.groups is None else "group"
        return f"{count} {word}" if count == 1 else f"{count} {word}s"

    def check_can_be_in(self, count: int, what: str) -> None:
        """Raise a DataError where there are fewer units than ``count`` parts, in all or of one class."""
        if self.units() < count:
            raise DataError(f"{self.what} has {self.unit_name(self.units())}; expected at least {count}, {what}")
        for number in np.unique(self.targets).tolist() if self.stratify else ():
            if self.units(number) < count:
                raise self.too_small(number, f"expected at least {count}, {what}")

    def check_each_class_in(self, parts: Parts) -> None:
        """Raise a DataError where a part is empty or, of those that are stratified, lacks a class."""
        for name, part in parts.items():
            if not len(part):
                raise DataError(f"the {name} part would be empty; add images, or try another --seed")
            if self.stratify:
                missing = np.setdiff1d(self.targets, self.targets[part])
                if len(missing):
                    raise self.too_small(int(missing[0]), f"there would be none in the {name} part")

    def too_small(self, number: int, why: str) -> DataError:
        count = self.unit_name(self.units(number))
        return DataError(
            f"class {self.classes[number]!r} has {count}, too few to be in each part: {why}; "
            "add images, change the shares or the seed, or say --no-stratify"
        )


def holdout(samples: Samples, ratio: Sequence[float], seed: int) -> Parts:
    """``train`` and ``valid``, or with three ratios ``train``, ``valid`` and ``test``.

    Stratified, the number of a class in a part is its share rounded up or down, in the second of two cuts of what the
    first left. Groups are drawn whole, the ratios being shares of their number; stratified, of 50 draws the one is
    taken whose parts come nearest to the ratios in every class.

    Args:
        ratio: shares of train, valid and, if there are three, test; above 0, together 1.

    Raises:
        DataError: the ratios are none, or a class cannot be in each part.
    """
    check_ratio(ratio)
    names = ("train", "valid", "test")[: len(ratio)]
    samples.check_can_be_in(len(ratio), f"one for each of {', '.join(names)}")
    units = samples.units()
    sizes = {name: max(1, round(share * units)) for name, share in list(zip(names, ratio, strict=True))[1:]}
    present = len(np.unique(samples.targets))
    smallest = min(*sizes.values(), units - sum(sizes.values()))
    if samples.stratify and samples.groups is None and smallest < present:
        rarest = int(np.argmin(np.bincount(samples.targets, minlength=1) + len(samples) * _absent(samples)))
        raise samples.too_small(rarest, f"a part of {max(smallest, 0)} images cannot hold all {present} classes")
    if smallest < 1:
        raise DataError(f"{samples.what} has {samples.unit_name(units)}, too few for the ratios {_text(ratio)}")
    parts: Parts = {}
    rest = samples.everything
    for name in reversed(names[1:]):  # test first: how much is left to validate on does not change it
        rest, parts[name] = _cut(samples, rest, sizes[name], seed)
    parts = {"train": rest, **{name: parts[name] for name in names[1:]}}
    samples.check_each_class_in(parts)
    return parts


def kfold(samples: Samples, folds: int, seed: int) -> list[Parts]:
    """``folds`` times ``train`` and ``valid``; each sample is in one ``valid``.

    Raises:
        DataError: there are fewer samples, or groups, than folds, in all or of one class.
    """
    if folds < 2:
        raise DataError(f"--folds {folds}; expected at least 2")
    samples.check_can_be_in(folds, "one for each fold")
    if samples.groups is not None:
        kind = StratifiedGroupKFold if samples.stratify else GroupKFold
    else:
        kind = StratifiedKFold if samples.stratify else KFold
    cuts = kind(folds, shuffle=True, random_state=seed).split(samples.everything, samples.targets, samples.groups)
    found = [{"train": train, "valid": valid} for train, valid in cuts]
    for parts in found:
        samples.check_each_class_in(parts)
    return found


def leave_one_out(samples: Samples) -> tuple[int, Iterator[Parts]]:
    """How many folds there are, and each of them: ``valid`` is one sample, or one group, ``train`` all others."""
    count = samples.units()
    if count < 2:
        raise DataError(f"{samples.what} has {samples.unit_name(count)}; expected at least 2 to leave one out")
    kind = LeaveOneOut() if samples.groups is None else LeaveOneGroupOut()
    cuts = kind.split(samples.everything, samples.targets, samples.groups)
    return count, ({"train": train, "valid": valid} for train, valid in cuts)


def bootstrap(samples: Samples, seed: int) -> Parts:
    """``train``: as many draws with replacement as there are samples; ``test``: those never drawn, about 36.8 %.

    Stratified, each class is drawn as often as it has samples. Groups are drawn whole, so that the training part has
    about as many samples.

    Raises:
        DataError: nothing, or stratified nothing of a class, was left undrawn.
    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 17.
    """
    if samples.groups is None:
        drawn = resample(samples.everything, stratify=samples.strata, random_state=seed)
    else:
        groups = resample(np.unique(samples.groups), random_state=seed)
        drawn = np.concatenate([np.flatnonzero(samples.groups == group) for group in groups.tolist()])
    parts = {"train": np.sort(drawn), "test": np.setdiff1d(samples.everything, drawn)}
    samples.check_each_class_in(parts)
    return parts


def check_ratio(ratio: Sequence[float]) -> None:
    """Raise a DataError unless there are two or three, above 0 and together 1."""
    if len(ratio) in (2, 3) and all(share > 0 for share in ratio) and abs(sum(ratio) - 1) < 1e-6:
        return
    hint = ""
    if len(ratio) in (2, 3) and all(share > 0 for share in ratio):
        hint = f"; did you mean {_text([round(share / sum(ratio), 4) for share in ratio])}?"
    raise DataError(
        f"--ratio {_text(ratio)}; expected two (train, valid) or three (train, valid, test) numbers above 0 that sum "
        f"to 1{hint}"
    )


def check_seed(seed: int) -> None:
    """Raise a DataError unless scikit-learn takes it."""
    if not 0 <= seed < 2**32:
        raise DataError(f"--seed {seed}; expected 0 to {2**32 - 1}")


def _cut(samples: Samples, among: Indices, size: int, seed: int) -> tuple[Indices, Indices]:
    """(rest, part): ``size`` samples, or groups, of those in ``among`` become the part."""
    if samples.groups is None:
        strata = None if samples.strata is None else samples.strata[among]
        if strata is not None:
            counts = np.bincount(strata, minlength=samples.targets.max() + 1)
            left = [number for number in np.unique(samples.targets).tolist() if counts[number] < 2]
            if left:
                raise samples.too_small(left[0], "a part took all or all but one of them")
        rest, part = train_test_split(among, test_size=size, stratify=strata, random_state=seed)
        return np.sort(rest), np.sort(part)
    groups = samples.groups[among]
    draws = GroupShuffleSplit(TRIES if samples.stratify else 1, test_size=size, random_state=seed)
    share = size / len(np.unique(groups))
    _, numbers, counts = np.unique(samples.targets[among], return_inverse=True, return_counts=True)

    def unevenness(part: Indices) -> float:
        """How far the part is from its share, summed over the classes."""
        return float(np.abs(np.bincount(numbers[part], minlength=len(counts)) / counts - share).sum())

    rest, part = min(draws.split(among, groups=groups), key=lambda cut: unevenness(cut[1]))
    return among[np.sort(rest)], among[np.sort(part)]


def _absent(samples: Samples) -> NDArray[np.bool_]:
    absent: NDArray[np.bool_] = np.bincount(samples.targets, minlength=1) == 0
    return absent


def _text(ratio: Sequence[float]) -> str:
    return " ".join(f"{share:g}" for share in ratio)
