"""The weights of the best validation."""

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from pegboard import Batch, CheckpointError, Hook, PegboardError, checkpoint
from pegboard_hooks import weights_file
from pegboard_hooks.improvement import improved, worst

if TYPE_CHECKING:
    from pegboard import Runner

logger = logging.getLogger("pegboard")


class BestCheckpoint(Hook):
    """Keep the weights of the best validation, for ``pegboard test RUN --checkpoint best``.

    "Best" means strictly above (``better="higher"``) or below (``"lower"``) all before; a tie keeps the earlier, and
    nan never is. The weights are those that the validation ran with, an EMA's averages where one evaluates, whichever
    of the two hooks comes first: they are copied when a validation begins, which takes the memory of one more model
    while it lasts.

    The file, ``checkpoints/best.pt``, holds ``model``, the ``metric`` with its ``value``, ``epoch`` and ``iteration``,
    and the config as data; no run can resume from it.

    Args:
        metric: key among the run's validation metrics, e.g. ``"val/top1"``. Checked before the first step.
        better: ``"higher"`` or ``"lower"``; never guessed from the name.
        file: its name without ``.pt``, so that a run can keep the best by several metrics.

    Raises:
        PegboardError: ``file`` is no plain name, or one that the run's own checkpoints have.
    """

    essential = True  # what a user trains for may be this file
    state = ("best", "best_epoch", "best_iteration")

    def __init__(self, metric: str, better: Literal["higher", "lower"], file: str = "best") -> None:
        if not re.fullmatch(r"(?!last$|iteration_)[\w-]+", file):
            raise PegboardError(f"BestCheckpoint: file must be a plain name such as 'best', got {file!r}")
        self.metric = metric
        self.better = better
        self.file = file
        self.best = worst(better)
        self.best_epoch = self.best_iteration = 0
        self.weights: dict[str, Any] = {}
        self.failure = ""  # why the last best could not be written

    def before_run(self, run: "Runner") -> None:
        if self.best_iteration:  # resumed
            self._look_at_file(run)

    def before_val(self, run: "Runner") -> None:
        self.weights = {}  # an interrupted validation left some

    def before_val_iter(self, run: "Runner", batch: Batch) -> None:
        if not self.weights:
            with torch.inference_mode(False):  # a copy made inside would remain an inference tensor
                self.weights = _copied(run.model.state_dict())

    def after_val(self, run: "Runner", metrics: Mapping[str, float]) -> None:
        value, weights = metrics[self.metric], self.weights
        self.weights = {}
        if not improved(value, self.best, self.better):
            return
        more = {"metric": self.metric, "better": self.better, "value": value}
        try:
            weights_file.write(run, self.file, weights or run.model.state_dict(), **more)
        except CheckpointError as error:
            self.failure = str(error)
            logger.error("%s; the best before it stays", error)
            return
        self.failure = ""
        self.best, self.best_epoch, self.best_iteration = value, weights_file.epoch_of(run), run.iteration

    def after_run(self, run: "Runner") -> None:
        if self.failure:
            raise CheckpointError(self.failure)

    def _look_at_file(self, run: "Runner") -> None:
        """Say so where a resumed run finds another file than the one that it knows of."""
        path = run.folder / "checkpoints" / f"{self.file}.pt"
        known = f"{self.metric} {self.best:.4g} of epoch {self.best_epoch}"
        try:
            found = checkpoint.load(path)
        except CheckpointError as error:
            logger.warning("%s; the best so far, %s, can be beaten but not tested", error, known)
            return
        if found.get("iteration") != self.best_iteration:
            logger.warning(
                "%s is of iteration %s, which the resumed run has not reached; it stays until %s is beaten",
                path, found.get("iteration"), known,
            )  # fmt: skip


def _copied(weights: dict[str, Any]) -> dict[str, Any]:
    """The same state dict, its metadata included, with tensors of its own."""
    for name, value in weights.items():
        if isinstance(value, Tensor):
            weights[name] = value.clone()
    return weights
