"""A cross-validation: one run a fold, each in a folder of its own."""

import logging
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pegboard import DATASETS, Config
from pegboard.console import duration_text
from pegboard.runner.build import placed
from pegboard.runner.folder import new_folder
from pegboard_data import fold_record
from pegboard_data.facts import label_of
from pegboard_data.fold_config import fold_config, put_indices, statistics_of
from pegboard_data.fold_results import Results, collect, folders
from pegboard_data.fold_run import clear, ended, expected_seconds, is_fresh, newest_state, run_fold
from pegboard_data.folds import Fold, Scheme, digest

logger = logging.getLogger("pegboard")


class CrossValidation:
    """Cut the training data of a config, and run every fold.

    Args:
        config: the whole, as ``fold_config.whole`` gives it, without problems.
        scheme: how the data is cut.
        statistics: give every Normalize the figures of the fold's own training images.

    Attributes:
        count: how many folds there are.
        folder: where they are written; known once it is open.

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
        self.count, folds = scheme.cut(self.samples)
        self._folds: Iterator[tuple[int, Fold]] = enumerate(folds, 1)
        self._drawn: tuple[int, Fold] | None = None  # the last one asked for

    @property
    def record(self) -> dict[str, Any]:
        """What is cross-validated; all but ``"runs"``, which follows from it, must not change until the end."""
        return {
            "name": self.name,
            "asked": {**vars(self.scheme), "statistics": self.statistics},
            "data": {"label": self.label, "samples": len(self.samples), "digest": digest(self.samples)},
            "runs": self.count,
            "values": self.config.values,
        }

    def expected(self) -> str:
        """How many runs, and about how long they will take one after the other; tries the first one."""
        with tempfile.TemporaryDirectory() as temporary:
            folder, fold = Path(temporary), self.fold(1)
            put_indices(folder, fold)
            found = statistics_of(self.dataset, fold) if self.statistics else None
            seconds = expected_seconds(fold_config(self.config, folder, self.name, found), folder)
        return f"{self.count:,} runs, about {duration_text(seconds * self.count)}"

    def is_begun(self, folder: Path | None) -> bool:
        """Does a folder hold a cross-validation that goes on?

        Raises:
            PegboardError: it holds something else.
        """
        return folder is not None and fold_record.read(folder) is not None

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

    def run(self) -> Results | None:
        """Run every fold that is not over, then write all figures; None if an interrupt came between."""
        timed = 0
        for number in range(1, self.count + 1):
            fresh, begun = is_fresh(self.folder_of(number)), time.perf_counter()
            if not self.run_one(number):
                return None
            timed += fresh
            if fresh and timed <= 2 and number < self.count:  # the first one imports what the others use
                self.estimate(time.perf_counter() - begun, self.count - number)
        return self.finish()

    def run_one(self, number: int) -> bool:
        """Run a fold unless it is over; False if an interrupt came between.

        Raises:
            PegboardError: it holds other samples, or another process runs it.
        """
        folder, fold, of_all = self.folder_of(number), self.fold(number), f"{self.count:,}"
        if ended(folder) is not None:
            put_indices(folder, fold)  # refuses other ones
            logger.info("fold %d of %s is over already", number, of_all)
            return True
        state = newest_state(folder)
        if state is None:
            clear(folder)
        put_indices(folder, fold)
        sizes = f"{len(fold.train):,} samples to train, {len(fold.val):,} to validate"
        logger.info("fold %d of %s: %s", number, of_all, sizes)
        found = statistics_of(self.dataset, fold) if self.statistics else None
        config = fold_config(self.config, folder, f"{self.name}_{folder.name}", found)
        return bool(run_fold(config, folder, state)["exit"] != "interrupted")

    def waiting(self) -> list[int]:
        """Numbers of the folds that are not over."""
        return [n for n, folder in enumerate(folders(self.folder, self.count), 1) if ended(folder) is None]

    def finish(self) -> Results:
        """Put the figures of all folds, which are over, into the record."""
        results = collect(self.folder)
        results.write()
        return results

    def fold(self, number: int) -> Fold:
        """The samples of a fold; they are drawn one after the other, so that ascending numbers are cheapest."""
        if self._drawn is not None and self._drawn[0] > number:
            self._folds, self._drawn = enumerate(self.scheme.cut(self.samples)[1], 1), None
        while self._drawn is None or self._drawn[0] < number:
            self._drawn = next(self._folds)
        return self._drawn[1]

    def folder_of(self, number: int) -> Path:
        """Where a fold is written."""
        return self.folder / f"fold_{number}"

    def estimate(self, seconds: float, left: int, jobs: int = 1) -> None:
        """Log how long the rest will take.

        Args:
            seconds: that a fold has taken.
            left: folds that are to come.
            jobs: of them at a time.
        """
        rest = duration_text(seconds * left / jobs)
        logger.info("this fold took %s; %s more will take about %s", duration_text(seconds), f"{left:,}", rest)
