"""Ranks that train alone for some steps, and then average their weights: one exchange in many steps."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from pegboard import Batch, Strategy


class LocalSGD(Strategy):
    """Each rank holds the whole model and steps by its own gradients; every few steps the weights are averaged.

    They are averaged before each validation and each checkpoint too, so that figures are those of one model and a
    resume is exact; a checkpoint also holds the mean of what the ranks' optimizers keep.

    Args:
        every: steps between two averages, at least 1. With 1 and SGD the weights are those of DDP, to rounding.

    Raises:
        ValueError: ``every`` is below 1.

    Source: Stich 2019, arXiv:1805.09767.
    """

    def __init__(self, every: int = 8) -> None:
        if every < 1:
            raise ValueError(f"every is {every}; expected at least 1 step")
        self.every = every
        self.steps = 0
        self.apart = False  # have the ranks stepped since they last had the same weights?
        self.weights: list[Tensor] = []

    def wrap(self, step: Any, allow_unused: bool) -> None:
        self.weights = [parameter.detach() for parameter in step.parameters()]
        for tensor in (*self.weights, *step.buffers()):
            dist.broadcast(tensor, 0)

    @contextmanager
    def piece(self, step: Any, last: bool) -> Iterator[Callable[[Batch], Any]]:
        if self.apart and self.steps % self.every == 0:
            self.meet()
        yield step
        if last:
            self.steps, self.apart = self.steps + 1, True

    def meet(self) -> None:
        average(self.weights)
        self.apart = False

    def evaluated(self, step: Any, batch: Batch) -> Any:
        if self.apart:
            self.meet()
        return step(batch)

    def everywhere(self, flags: Tensor) -> Tensor:
        numbers = flags.to(torch.int32)
        dist.all_reduce(numbers, dist.ReduceOp.MIN)
        return numbers.bool()

    def save(self, checkpoints: Any, state: dict[str, Any], keep: int) -> Path:
        average(tensors(state["optimizer"]))
        self.meet()  # in place: what the state holds are these very weights
        return super().save(checkpoints, state, keep)

    def load(self, state: Mapping[str, Any]) -> dict[str, Any]:
        self.steps, self.apart = state["iteration"], False
        return super().load(state)


def average(those: list[Tensor]) -> None:
    """Give every rank the mean over the ranks, in place."""
    for tensor in those:
        dist.all_reduce(tensor)
        tensor /= dist.get_world_size()


def tensors(state: Any) -> list[Tensor]:
    """Those of floats in a state dict, however deep."""
    if isinstance(state, Tensor):
        return [state] if state.is_floating_point() else []
    parts = state.values() if isinstance(state, Mapping) else state if isinstance(state, list | tuple) else ()
    return [tensor for part in parts for tensor in tensors(part)]
