"""What a model predicts for every sample of a split, as a CSV file."""

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pegboard import distributed
from pegboard.data.batch import Batch
from pegboard.errors import DataError, PegboardError
from pegboard.hooks.hook import Hook
from pegboard.runner.inference import probabilities

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner


class Predictions(Hook):
    """Writes a row a sample: ``sample`` (its number), ``path`` (where the dataset names its files: ``paths`` or
    torchvision's ``samples``), ``target``, ``prediction``, and the probability of each class, ``p(cat)``.

    Classes stand by their names where the data has any.

    Args:
        file: an open file. split: whose samples they are.
    """

    essential = True
    ranks = "first"

    def __init__(self, file: Any, split: str) -> None:
        self.writer = csv.writer(file, lineterminator="\n")
        self.split = split
        self.paths: Sequence[Any] | None = None
        self.names: list[str] = []

    def begin(self, run: "Runner", classes: int) -> None:
        """The header, when the number of classes is seen."""
        self.paths = paths_of(run.datasets[self.split])
        known = [str(name) for name in run.facts.get("classes") or ()]
        self.names = known if len(known) == classes else [str(number) for number in range(classes)]
        where = ["path"] if self.paths is not None else []
        self.writer.writerow(["sample", *where, "target", "prediction", *(f"p({name})" for name in self.names)])

    def after_test_iter(self, run: "Runner", batch: Batch, outputs: Any) -> None:
        if not isinstance(outputs, Tensor) or outputs.dim() != 2:
            shape = tuple(getattr(outputs, "shape", ())) or type(outputs).__name__
            raise PegboardError(f"--predictions needs one number a class from the model, (B, K); it gives {shape}")
        chances = probabilities(outputs).cpu()
        if not self.names:
            self.begin(run, chances.shape[1])
        best = chances.argmax(1).tolist()
        targets = batch.targets.tolist() if isinstance(batch.targets, Tensor) else list(batch.targets)
        for number, target, which, row in zip(batch.index.tolist(), targets, best, chances.tolist(), strict=True):
            where = [] if self.paths is None else [self.paths[number]]
            right = self.names[target] if isinstance(target, int) and 0 <= target < len(self.names) else target
            self.writer.writerow([number, *where, right, self.names[which], *(f"{value:.6g}" for value in row)])


@contextmanager
def predictions_file(run: "Runner", path: str | None, split: str) -> Iterator[None]:
    """Write the predictions of the evaluation of ``split`` inside to ``path``; nothing is written where it is None.

    Raises:
        DataError: no file can lie there.
    """
    if path is None or not distributed.is_first():
        yield
        return
    file = Path(path)
    if file.is_dir() or not file.parent.is_dir():
        what = "is a folder" if file.is_dir() else f"there is no folder {file.parent}"
        raise DataError(f"--predictions {path}: {what}; expected the name of a CSV file")
    temporary = file.with_name(f".{file.name}-{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as opened:
            run.use_hooks({**run.hooks, "predictions": Predictions(opened, split)})
            yield
        temporary.replace(file)  # whole or not at all
    finally:
        temporary.unlink(missing_ok=True)


def paths_of(dataset: Any) -> Sequence[Any] | None:
    """The file of each sample, where the dataset names them; None where not."""
    paths = getattr(dataset, "paths", None)
    if paths is None and (samples := getattr(dataset, "samples", None)):
        first = samples[0]
        paths = [sample[0] for sample in samples] if isinstance(first, tuple) and isinstance(first[0], str) else None
    return paths if isinstance(paths, Sequence) and len(paths) == len(dataset) else None
