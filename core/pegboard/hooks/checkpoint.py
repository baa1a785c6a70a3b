"""When the state of a run is saved."""

from typing import TYPE_CHECKING, Any

from torch import Tensor

from pegboard.config.duration import Duration
from pegboard.data.batch import Batch
from pegboard.hooks.hook import Hook

if TYPE_CHECKING:
    from pegboard.runner import Runner


class Checkpoint(Hook):
    """Save the run's state every so often, and at its end.

    Args:
        every: how often, e.g. ``"1 epoch"`` or ``"500 iters"``; the config's ``checkpoint`` key sets it.
        keep: how many of the newest are kept, at least 1.
    """

    essential = True

    def __init__(self, every: "Duration | str" = "1 epoch", keep: int = 3) -> None:
        self.every = Duration.parse(every)
        self.keep = keep

    def before_run(self, run: "Runner") -> None:
        run.keep_checkpoints = self.keep

    def after_train_iter(self, run: "Runner", batch: Batch, loss: Tensor, outputs: Any) -> None:
        if self.every.unit == "iters" and run.iteration % self.every.count == 0:
            run.save()

    def after_train_epoch(self, run: "Runner") -> None:
        if self.every.unit == "epochs" and run.epoch % self.every.count == 0:
            run.save()

    def after_train(self, run: "Runner") -> None:
        run.save()
