"""What the page draws from numbers: confusion matrices, embeddings, histograms.

The numbers come with a picture (``Shown.data``), whoever drew it; where they do not fit, its picture is shown instead.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from pegboard import Shown
from pegboard_visual.pictures.confusion import ClassFigures, Pair, class_figures, confused_pairs, top1

MOST_CLASSES = 30  # of a matrix that is a table; a larger one is a picture
MOST_PAIRS = 8  # that are confused most
MOST_STEPS = 20  # of a slider
MOST_POINTS = 2000  # of an embedding
MOST_BARS = 250_000  # of all histograms together
SPLITS = ("valid", "test", "train")


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix over the run.

    Args:
        steps: for the page's script: ``{"epoch": 3, "iteration": 90, "counts": [[...]]}``; empty where the matrix is
            too large for a table.
        counts: the newest.
    """

    key: str
    split: str
    classes: list[str]
    steps: list[dict[str, Any]]
    counts: list[list[int]]
    figures: list[ClassFigures]
    confused: list[Pair]
    accuracy: float | None
    epoch: int


class Mistake(NamedTuple):
    """An image that was taken for another class; the probabilities are those of the two classes."""

    sample: str
    truth: str
    predicted: str
    probability: float
    truth_probability: float


@dataclass(frozen=True)
class Embedding:
    """Points in the plane over the run; ``steps`` as ``{"epoch", "iteration", "points", "targets"}``."""

    key: str
    split: str
    method: str
    classes: list[str]
    steps: list[dict[str, Any]]
    notes: list[str]


@dataclass(frozen=True)
class Histograms:
    """Distributions of tensors over the run.

    Args:
        names: of the tensors.
        steps: ``{"epoch", "iteration", "tensors": {name: [low, high, counts]}}``.
        quantiles: of each tensor, ``{"epochs": [...], "lines": {"0.5": [...]}}``.
        ratios: of each parameter, size of the update over that of the weight: ``{"epochs": [...], "values": [...]}``.
        notes: what the newest one points out.
    """

    names: list[str]
    steps: list[dict[str, Any]]
    quantiles: dict[str, dict[str, Any]]
    ratios: dict[str, dict[str, list[float]]]
    notes: list[str]


def matrix(key: str, shown: Sequence[Shown]) -> Matrix | None:
    """The matrices of one name, the oldest first; None if the numbers do not fit."""
    try:
        classes = [str(name) for name in shown[-1].data["classes"]]
        kept = _some(shown)
        all_counts = [_counts(one.data["counts"], len(classes)) for one in kept]
    except (KeyError, TypeError, ValueError):
        return None
    counts = all_counts[-1]
    table = np.array(counts)
    steps = [
        {"epoch": one.epoch, "iteration": one.iteration, "counts": matrix}
        for one, matrix in zip(kept, all_counts, strict=True)
    ]
    return Matrix(
        key,
        str(shown[-1].data.get("split", "")),
        classes,
        steps if len(classes) <= MOST_CLASSES else [],
        counts,
        class_figures(table, classes),
        confused_pairs(table, MOST_PAIRS),
        top1(table),
        shown[-1].epoch,
    )


def _counts(rows: Any, classes: int) -> list[list[int]]:
    counts = [[int(count) for count in row] for row in rows]
    if len(counts) != classes or any(len(row) != classes or min(row) < 0 for row in counts) or not classes:
        raise ValueError("a confusion matrix has a row and a column for each class")
    return counts


def embedding(key: str, shown: Sequence[Shown]) -> Embedding | None:
    """The embeddings of one name, the oldest first; None if the numbers do not fit."""
    try:
        newest = shown[-1].data
        classes = [str(name) for name in newest["classes"]]
        steps = [_points(one, len(classes)) for one in _some(shown, 8)]
        count = len(newest["points"])
    except (KeyError, TypeError, ValueError):
        return None
    notes = [f"{MOST_POINTS:,} of {count:,} points are shown"] if count > MOST_POINTS else []
    return Embedding(key, str(newest.get("split", "")), str(newest.get("method", "")), classes, steps, notes)


def mistakes(shown: Sequence[Shown]) -> list[Mistake]:
    """The newest worst mistakes; none if what is there does not fit."""
    try:
        return [
            Mistake(
                str(one["sample"]),
                str(one["truth"]),
                str(one["predicted"]),
                _short(float(one["probability"])),
                _short(float(one["truth_probability"])),
            )
            for one in shown[-1].data["worst"]
        ]
    except (KeyError, TypeError, ValueError):
        return []


def _points(one: Shown, classes: int) -> dict[str, Any]:
    points = [[_short(float(value)) for value in point] for point in one.data["points"]]
    targets = [int(target) for target in one.data["targets"]]
    if len(points) != len(targets) or any(len(point) != 2 for point in points):
        raise ValueError("an embedding has two numbers and a class for each point")
    if targets and not 0 <= min(targets) <= max(targets) < classes:
        raise ValueError("an embedding's targets are numbers of classes")
    count = min(len(points), MOST_POINTS)
    kept = [i * len(points) // count for i in range(count)]
    return {
        "epoch": one.epoch,
        "iteration": one.iteration,
        "points": [points[i] for i in kept],
        "targets": [targets[i] for i in kept],
    }


def histograms(shown: Sequence[Shown]) -> Histograms | None:
    """All histograms, the oldest first; None if the numbers do not fit."""
    try:
        newest = shown[-1].data
        bars = sum(len(tensor["counts"]) for tensor in newest["tensors"].values())
        # A run that was stopped ends with weights alone; their gradients of before are shown even so.
        names = list(dict.fromkeys(str(name) for one in reversed(shown) for name in one.data["tensors"]))
        most = max(1, min(MOST_STEPS, MOST_BARS // max(1, bars)))
        steps = [
            {
                "epoch": one.epoch,
                "iteration": one.iteration,
                "tensors": {name: _bars(tensor) for name, tensor in one.data["tensors"].items()},
            }
            for one in _some(shown, most)
        ]
        ratios: dict[str, dict[str, list[float]]] = {}
        quantiles: dict[str, dict[str, Any]] = {}
        for one in _some(shown, 200):
            for name, value in (one.data.get("update_ratio") or {}).items():
                line = ratios.setdefault(str(name), {"epochs": [], "values": []})
                line["epochs"].append(one.epoch)
                line["values"].append(_short(float(value)))
            for name, tensor in one.data["tensors"].items():
                _add_quantiles(quantiles.setdefault(str(name), {"epochs": [], "lines": {}}), one.epoch, tensor)
        notes = [str(note) for note in newest.get("notes") or []]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return Histograms(names, steps, quantiles, ratios, notes)


def _bars(tensor: Mapping[str, Any]) -> list[Any]:
    """Low, high, counts; edges that are not evenly spaced are said one by one instead of low and high."""
    edges = [float(edge) for edge in tensor["edges"]]
    counts = [int(count) for count in tensor["counts"]]
    if len(edges) != len(counts) + 1 or not counts:
        raise ValueError("a histogram has one edge more than counts")
    widths = [after - before for before, after in pairwise(edges)]
    even = max(widths) - min(widths) <= 1e-3 * max(map(abs, widths), default=0)
    places = [_short(edges[0]), _short(edges[-1])] if even else [[_short(edge) for edge in edges], None]
    return [*places, counts]


def _add_quantiles(lines: dict[str, Any], epoch: int, tensor: Mapping[str, Any]) -> None:
    values = tensor.get("quantiles") or {}
    if lines["lines"] and values.keys() != lines["lines"].keys():
        raise ValueError("the quantiles differ from one time to the next")
    lines["epochs"].append(epoch)
    for quantile, value in values.items():
        lines["lines"].setdefault(str(quantile), []).append(_short(float(value)))


def _some(shown: Sequence[Shown], most: int = MOST_STEPS) -> list[Shown]:
    """At most so many, spread evenly, the newest among them."""
    count = min(len(shown), most)
    return [shown[(i + 1) * len(shown) // count - 1] for i in range(count)]


def _short(value: float) -> float:
    """Four digits are more than a screen shows.

    Raises:
        ValueError: it is not finite.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be drawn")
    return float(f"{value:.4g}")
