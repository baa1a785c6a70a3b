"""The numbers of a run over time, as charts of series."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from pegboard_visual.report.run_folder import RunFolder

POINTS = 800  # of a series; of a longer one the lowest and the highest of each stretch are kept
T = TypeVar("T")
SPLITS = {"train": "training", "val": "validation"}
KNOWN = ("loss", "learning rate")  # charts that every run has


@dataclass
class Series:
    """One line.

    Args:
        label: what tells it from the others of its chart, e.g. ``"validation"``.
        role: ``"train"``, ``"val"``, or ``"step"`` for what is logged every few iterations.
        run: the number of its run.
        epochs, iterations, values: its points; an epoch counts as 2.5 in the middle of the third.
    """

    label: str
    role: str
    run: int = 0
    epochs: list[float] = field(default_factory=list)
    iterations: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


@dataclass
class Chart:
    """Series that share an axis; ``by_hook`` where a hook or the model itself logged them."""

    title: str
    series: list[Series]
    by_hook: bool = False


def charts(runs: Sequence[RunFolder]) -> list[Chart]:
    """Loss first, then the metrics, the learning rate, and all that was logged besides."""
    found: dict[str, Chart] = {}
    for number, run in enumerate(runs):
        several_rates = any(name.startswith("lr/") for record in run.records for name in record)
        epochs = _epochs(run)
        lines: dict[str, Series] = {}
        for record, epoch in zip(run.records, epochs, strict=True):
            for name, value in record.items():
                if name in ("epoch", "iteration") or value is None or (name == "lr" and several_rates):
                    continue
                if name not in lines:
                    title, label, role = _place(name)
                    lines[name] = Series(label, role, number)
                    chart = found.setdefault(title, Chart(title, [], role == "step" and title not in KNOWN))
                    chart.series.append(lines[name])
                lines[name].epochs.append(epoch)
                lines[name].iterations.append(int(record.get("iteration") or 0))
                lines[name].values.append(value)
        for series in lines.values():
            _thin(series)
    return sorted(found.values(), key=_rank)


def _place(name: str) -> tuple[str, str, str]:
    """Title of the chart, label and role of a figure."""
    prefix, slash, rest = name.partition("/")
    if slash and prefix in SPLITS:
        return rest, SPLITS[prefix], prefix
    if name == "loss":
        return "loss", "training, recent", "step"
    if name == "lr" or prefix == "lr":
        return "learning rate", rest or "learning rate", "step"
    return name, name, "step"


def _rank(chart: Chart) -> int:
    return 0 if chart.title == "loss" else 3 if chart.by_hook else 2 if chart.title == "learning rate" else 1


def _epochs(run: RunFolder) -> list[float]:
    """How many epochs had passed at each record, between the ends of epochs by interpolation."""
    known = {0: 0.0}
    for record in run.records:
        if any(name.startswith("train/") for name in record):
            known[int(record.get("iteration") or 0)] = float(record.get("epoch") or 0)
    ends = sorted(known)
    if len(ends) < 2:
        return [float(record.get("epoch") or 0) for record in run.records]
    past = ends[-1] + (ends[-1] - ends[-2])  # what comes after the last one goes on at its pace
    iterations = [record.get("iteration") or 0 for record in run.records]
    at = [*ends, past]
    is_at = [*(known[end] for end in ends), 2 * known[ends[-1]] - known[ends[-2]]]
    return [round(float(value), 3) for value in np.interp(iterations, at, is_at)]


def _thin(series: Series) -> None:
    """Keep the extremes of each stretch, so that no spike is lost, and both ends."""
    count = len(series.values)
    if count <= POINTS:
        return
    values = np.asarray(series.values)
    kept = {0, count - 1}
    for stretch in np.array_split(np.arange(count), POINTS // 2):
        kept |= {int(stretch[values[stretch].argmin()]), int(stretch[values[stretch].argmax()])}
    places = sorted(kept)
    series.epochs, series.iterations = _at(series.epochs, places), _at(series.iterations, places)
    series.values = _at(series.values, places)


def _at(values: Sequence[T], places: Iterable[int]) -> list[T]:
    return [values[place] for place in places]
