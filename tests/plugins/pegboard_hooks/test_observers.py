"""Hooks that watch leave training bit for bit the same."""

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from pegboard import Batch, Hook, Runner
from tests import runs

WATCHING: dict[str, dict[str, Any]] = {
    "BestCheckpoint": {"type": "BestCheckpoint", "metric": "val/loss", "better": "lower"},
    "EMA": {"type": "EMA", "decay": 0.9},
    "EarlyStop": {"type": "EarlyStop", "metric": "val/top1", "better": "higher"},
    "GradientStats": {"type": "GradientStats", "every": "1 iter"},
    "Watchdog": {"type": "Watchdog"},
}


def config() -> dict[str, Any]:
    return {
        "model": {"type": "Tiny", "dropout": 0.5}, "val_every": "2 iters", "train_for": "3 epochs",
        "optimizer": {"type": "AdamW", "lr": 0.01}, "clip_grad": {"norm": 1.0},
    }  # fmt: skip


def assert_only_watches(folder: Path, hook: dict[str, Any]) -> None:
    plain = runs.train(folder / "plain", **config())
    watched = runs.train(folder / "watched", hooks={"watch": hook}, **config())
    assert runs.same(plain.model.state_dict(), watched.model.state_dict()), "it changed the weights"
    assert runs.same(plain.optimizer.state_dict(), watched.optimizer.state_dict())
    assert plain.final["train/loss"] == watched.final["train/loss"]


@pytest.mark.parametrize("name", WATCHING)
def test_training_is_the_same_with_it(tmp_path: Path, name: str) -> None:
    assert_only_watches(tmp_path, WATCHING[name])


class Nudges(Hook):
    """The specimen: it changes a gradient by the least that it can."""

    def before_optimizer_step(self, run: Runner) -> None:
        for weight in run.model.parameters():
            if weight.grad is not None:
                weight.grad.mul_(1.0 + 1e-6)


class Rounds(Hook):
    """Another: it takes the weights out and puts them back, but not quite."""

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        for weight in run.model.parameters():
            weight.data = weight.data.bfloat16().float()


@pytest.mark.parametrize("specimen", [Nudges, Rounds])
def test_a_hook_that_meddles_is_caught(tmp_path: Path, specimen: type[Hook]) -> None:
    with pytest.raises(AssertionError, match="changed the weights"):
        assert_only_watches(tmp_path, runs.hang("hooks", "meddles", specimen()))
