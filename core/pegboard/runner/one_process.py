"""What a run asks of the processes that it is made of, where there is one; ``Ranks`` answers for several."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pegboard.data.batch import Batch
from pegboard.data.loader import Loader
from pegboard.hooks.hook import Hook
from pegboard.runner.step import Computed, Step, gradients
from pegboard.strategies.strategy import Strategy

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner


class OneProcess:
    """A run of a single process: its batches are whole, and it agrees with itself.

    Attributes:
        rank: which process this is. first: the one that writes. several: there are others.
        strategy: how it holds the model: whole.
    """

    rank, first, several = 0, True, False

    def __init__(self) -> None:
        self.strategy = Strategy()

    def share_memory(self, loader: Loader) -> None:
        """Let the processes of a machine keep one copy of its decoded images."""

    def batches(self, loader: Loader, epoch: int, start: int = 0) -> Iterator[Batch]:
        """This process's part of each batch of an epoch."""
        return loader.batches(epoch, start)

    def gradients(self, run: "Runner", batch: Batch) -> Computed:
        """Those of the whole batch; and what the whole batch gives, detached."""
        return gradients(run.step, batch, run.accumulate, run.scaler)

    def evaluated(self, step: Step, batch: Batch) -> Computed:
        """What the model gives for the whole batch, without gradients."""
        return step(batch)

    def whole(self, batch: Batch) -> Batch:
        """The batch of which this process has just run its part."""
        return batch

    def same_buffers(self, step: Step) -> None:
        """Give every process those of the first, which checkpoints hold."""

    def agree(self, run: "Runner") -> None:
        """Stop all processes after the same iteration, if one wants to."""

    def seconds(self) -> float:
        """That this process has spent on waiting for others."""
        return 0.0

    def waited_share(self) -> float:
        """Of the time of a step, what it waits for gradients to be joined."""
        return 0.0

    def want_stop(self, run: "Runner", reason: str, interrupted: bool) -> None:
        """A hook, or a signal, ends the run, once all processes know."""
        run.stop_reason = run.stop_reason or reason
        run.interrupted = run.interrupted or interrupted

    def use(self, hooks: Mapping[str, Hook]) -> None:
        """These are the hooks of the run."""

    def runs(self, hook: Hook) -> bool:
        """Is a hook called in this process?"""
        return True
