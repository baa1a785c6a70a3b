"""Tiny parts and configs for tests that train: 24 images of 8 x 8 pixels, and a linear model."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pegboard import Config, Runner
from pegboard.checkpoint import Checkpoints, load
from pegboard.registry import BOARDS
from pegboard.testing.tiny import same

COUNT = 24

__all__ = [
    "COUNT",
    "Dots",
    "Tiny",
    "checkpoint",
    "hang",
    "hang_up",
    "newest",
    "records",
    "runner",
    "same",
    "train",
    "values",
]


class Dots:
    """``count`` random images of 8 x 8 pixels in four classes, a function of the seed."""

    classes = ("a", "b", "c", "d")
    mean = (0.5, 0.5, 0.5)
    std = (0.25, 0.25, 0.25)

    def __init__(self, count: int = COUNT, seed: int = 0, size: int = 8) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.images = torch.randint(256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
        self.seen: list[int] = []

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self.seen.append(index)
        return self.images[index], index % 4


class Tiny(nn.Module):
    """One linear layer, with dropout before it where ``dropout`` says so."""

    def __init__(self, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(3 * 8 * 8, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.drop(images.flatten(1)))
        return logits


def hang_up() -> None:
    """Put the parts above on the boards; the fixture ``boards`` takes them off again."""
    BOARDS["datasets"].register(Dots)
    BOARDS["models"].register(Tiny, supplied=("num_classes",))


def hang(board: str, name: str, part: Any) -> dict[str, str]:
    """Let ``dict(type=name)`` build the very object ``part``, so that a test can look at it afterwards."""

    def give() -> Any:
        return part

    BOARDS[board].entries.pop(name, None)
    BOARDS[board].register(give, name=name)
    return {"type": name}


def values(**changes: Any) -> dict[str, Any]:
    """The values of a config that trains for two epochs of three iterations; no TensorBoard and no report: quicker."""
    loader = {
        "dataset": {"type": "Dots"},
        "transforms": [
            {"type": "RandomCrop", "size": 8, "padding": 1},
            {"type": "RandomHorizontalFlip"},
            {"type": "ToFloat"},
            {"type": "Normalize"},
        ],
        "batch_size": 8,
    }
    base: dict[str, Any] = {
        "train": {**loader, "shuffle": True},
        "val": {**loader, "dataset": {"type": "Dots", "seed": 1, "count": 12}, "transforms": [{"type": "ToFloat"}]},
        "model": {"type": "Tiny"},
        "loss": {"type": "CrossEntropyLoss"},
        "optimizer": {"type": "SGD", "lr": 0.1},
        "metrics": {"top1": {"type": "Accuracy"}},
        "train_for": "2 epochs",
        "log_every": "1 iters",
        "device": "cpu",
        "threads": 1,
    }
    hooks = {"tensorboard": None, "report": None, **changes.pop("hooks", {})}
    return {**base, **changes, "hooks": hooks}


def runner(folder: Path, resume: "dict[str, Any] | None" = None, **changes: Any) -> Runner:
    return Runner(Config.from_values(values(**changes)), folder, resume)


def train(folder: Path, **changes: Any) -> Runner:
    """A run that is over."""
    run = runner(folder, **changes)
    run.train()
    return run


def records(folder: Path) -> list[dict[str, Any]]:
    """What ``metrics.jsonl`` holds."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def newest(folder: Path) -> dict[str, Any]:
    """The newest checkpoint of a run folder."""
    return Checkpoints(folder / "checkpoints").newest()[1]


def checkpoint(folder: Path, iteration: int) -> dict[str, Any]:
    return load(folder / "checkpoints" / f"iteration_{iteration:08}.pt")
