"""The learning rates that a run would have are those that it has."""

from pathlib import Path
from typing import Any

import pytest

from pegboard import Hook
from pegboard.cli.lr_command import BARS, sparkline
from pegboard.runner.rates import rehearse
from tests import runs

SGD = {"type": "SGD", "lr": 0.1, "groups": [{"match": "*.bias", "lr_mult": 2}]}
CASES: dict[str, dict[str, Any]] = {
    "constant": {},
    "by iteration": {"scheduler": {"type": "OneCycleLR", "unit": "iter"}},
    "by epoch": {"scheduler": {"type": "StepLR", "unit": "epoch", "step_size": 1}},
    "cut short": {"scheduler": {"type": "StepLR", "unit": "epoch", "step_size": 1}, "train_for": "5 iters"},
    "phases": {
        "phases": [
            {"train_for": "1 epoch", "lr": 0.3, "scheduler": {"type": "CosineAnnealingLR", "unit": "iter"}},
            {"train_for": "1 epoch", "batch_size": 4, "freeze": ["fc.bias"]},
        ],
        "train_for": None,
    },
}


class Rates(Hook):
    def __init__(self) -> None:
        self.rows: list[list[float]] = []

    def before_optimizer_step(self, run: Any) -> None:
        self.rows.append([group["lr"] for group in run.optimizer.param_groups])


@pytest.mark.parametrize("name", CASES)
def test_rehearsed_rates_are_those_of_the_run(tmp_path: Path, name: str) -> None:
    changes = {"optimizer": SGD, **CASES[name]}
    dataset = runs.Dots()
    loader = {**runs.values()["train"], "dataset": runs.hang("datasets", "Seen", dataset), "mode": "memory"}
    found = rehearse(runs.runner(tmp_path / "a", train=loader, **changes))
    assert len(dataset.seen) < 10 and not (tmp_path / "a").exists(), "a few images are read, nothing is written"
    real = Rates()
    run = runs.train(tmp_path / "b", hooks={"rates": runs.hang("hooks", "Rates", real)}, train=loader, **changes)
    assert [list(row) for row in zip(*found.rates, strict=True)] == real.rows
    assert found.groups == ["*.bias", "rest"] and found.epochs[-1] == run.iteration and len(found.epochs) == run.epoch


def test_a_sparkline_shows_the_course() -> None:
    assert sparkline([1.0]) == BARS[0] and sparkline([2.0, 2.0]) == BARS[0] * 2
    assert sparkline(list(range(8))) == BARS and len(sparkline([float(i) for i in range(1000)])) == 48


def test_the_command_prints_and_draws(pegboard_cli: Any, repository: Path, tmp_path: Path) -> None:
    config = repository / "configs" / "lenet_cifar.py"
    done = pegboard_cli("lr", config, "--out", tmp_path / "lr.png", "--cfg-options", "train.dataset.download=False")
    assert done.returncode == 0, done.stderr
    assert "60 epochs" in done.stdout and "100 %" in done.stdout and BARS[-1] in done.stdout
    assert (tmp_path / "lr.png").read_bytes().startswith(b"\x89PNG")
    for out in ("lr.txt", "none/lr.png"):
        done = pegboard_cli("lr", config, "--out", tmp_path / out)
        assert done.returncode == 2 and "--out" in done.stderr and "Traceback" not in done.stderr
