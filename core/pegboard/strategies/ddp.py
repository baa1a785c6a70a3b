"""Each rank holds the whole model: torch's DistributedDataParallel."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from torch.nn.parallel import DistributedDataParallel

from pegboard.data.batch import Batch
from pegboard.strategies.strategy import Strategy

if TYPE_CHECKING:  # the runner imports this package
    from pegboard.runner.step import Computed, Step


class DDP(Strategy):
    """Each rank holds the whole model; gradients are joined while they are computed.

    Source: torch.nn.parallel.DistributedDataParallel.
    """

    def __init__(self) -> None:
        self.allow_unused = False
        self._wrapped: DistributedDataParallel | None = None
        self._learning: list[bool] = []  # of each parameter, as the wrapping found it

    def wrap(self, step: "Step", allow_unused: bool) -> None:
        self.allow_unused = allow_unused

    @contextmanager
    def piece(self, step: "Step", last: bool) -> "Iterator[Callable[[Batch], Computed]]":
        wrapped = self._current(step)
        with nullcontext() if last else wrapped.no_sync():  # joined once an optimizer step
            yield wrapped

    def waited_and_computed(self) -> tuple[float, float]:
        """What DDP did not hide behind the backward pass, by torch's own sample of every hundredth step."""
        if self._wrapped is None:
            return 0.0, 0.0
        times = self._wrapped._get_ddp_logging_data()  # type: ignore[no-untyped-call]
        shown = times.get("backward_comm_time", 0) - times.get("backward_compute_comm_overlap_time", 0)
        computed = times.get("forward_compute_time", 0) + times.get("backward_compute_time", 0)
        return max(0.0, float(shown)) / 1e9, max(0.0, float(computed)) / 1e9

    def _current(self, step: "Step") -> DistributedDataParallel:
        """The step as DDP has it: anew where parameters were frozen, or let loose, since the last one."""
        learning = [parameter.requires_grad for parameter in step.parameters()]
        if self._wrapped is None or learning != self._learning:
            if self._wrapped is not None:
                self._wrapped = None
                gc.collect()  # its hooks on the gradients go with it
            self._wrapped = DistributedDataParallel(step, find_unused_parameters=self.allow_unused)
            self._learning = learning
        return self._wrapped
