"""A cross-validation: one run a fold, each in a folder of its own, one after the other in this process."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pegboard import DATASETS, Config
from pegboard.console import duration_text
from pegboard.runner.build import placed
from pegboard.runner.folder import new_folder
from pegboard_data import fold_record
from pegboard_data.facts import label_of
from pegboard_data.fold_config import fold_config, put_indices, statistics_of
from pegboard_data.fold_figures import Figures, figures
from pegboard_data.fold_run import clear, ended, newest_state, run_fold
from pegboard_data.folds import Fold, Scheme, digest

logger = logging.getLogger("pegboard")


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


class CrossValidation:
    """Cut the training data of a config, and run every fold.

    Args:
        config: the whole, as ``fold_config.whole`` gives it, without problems.
        scheme: how the data is cut.
        statistics: give every Normalize the figures of the fold's own training images.

    Attributes:
        count: how many folds there are.
        folder: where they are written; known once it is open.
        over: the folds whose runs are over.

    Raises:
        DataError: the data cannot be read, or not be cut so.
    """

    folder: Path

    def __init__(self, config: Config, scheme: Scheme, statistics: bool = False) -> None:
        self.config, self.scheme, self.statistics = config, scheme, statistics
        self.name = str(config.values.get("name") or (config.path.stem if config.path else "run"))
        with placed(config):
            self.dataset = DATASETS.build(config.values["train"]["dataset"], "train.dataset")
        self.label = label_of(self.dataset)
        self.samples = scheme.samples(self.dataset)
        self.folds: Iterable[Fold]
        self.count, self.folds = scheme.cut(self.samples)
        self.over: list[Over] = []

    @property
    def record(self) -> dict[str, Any]:
        """What must not change between the beginning and the end."""
        return {
            "name": self.name,
            "asked": {**vars(self.scheme), "statistics": self.statistics},
            "data": {"label": self.label, "samples": len(self.samples), "digest": digest(self.samples)},
            "values": self.config.values,
        }

    def open(self, folder: Path | None) -> None:
        """Begin in a folder, or go on there; in a new one where none is named.

        Raises:
            PegboardError: it holds something else, or a cross-validation of something else.
        """
        if folder is None:
            self.folder = new_folder(Path("runs"), self.name, "cross_validation_")
        else:
            self.folder = folder
        begun = fold_record.read(self.folder)
        if begun is None:
            fold_record.write(self.folder, self.record)
        else:
            fold_record.check_same(self.folder, begun, fold_record.plain(self.record))
        how = f"{self.scheme.scheme}{', stratified' if self.samples.stratify else ''}, seed {self.scheme.seed}"
        what = f"train.dataset has {len(self.samples):,} samples: {self.count:,} runs ({how}) in {self.folder}"
        logger.info("%s; val.dataset is not used, and test is not touched", what)

    def run(self) -> bool:
        """Run every fold that is not over, then write all figures; False if an interrupt came between."""
        timed = 0
        for number, fold in enumerate(self.folds, 1):
            folder = self.folder / f"fold_{number}"
            summary = ended(folder)
            if summary is not None:
                put_indices(folder, fold)  # refuses other ones
                logger.info("fold %d of %s is over already", number, f"{self.count:,}")
            else:
                state, begun = newest_state(folder), time.perf_counter()
                summary = self._run(number, folder, fold, state)
                if summary["exit"] == "interrupted":
                    return False
                timed += state is None
                if state is None and timed <= 2 and number < self.count:  # the first one imports what the others use
                    self._estimate(time.perf_counter() - begun, self.count - number)
            metrics = {name: value for name, value in summary["final"].items() if name.startswith("val/")}
            reason = summary.get("stop_reason", "")
            self.over.append(Over(folder.name, len(fold.train), len(fold.val), metrics, reason))
        metrics = {name: vars(of_one) for name, of_one in self.figures().items()}
        fold_record.write(self.folder, {**self.record, "folds": [vars(fold) for fold in self.over], "metrics": metrics})
        return True

    def figures(self) -> dict[str, Figures]:
        """Those of every validation metric, over the folds that are over."""
        names = dict.fromkeys(name for fold in self.over for name in fold.metrics)
        sizes = [fold.val for fold in self.over]
        return {name: figures([fold.metrics.get(name) for fold in self.over], sizes) for name in names}

    def _run(self, number: int, folder: Path, fold: Fold, state: Any) -> dict[str, Any]:
        if state is None:
            clear(folder)
        put_indices(folder, fold)
        what = f"fold {number} of {self.count:,}"
        logger.info("%s: %s samples to train, %s to validate", what, f"{len(fold.train):,}", f"{len(fold.val):,}")
        found = statistics_of(self.dataset, fold) if self.statistics else None
        return run_fold(fold_config(self.config, folder, f"{self.name}_{folder.name}", found), folder, state)

    def _estimate(self, seconds: float, left: int) -> None:
        rest = duration_text(seconds * left)
        logger.info("this fold took %s; %s more will take about %s", duration_text(seconds), f"{left:,}", rest)
