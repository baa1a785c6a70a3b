"""Configs whose resumed runs must equal the uninterrupted ones, and a run of one for a process of its own."""

import json
import os
import random
import resource
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pegboard import Batch, Hook, Runner, cli
from pegboard.checkpoint import Checkpoints
from pegboard.registry import BOARDS
from tests import processes, runs

SGD = {"type": "SGD", "lr": 0.2, "momentum": 0.9}
ADAMW = {"type": "AdamW", "lr": 0.01}
MIXED = [*runs.values()["train"]["transforms"], {"type": "MixUp"}]

RUNS: dict[str, dict[str, Any]] = {
    "SGD with momentum": {"optimizer": SGD},
    "AdamW with EMA": {"optimizer": ADAMW, "hooks": {"ema": {"type": "EMA", "decay": 0.9}}},
    "dropout and batch norm": {"model": {"type": "Layers", "dropout": 0.5}, "optimizer": SGD},
    "plateau": {
        "optimizer": {**SGD, "lr": 0.01},
        "scheduler": {
            "type": "ReduceLROnPlateau", "monitor": "val/loss", "unit": "epoch", "patience": 0, "threshold": 0.5,
        },
    },
    "one cycle by iteration": {
        "optimizer": ADAMW, "scheduler": {"type": "OneCycleLR", "unit": "iter"}, "val_every": "4 iters",
    },
    "LambdaLR": {
        "optimizer": SGD, "scheduler": {"type": "LambdaLR", "unit": "iter", "lr_lambda": "tests.matrix:halving"},
    },
    "two freeze phases": {
        "model": {"type": "Layers"},
        "optimizer": SGD,
        "train_for": None,
        "phases": [
            {"train_for": "2 epochs", "freeze": ["conv.*"], "lr": 0.1},
            {"train_for": "2 epochs", "freeze": [], "lr": 0.05, "batch_size": 6},
        ],
    },
    "accumulation, clipped": {"optimizer": ADAMW, "accumulate": 2, "clip_grad": {"norm": 0.5}},
    "MixUp": {
        "optimizer": SGD,
        "train": {**runs.values()["train"], "transforms": MIXED},
    },
    "memory engine": {
        "model": {"type": "Layers", "dropout": 0.3}, "optimizer": ADAMW,
        "train": {**runs.values()["train"], "mode": "memory"},
    },
    "worker engine, no process": {
        "model": {"type": "Layers", "dropout": 0.3}, "optimizer": ADAMW,
        "train": {**runs.values()["train"], "mode": "workers"},
    },
    "worker engine, two processes": {
        "model": {"type": "Layers", "dropout": 0.3}, "optimizer": ADAMW,
        "train": {**runs.values()["train"], "mode": "workers", "workers": 2},
    },
    "LBFGS": {"optimizer": {"type": "LBFGS", "lr": 0.1, "max_iter": 3}},
}  # fmt: skip
DEFAULT = ("one cycle by iteration", "AdamW with EMA", "dropout and batch norm")  # the others run in the long version


class Layers(nn.Module):
    """A convolution, batch norm, dropout and a linear layer."""

    def __init__(self, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(4 * 6 * 6, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.drop(self.norm(self.conv(images)).relu().flatten(1)))
        return logits


def halving(step: int) -> float:
    return 0.9**step


class Watches(Hook):
    """Writes down which samples each iteration trained on, and stops the run where it is told to.

    Args:
        order: file with a line for each iteration.
        iteration: stop after this one.
        validation: be interrupted in this validation of the process, as by Ctrl-C.
        slow: seconds that each iteration takes longer, so that a kill finds it at work.
    """

    def __init__(self, order: str | Path, iteration: int = 0, validation: int = 0, slow: float = 0.0) -> None:
        self.order = Path(order)
        self.iteration, self.validation, self.slow = iteration, validation, slow
        self.validations = 0

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        with self.order.open("a") as file:
            file.write(json.dumps([run.iteration, batch.index.tolist()]) + "\n")
        time.sleep(self.slow)
        if run.iteration == self.iteration:
            run.stop("for the test")

    def before_val(self, run: Runner) -> None:
        self.validations += 1

    def before_val_iter(self, run: Runner, batch: Batch) -> None:
        if self.validations == self.validation:
            run.interrupt()


class FillsDisk(Hook):
    """From one iteration to another no file may become larger than so many bytes."""

    def __init__(self, begin: int, end: int, limit: int) -> None:
        self.begin, self.end, self.limit = begin, end, limit

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        if run.iteration == self.begin:
            processes.limit_file_size(self.limit)
        if run.iteration == self.end:
            processes.limit_file_size(resource.RLIM_INFINITY)


class Breaks:
    """The tiny dataset, whose sample 5 does something bad once a file is there."""

    classes = runs.Dots.classes
    mean, std = runs.Dots.mean, runs.Dots.std

    def __init__(self, trigger: str, how: str) -> None:
        self.dots, self.trigger, self.how = runs.Dots(), Path(trigger), how

    def __len__(self) -> int:
        return len(self.dots)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index == 5 and self.trigger.exists():
            if self.how == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            raise {"raises": ValueError, "no file": FileNotFoundError}[self.how]("it is broken")
        return self.dots[index]


def config(name: str) -> dict[str, Any]:
    return {"train_for": "4 epochs", **RUNS[name]}


def hang_up() -> None:
    runs.hang_up()
    BOARDS["models"].register(Layers, supplied=("num_classes",))
    BOARDS["hooks"].register(Watches)
    BOARDS["hooks"].register(FillsDisk)
    BOARDS["datasets"].register(Breaks)


def train(folder: Path, name: str, stop: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Begin the run ``name`` in a folder, or go on with it where there is a checkpoint; for a new process."""
    torch.manual_seed(random.SystemRandom().randrange(2**31))  # another process has another past
    hang_up()
    newest = Checkpoints(folder / "checkpoints")
    state = newest.newest()[1] if newest.index() else None
    folder.mkdir(exist_ok=True)
    watches = runs.hang("hooks", "watches", Watches(folder / "order.jsonl", **stop))
    values = {**config(name), **changes}
    hooks = {"progress": None, **values.pop("hooks", {}), "watches": watches}
    runs.runner(folder, state, **values, hooks=hooks).train()


def command(*arguments: str) -> int:
    """``pegboard ...`` with these parts; for a new process."""
    hang_up()
    return cli.main(arguments)


def result(folder: Path) -> dict[str, Any]:
    """All that a resumed run must share with the uninterrupted one."""
    saved = runs.newest(folder)  # weights, optimizer, schedulers, hooks (EMA among them), metrics so far
    saved["hooks"]["log"]["sizes"].pop("timing.jsonl")  # its clock readings differ in length
    return {
        **saved,
        "metrics.jsonl": (folder / "metrics.jsonl").read_bytes(),
        "timing.jsonl": len((folder / "timing.jsonl").read_bytes().splitlines()),
        "files": {path.name: contents(path) for path in sorted((folder / "checkpoints").glob("[a-h]*.pt"))},
    }


def contents(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(path, weights_only=True)
    return loaded


def order(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "order.jsonl").read_text().splitlines()]


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [name for name in one.keys() | other.keys() if not runs.same(one.get(name), other.get(name))]
