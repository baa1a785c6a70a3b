"""The folds of a cross-validation: which samples of a dataset each of them trains and validates on."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pegboard.errors import DataError, PegboardError
from pegboard_data.concat import Concat
from pegboard_data.facts import NoClassesError, classes_of, targets_of
from pegboard_data.groups import groups_by, paths_of
from pegboard_data.splits import Indices, Samples, bootstrap, check_seed, kfold, leave_one_out
from pegboard_data.view import View

SCHEMES = ("kfold", "loo", "bootstrap")


class Fold(NamedTuple):
    """The samples of one fold, ascending; a bootstrap's ``train`` holds some several times."""

    train: Indices
    val: Indices


@dataclass(frozen=True)
class Scheme:
    """How a dataset is cut.

    Args:
        scheme: ``"kfold"``, ``"loo"`` (leave one sample, or one group, out) or ``"bootstrap"``.
        folds: how many; None where one is left out in turn, since the data says it.
        seed: what is drawn depends on it.
        stratify: keep the share of every class in every part.
        group_by: a regular expression; samples stay together whose paths give the same group.
    """

    scheme: str
    folds: int | None
    seed: int
    stratify: bool
    group_by: str | None

    def check(self) -> None:
        """Raise a PegboardError unless its numbers can be."""
        check_seed(self.seed)
        if self.folds is not None and self.folds < 2:
            raise PegboardError(f"--folds {self.folds}; expected at least 2")

    def samples(self, dataset: Any) -> Samples:
        """What is to be cut.

        Raises:
            DataError: it is to be stratified, and its targets are no classes; or a sample is in it twice.
        """
        _check_distinct(dataset)
        groups = groups_by(self.group_by, paths_of(dataset)) if self.group_by is not None else None
        stratify = self.stratify and self.scheme != "loo"
        if not stratify:
            return Samples(np.zeros(len(dataset), dtype=np.int64), ["all"], groups, False, "train.dataset")
        try:
            targets = targets_of(dataset)
        except NoClassesError as error:
            raise DataError(f"train.dataset cannot be stratified: {error}, or --no-stratify") from None
        return Samples(targets, classes_of(dataset, targets), groups, True, "train.dataset")

    def cut(self, samples: Samples) -> tuple[int, Iterable[Fold]]:
        """How many folds there are, and each of them."""
        if self.scheme == "loo":
            count, cuts = leave_one_out(samples)
            return count, (Fold(parts["train"], parts["valid"]) for parts in cuts)
        count = self.folds or 0
        if self.scheme == "kfold":
            return count, [Fold(parts["train"], parts["valid"]) for parts in kfold(samples, count, self.seed)]
        seeds = np.random.SeedSequence(self.seed).generate_state(count).tolist()
        drawn = (bootstrap(samples, seed) for seed in seeds)
        return count, (Fold(parts["train"], parts["test"]) for parts in drawn)


def digest(samples: Samples) -> str:
    """A short hash of what the folds are drawn from: how many samples, their classes and their groups."""
    parts = [samples.targets, samples.groups if samples.groups is not None else np.zeros(0)]
    return hashlib.sha256(b"".join(np.asarray(part, dtype="<i8").tobytes() for part in parts)).hexdigest()[:16]


def _check_distinct(dataset: Any) -> None:
    """A sample that comes twice would come to lie in the training and the validation part of a fold."""
    inner, indices = dataset, np.arange(len(dataset))
    while isinstance(inner, View):
        inner, indices = inner.dataset, inner.indices[indices]
    paths = getattr(inner, "paths", None)
    shown = [paths[index] for index in indices.tolist()] if isinstance(paths, Sequence) else indices.tolist()
    sample, times = Counter(shown).most_common(1)[0]
    if times > 1:
        raise DataError(
            f"train.dataset: {type(dataset).__name__} shows sample {sample!r} {times} times, so that a fold might be "
            "validated on what it was trained on; expected each once"
        )
    for part in inner.datasets if isinstance(inner, Concat) else ():
        _check_distinct(part)
