"""Figures that follow from a confusion matrix: rows true classes, columns predicted ones."""

from collections.abc import Sequence
from typing import NamedTuple


class ClassFigures(NamedTuple):
    """How one class fared; None where a figure has nothing to be computed from."""

    name: str
    support: int
    correct: int
    predicted: int
    recall: float | None
    precision: float | None
    f1: float | None


class Pair(NamedTuple):
    """How many samples of one class were taken for another, and their share of that class."""

    truth: str
    predicted: str
    images: int
    share: float


def per_class(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> list[ClassFigures]:
    """Each class in the order of the matrix."""
    found = []
    for number, name in enumerate(classes):
        support, correct = sum(counts[number]), counts[number][number]
        predicted = sum(row[number] for row in counts)
        f1 = 2 * correct / (support + predicted) if support + predicted else None
        found.append(
            ClassFigures(name, support, correct, predicted, _ratio(correct, support), _ratio(correct, predicted), f1)
        )
    return found


def most_confused(counts: Sequence[Sequence[int]], classes: Sequence[str], most: int = 8) -> list[Pair]:
    """The most frequent mistakes, the most frequent first."""
    pairs = [
        Pair(classes[truth], classes[predicted], count, count / sum(row))
        for truth, row in enumerate(counts)
        for predicted, count in enumerate(row)
        if truth != predicted and count
    ]
    return sorted(pairs, key=lambda pair: -pair.images)[:most]


def accuracy(counts: Sequence[Sequence[int]]) -> float | None:
    """The matrix's trace over its sum; None of an empty one."""
    return _ratio(sum(row[number] for number, row in enumerate(counts)), sum(map(sum, counts)))


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
