"""What the folds of a cross-validation have come to, as their folders say."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pegboard.errors import PegboardError
from pegboard_data import fold_record
from pegboard_data.fold_config import FILES
from pegboard_data.fold_figures import Figures, figures
from pegboard_data.fold_run import ended
from pegboard_data.subset import read_indices


@dataclass(frozen=True)
class Over:
    """What is left of a fold whose run is over.

    Args:
        name: of its folder.
        train, val: how many samples it was trained and validated on.
        metrics: ``"val/..."`` after the last validation.
        stop_reason: why it ended before its full length; empty where it did not.
    """

    name: str
    train: int
    val: int
    metrics: dict[str, float]
    stop_reason: str


@dataclass(frozen=True)
class Results:
    """Those of the folds in a folder.

    Args:
        record: what is cross-validated, as ``cross_validation.json`` holds it.
        over: the folds whose runs are over, in their order.
        missing: folders of the others, by how they stand.
    """

    folder: Path
    record: Mapping[str, Any]
    over: list[Over]
    missing: dict[str, str]

    @property
    def left_out(self) -> bool:
        """Was one sample, or group, left out in turn?"""
        return bool(self.record["asked"]["scheme"] == "loo")

    @property
    def stand_in(self) -> bool:
        """Was the data drawn by code?"""
        return bool(self.record["data"]["label"] == "stand-in")

    def figures(self) -> dict[str, Figures]:
        """Those of every validation metric, over the folds that are over."""
        names = dict.fromkeys(name for fold in self.over for name in fold.metrics)
        sizes = [fold.val for fold in self.over]
        return {name: figures([fold.metrics.get(name) for fold in self.over], sizes) for name in names}

    def write(self) -> None:
        """Put all figures into the record."""
        metrics = {name: vars(of_one) for name, of_one in self.figures().items()}
        folds = [vars(fold) for fold in self.over]
        fold_record.write(self.folder, {**self.record, "folds": folds, "metrics": metrics})


def collect(folder: Path) -> Results:
    """Read what the runs in a folder have left, wherever they ran.

    Raises:
        PegboardError: no cross-validation was begun there.
    """
    record = fold_record.read(folder) if (folder / fold_record.FILE).is_file() else None
    if record is None or not isinstance(record.get("runs"), int):
        raise PegboardError(f"{folder} holds no cross-validation; expected the --work-dir of one that was begun")
    over, missing = [], {}
    for fold in folders(folder, record["runs"]):
        summary = ended(fold)
        if summary is None:
            missing[fold.name] = _standing(fold)
            continue
        train, val = (len(read_indices(fold / FILES[part])) for part in ("train", "val"))
        metrics = {name: float(value) for name, value in summary["final"].items() if name.startswith("val/")}
        over.append(Over(fold.name, train, val, metrics, summary.get("stop_reason", "")))
    return Results(folder, record, over, missing)


def folders(folder: Path, count: int) -> Iterator[Path]:
    """That of each fold, the first one's first."""
    return (folder / f"fold_{number}" for number in range(1, count + 1))


def _standing(fold: Path) -> str:
    """How far a fold is whose run is not over."""
    return "begun, not over" if (fold / "environment.json").is_file() else "not begun"
