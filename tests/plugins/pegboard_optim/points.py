"""A problem that every optimizer solves: 24 points in eight dimensions, on which side of a plane each lies."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pegboard import Batch, Runner
from pegboard.registry import BOARDS
from tests import runs

COUNT = 24


class Points:
    """Shapes: (8,) float32, target 0 or 1."""

    classes = ("below", "above")

    def __init__(self) -> None:
        self.points = torch.randn(COUNT, 8, generator=torch.Generator().manual_seed(0))
        self.targets = (self.points.sum(1) > 0).long().tolist()

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.points[index], self.targets[index]


class Numbers(Points):
    """The number of each point instead of the point, for an embedding."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.tensor([index]), self.targets[index]


class Embedded(nn.Module):
    """A row of a table for each number; its gradients are sparse."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(COUNT, 2, sparse=True)

    def forward(self, numbers: Tensor) -> Tensor:
        logits: Tensor = self.table(numbers.squeeze(1))
        return logits


def hang_up() -> None:
    BOARDS["datasets"].register(Points)
    BOARDS["datasets"].register(Numbers)


def two_layers(bias: bool = True) -> nn.Module:
    """Weights that are the same each time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 4, bias=bias), nn.Tanh(), nn.Linear(4, 2, bias=bias))


def embedded() -> nn.Module:
    torch.manual_seed(0)
    return Embedded()


def runner(folder: Path, model: nn.Module, resume: "dict[str, Any] | None" = None, **changes: Any) -> Runner:
    """A run over a copy of ``model``, twenty epochs of two batches unless said otherwise, without validation."""
    wanted = {
        "train": {"dataset": {"type": changes.pop("data", "Points")}, "batch_size": 12, "shuffle": True},
        "val": None,
        "metrics": {},
        "train_for": "20 epochs",
        "log_every": "100 iters",
        "checkpoint": {"every": "1000 epochs"},
        "hooks": {"progress": None},
        **changes,
    }
    return runs.runner(folder, resume, model=runs.hang("models", "Same", deepcopy(model)), **wanted)


def batches(run: Runner) -> Iterator[Batch]:
    """What a finished run was trained on, in order."""
    for epoch in range(run.epoch):
        yield from run.train_loader.batches(epoch)


def loss_over_all(run: Runner, model: nn.Module) -> float:
    with torch.no_grad():
        parts = [F.cross_entropy(model(b.inputs), b.targets, reduction="sum") for b in run.train_loader.batches(0)]
    return torch.stack(parts).sum().item() / COUNT


def kernel(run: Runner) -> dict[str, Any]:
    """What a class must be told to step by hand as it did in a run: ``{"fused": True}``, or nothing."""
    return {"fused": True} if any(group.get("fused") for group in run.optimizer.param_groups) else {}


def close(one: nn.Module, other: nn.Module) -> bool:
    """Weights that are equal but for the last bits."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.allclose(*pair, rtol=1e-4, atol=1e-5) for pair in pairs)
