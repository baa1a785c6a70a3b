"""A tiny run to try parts in: 24 images of 8 x 8 pixels, and a network of one convolution.

Its dataset and model hang on the boards only while they are used, and under a plugin name of their own.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pegboard import Config, Hook, Mask, Runner
from pegboard.console import quiet
from pegboard.registry import BOARDS, registering

PLUGIN = "pegboard.testing"
COUNT = 24


class TinyImages:
    """``count`` random images of 8 x 8 pixels in four classes, a function of the seed."""

    classes = ("a", "b", "c", "d")
    mean = (0.5, 0.5, 0.5)
    std = (0.25, 0.25, 0.25)

    def __init__(self, count: int = COUNT, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.images = torch.randint(256, (count, 3, 8, 8), generator=generator, dtype=torch.uint8)
        self.targets = [number % 4 for number in range(count)]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], self.targets[index]


class TinyScenes(TinyImages):
    """The same images, with a class for every pixel."""

    def __getitem__(self, index: int) -> tuple[Tensor, Mask]:  # type: ignore[override]
        return self.images[index], Mask(self.images[index, 0] // 64)


class TinyNet(nn.Module):
    """A convolution, dropout, and a linear layer. Shapes: images (B, 3, 8, 8) float -> logits (B, K)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4 * 4 * 4, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.drop(self.conv(images).relu().flatten(1)))
        return logits


class TinySegmenter(nn.Module):
    """A convolution and dropout. Shapes: images (B, 3, H, W) float -> logits (B, K, H, W)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.conv = nn.Conv2d(3, num_classes, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.conv(self.drop(images))
        return logits


class Probe(Hook):
    """Makes a fault of the hook ``name`` the run's, notes with what state it begins, and ends the run at a step."""

    essential = True

    def __init__(self, name: str, stop_at: int = 0) -> None:
        self.name = name
        self.stop_at = stop_at
        self.begins_with: dict[str, Any] = {}

    def before_run(self, run: Runner) -> None:
        run.hooks[self.name].essential = True  # type: ignore[misc]  # of this one object

    def before_train(self, run: Runner) -> None:
        from copy import deepcopy

        self.begins_with = deepcopy(run.hooks[self.name].state_dict())  # a hook may go on with its own tensors

    def after_train_iter(self, run: Runner, batch: Any, loss: Tensor, outputs: Any) -> None:
        if run.iteration == self.stop_at:
            run.stop("half way")


@contextmanager
def on_the_boards(**hooks: Hook) -> Iterator[None]:
    """Hang the tiny parts, and hooks that are built already, each under its name; take them off again."""
    before = {name: (dict(board.entries), list(board.bridges)) for name, board in BOARDS.items()}
    with registering(PLUGIN):
        for dataset in (TinyImages, TinyScenes):
            BOARDS["datasets"].register(dataset)
        for model in (TinyNet, TinySegmenter):
            BOARDS["models"].register(model, supplied=("num_classes",))
        for name, hook in hooks.items():
            BOARDS["hooks"].register(_giving(hook), name=name)
    try:
        yield
    finally:
        for name, (entries, bridges) in before.items():
            BOARDS[name].entries, BOARDS[name].bridges = entries, bridges


def _giving(hook: Hook) -> Any:
    def give() -> Hook:
        return hook

    give.__qualname__ = f"give_{id(hook)}"  # two addresses, two entries
    return give


def tiny(name: str, **arguments: Any) -> dict[str, Any]:
    """One of the parts above, as a config names it."""
    return {"type": f"{PLUGIN}:{name}", **arguments}


def values(masks: bool = False, **changes: Any) -> dict[str, Any]:
    """The values of a config that trains for three epochs of three iterations, and shows nothing.

    Its parts are named with their plugins: another plugin that takes one of their names must not spoil the trial.

    Args:
        masks: are the targets, a class for every pixel, instead of a class for every image.
    """
    dataset, model = ("TinyScenes", "TinySegmenter") if masks else ("TinyImages", "TinyNet")
    loader = {
        "dataset": tiny(dataset),
        "transforms": [{"type": f"pegboard_data:{name}"} for name in ("RandomHorizontalFlip", "ToFloat", "Normalize")],
        "batch_size": 8,
    }
    base: dict[str, Any] = {
        "train": {**loader, "shuffle": True},
        "val": {**loader, "dataset": tiny(dataset, seed=1, count=12)},
        "model": tiny(model),
        "loss": {"type": "torch:CrossEntropyLoss"},
        "optimizer": {"type": "torch:AdamW", "lr": 0.01},
        "clip_grad": {"norm": 1.0},
        "metrics": {"top1": {"type": "pegboard_metrics:Accuracy"}},
        "train_for": "3 epochs",
        "val_every": "2 iters",
        "log_every": "1 iters",
        "device": "cpu",
        "threads": 1,
    }
    hooks = {"tensorboard": None, "progress": None, **changes.pop("hooks", {})}
    return {**base, **changes, "hooks": hooks}


def train(folder: Path, resume: "Mapping[str, Any] | None" = None, **changes: Any) -> Runner:
    """A run that is over."""
    threads = torch.get_num_threads()
    run = Runner(Config.from_values(values(**changes)), folder, resume)
    try:
        with quiet():
            run.train()
    finally:
        torch.set_num_threads(threads)
    return run


def same(one: Any, other: Any) -> bool:
    """Equal bit for bit, through dicts and lists, tensors by their bytes."""
    if isinstance(one, Tensor):
        return (
            isinstance(other, Tensor)
            and one.dtype == other.dtype
            and one.shape == other.shape
            and one.detach().contiguous().numpy().tobytes() == other.detach().contiguous().numpy().tobytes()
        )
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
