"""Loss and metrics over the samples seen so far, kept on the device until they are read."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pegboard.data.batch import Batch
from pegboard.errors import PegboardError


class Figures:
    """Running means of one pass over data.

    Args:
        metrics: by name; each has ``update(outputs, targets)``, ``compute()`` giving one number, and ``reset()``.

    Nothing waits for the device until ``compute`` or ``recent_loss``.
    """

    def __init__(self, metrics: Mapping[str, Any]) -> None:
        self.metrics = metrics
        self.total = 0  # samples of all passes
        for metric in metrics.values():
            if hasattr(metric, "persistent"):  # torchmetrics keeps its state out of state_dict unless told
                metric.persistent(True)
        self.reset()

    def reset(self) -> None:
        """Begin a new pass."""
        self.loss_sum, self.count = 0.0, 0  # of all samples that were read from the device so far
        self._read = (0.0, 0)  # loss_sum and count at the last recent_loss
        self._losses: list[Tensor] = []  # not read yet
        self._sizes: list[int] = []
        for metric in self.metrics.values():
            metric.reset()

    def add(self, loss: Tensor | None, outputs: Any, batch: Batch) -> None:
        """One batch: its mean loss counts by its number of samples."""
        size = batch.index.shape[0]
        if loss is not None:
            self._losses.append(loss)
            self._sizes.append(size)
        self.count += size
        self.total += size
        for metric in self.metrics.values():
            metric.update(outputs, batch.targets)

    def _sum_up(self) -> None:
        """Read the losses, in one go, and add them one after the other: the sum does not depend on when it is read."""
        if self._losses:
            for loss, size in zip(torch.stack(self._losses).tolist(), self._sizes, strict=True):
                self.loss_sum += loss * size
            self._losses, self._sizes = [], []

    def recent_loss(self) -> float:
        """Mean loss of the samples since this was last asked; waits for the device."""
        self._sum_up()
        total, (before, count) = self.loss_sum, self._read
        self._read = (total, self.count)
        return (total - before) / max(1, self.count - count)

    def compute(self) -> dict[str, float]:
        """Mean loss and each metric; waits for the device."""
        self._sum_up()
        values = {"loss": self.loss_sum / max(1, self.count)}
        for name, metric in self.metrics.items():
            value = metric.compute()
            if isinstance(value, Tensor) and value.numel() != 1:
                raise PegboardError(f"metric {name!r} gives {tuple(value.shape)} numbers; one that is logged gives one")
            values[name] = float(value)
        return values

    def state_dict(self) -> dict[str, Any]:
        self._sum_up()
        metrics = {name: metric.state_dict() for name, metric in self.metrics.items()}
        return {"loss_sum": self.loss_sum, "count": self.count, "read": self._read, "metrics": metrics}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._losses, self._sizes = [], []
        self.loss_sum = state["loss_sum"]
        self.count = state["count"]
        self._read = (state["read"][0], state["read"][1])
        for name, metric in self.metrics.items():
            if name in state["metrics"]:
                metric.load_state_dict(state["metrics"][name])
