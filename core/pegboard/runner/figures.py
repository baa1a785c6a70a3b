"""Losses and metrics over the samples seen so far, kept on the device until they are read."""

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pegboard.data.batch import Batch
from pegboard.errors import PegboardError
from pegboard.runner.step import Computed


class Spoiled(NamedTuple):
    """The first loss, or norm of gradients, that was read and is not finite.

    Args:
        behind: how many batches came after its own.
        samples: of its batch. before: those of the batch before, whose step may have spoiled the weights; empty where
            that is not known.
    """

    value: float
    behind: int
    samples: list[int]
    before: list[int]


def _alone() -> bool:
    return False


def as_number(value: Any, what: str) -> float:
    """What a metric's ``compute()`` gives.

    Raises:
        PegboardError: it is not one number.
    """
    several = isinstance(value, Tensor) and value.numel() != 1
    if not several:
        with suppress(TypeError, ValueError):
            return float(value)
    given = f"a tensor {tuple(value.shape)}" if several else f"a {type(value).__name__}"
    raise PegboardError(
        f"{what} gives {given}; compute() gives one number, and what else it knows is asked of it in a hook's "
        "after_val: run.metrics[NAME]"
    )


class Figures:
    """Running means of one pass over data.

    Args:
        metrics: by name; each has ``update(outputs, targets)``, ``compute()`` giving one number, and ``reset()``.

    Nothing waits for the device until ``read``, ``compute`` or ``recent_loss``.
    """

    def __init__(self, metrics: Mapping[str, Any]) -> None:
        self.metrics = metrics
        self.total = 0  # samples of all passes
        self.spoiled: Spoiled | None = None
        self._indexes: list[Tensor] = []
        self._last_index: Tensor | None = None  # samples of the last batch whose loss was read
        for metric in metrics.values():
            if hasattr(metric, "persistent"):  # torchmetrics keeps its state out of state_dict unless told
                metric.persistent(True)
            for part in metric.modules() if hasattr(metric, "modules") else ():
                if hasattr(part, "distributed_available_fn"):  # of torchmetrics, which would add up all ranks' counts
                    part.distributed_available_fn = _alone  # each has the whole ones already
        self.reset()

    def reset(self) -> None:
        """Begin a new pass."""
        self.sums: dict[str, float] = {}  # of "loss" and "loss_<part>", over all samples that were read so far
        self.count = 0
        self._read = (0.0, 0)  # sum of the loss, and count, at the last recent_loss
        self._forget()
        for metric in self.metrics.values():
            metric.reset()

    def add(self, computed: Computed, batch: Batch) -> None:
        """One batch: its mean losses count by its number of samples."""
        loss, outputs, parts, _ = computed
        index = batch.index
        size = index.shape[0]
        if loss is not None:
            self._losses.append(loss)
            self._sizes.append(size)
            self._indexes.append(index)
        for name, part in parts.items():
            self._waiting.setdefault(f"loss_{name}", []).append(part)
        self.count += size
        self.total += size
        for name, metric in self.metrics.items():
            try:
                metric.update(outputs, batch.targets)
            except (ValueError, RuntimeError) as error:
                given = " and ".join(str(tuple(getattr(x, "shape", ()))) for x in (outputs, batch.targets))
                reason = (
                    f"metric {name!r}, {type(metric).__name__}, cannot take outputs and targets of {given}: {error}"
                )
                raise PegboardError(reason) from error

    @property
    def last_samples(self) -> list[int]:
        """Those of the last batch that was added; none before the first."""
        index = self._indexes[-1] if self._indexes else self._last_index
        return [] if index is None else index.tolist()

    def read(self) -> None:
        """Read the losses, in one go, and add them one after the other: the sum does not depend on when it is read."""
        for name, losses in self._waiting.items() if self._sizes else ():
            if len(losses) != len(self._sizes):
                raise PegboardError(f"the loss has a part {name!r} for some batches only; it must have it for all")
            total = self.sums.get(name, 0.0)
            values = torch.stack(losses).tolist()
            for loss, size in zip(values, self._sizes, strict=True):
                total += loss * size
            self.sums[name] = total
            if name == "loss" and self.spoiled is None and not math.isfinite(total):
                self._find_spoiled(values)
        self._forget()

    def _find_spoiled(self, losses: list[float]) -> None:
        for number, loss in enumerate(losses):
            if not math.isfinite(loss):
                before = self._indexes[number - 1] if number else self._last_index
                samples = self._indexes[number].tolist()
                self.spoiled = Spoiled(
                    loss, len(losses) - 1 - number, samples, [] if before is None else before.tolist()
                )
                return

    def _forget(self) -> None:
        self._last_index = self._indexes[-1] if self._indexes else self._last_index
        self._losses: list[Tensor] = []  # on the device, not read yet
        self._sizes: list[int] = []  # samples in each of those
        self._indexes = []  # and which they are
        self._waiting: dict[str, list[Tensor]] = {"loss": self._losses}  # they, and the parts of each

    def recent_loss(self) -> float:
        """Mean loss of the samples since this was last asked; waits for the device."""
        self.read()
        total, (before, count) = self.sums.get("loss", 0.0), self._read
        self._read = (total, self.count)
        return (total - before) / max(1, self.count - count)

    def compute(self) -> dict[str, float]:
        """Mean losses and each metric; waits for the device."""
        self.read()
        values = {name: total / max(1, self.count) for name, total in ({"loss": 0.0} | self.sums).items()}
        for name, metric in self.metrics.items():
            value = metric.compute()
            values[name] = as_number(value, f"metric {name!r}, {type(metric).__name__},")
        return values

    def state_dict(self) -> dict[str, Any]:
        self.read()
        metrics = {name: metric.state_dict() for name, metric in self.metrics.items()}
        return {"sums": dict(self.sums), "count": self.count, "read": self._read, "metrics": metrics}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._forget()
        self.sums = dict(state["sums"])
        self.count = state["count"]
        self._read = (state["read"][0], state["read"][1])
        for name, metric in self.metrics.items():
            if name in state["metrics"]:
                metric.load_state_dict(state["metrics"][name])
