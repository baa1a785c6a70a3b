"""A hook adds a parameter group in mid-run: it is trained, scheduled, and found again by a resume."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from pegboard import CheckpointError, Hook, PegboardError, Runner
from tests import runs

SGD = {"type": "SGD", "lr": 0.1, "momentum": 0.9}


class Thaws(Hook):
    """Trains ``fc.weight`` from epoch ``at`` on, at a rate of its own."""

    essential = True

    def __init__(self, at: int = 2, lr: float = 0.04, alien: bool = False) -> None:
        self.at, self.lr, self.alien = at, lr, alien

    def before_train_epoch(self, run: Runner) -> None:
        if run.epoch != self.at:
            return
        weight = torch.nn.Parameter(torch.ones(2, 3)) if self.alien else run.model.fc.weight
        weight.requires_grad_(True)
        run.optimizer.add_param_group({"params": [weight], "lr": self.lr})


class Rates(Hook):
    def __init__(self) -> None:
        self.seen: list[tuple[float, ...]] = []

    def after_train_epoch(self, run: Runner) -> None:
        self.seen.append(tuple(group["lr"] for group in run.optimizer.param_groups))


def changes(thaws: Hook, rates: Hook, **more: Any) -> dict[str, Any]:
    hooks = {"thaws": runs.hang("hooks", "Thaws", thaws), "rates": runs.hang("hooks", "Rates", rates)}
    every = {"every": "1 iters", "keep": 99}
    base = {"optimizer": SGD, "freeze": ["fc.weight"], "train_for": "5 epochs", "checkpoint": every, "hooks": hooks}
    return {**base, **more}


COSINE = {"type": "CosineAnnealingLR", "unit": "epoch"}
SCHEDULES: dict[str, tuple[Any, list[float]]] = {
    "none": (None, [0.04] * 3),
    "step": ({"type": "StepLR", "step_size": 2, "unit": "epoch", "gamma": 0.5}, [0.04, 0.02, 0.02]),
    "lambda": ({"type": "LambdaLR", "unit": "epoch", "lr_lambda": "math:exp"}, [0.04 * math.exp(n) for n in (3, 4, 5)]),
    "chained": (
        {"type": "ChainedScheduler", "unit": "epoch", "schedulers": [
            {"type": "ExponentialLR", "gamma": 0.5},
            {"type": "MultiplicativeLR", "lr_lambda": {"type": "constant", "value": 0.5}},
        ]},
        [0.01, 0.0025, 0.000625],
    ),
    "plateau": ({"type": "ReduceLROnPlateau", "unit": "epoch", "monitor": "val/loss"}, [0.04] * 3),
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_group_that_joins_is_trained_and_scheduled(name: str, tmp_path: Path) -> None:
    scheduler, expected = SCHEDULES[name]
    rates = Rates()
    runs.train(tmp_path, **changes(Thaws(), rates, scheduler=scheduler))
    assert [len(seen) for seen in rates.seen] == [1, 1, 2, 2, 2]
    assert [seen[1] for seen in rates.seen[2:]] == pytest.approx(expected)
    first, before, last = (runs.checkpoint(tmp_path, n)["model"]["fc.weight"] for n in (1, 6, 15))
    assert torch.equal(first, before) and not torch.equal(before, last)


@pytest.mark.parametrize("name", [*SCHEDULES, "cosine"])
@pytest.mark.parametrize("at", [6, 7, 11])
def test_a_resume_finds_the_group_again(name: str, at: int, tmp_path: Path) -> None:
    scheduler = COSINE if name == "cosine" else SCHEDULES[name][0]
    whole, part = Rates(), Rates()
    runs.train(tmp_path / "whole", **changes(Thaws(), whole, scheduler=scheduler))
    state = runs.checkpoint(tmp_path / "whole", at)
    assert len(state["optimizer"]["param_groups"]) == (1 if at == 6 else 2)
    run = runs.runner(tmp_path / "part", state, **changes(Thaws(), part, scheduler=scheduler))
    run.train()
    one, other = runs.newest(tmp_path / "whole"), runs.newest(tmp_path / "part")
    for key in ("model", "optimizer", "schedules", "added_groups", "final"):
        assert runs.same(one[key], other[key]), key
    assert part.seen == whole.seen[-len(part.seen) :]


@pytest.mark.parametrize("at", [7, 9, 10, 14])
def test_a_phase_that_begins_leaves_the_rate_of_a_group_that_joined(at: int, tmp_path: Path) -> None:
    phases: list[dict[str, Any]] = [
        {"train_for": "3 epochs", "freeze": ["fc.weight"]},
        {"train_for": "2 epochs", "lr": 0.01, "freeze": ["fc.weight"], "scheduler": COSINE},
    ]
    more = {"phases": phases, "train_for": None, "freeze": None}
    whole, part = Rates(), Rates()
    runs.train(tmp_path / "whole", **changes(Thaws(at=1), whole, **more))
    assert whole.seen[2] == (0.1, 0.04) and whole.seen[3] == pytest.approx((0.005, 0.02))
    state = runs.checkpoint(tmp_path / "whole", at)
    runs.runner(tmp_path / "part", state, **changes(Thaws(at=1), part, **more)).train()
    one, other = runs.newest(tmp_path / "whole"), runs.newest(tmp_path / "part")
    for key in ("model", "optimizer", "schedules", "added_groups"):
        assert runs.same(one[key], other[key]), key


@pytest.mark.parametrize(
    "scheduler",
    [
        {"type": "OneCycleLR", "unit": "iter"},
        {"type": "ReduceLROnPlateau", "unit": "epoch", "monitor": "val/loss", "min_lr": [0.001]},
    ],
)
def test_a_schedule_with_values_for_each_group_says_that_it_has_none_for_this(scheduler: Any, tmp_path: Path) -> None:
    changed = changes(Thaws(), Rates(), scheduler=scheduler, optimizer={"type": "SGD", "lr": 0.1})
    with pytest.raises(PegboardError, match=f"{scheduler['type']} has values of its own for each parameter group"):
        runs.train(tmp_path, **changed)


def test_a_group_of_foreign_parameters_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"parameter group 1, which a hook added, holds a parameter \(2, 3\)"):
        runs.train(tmp_path, **changes(Thaws(at=0, alien=True), Rates()))


def test_a_config_that_trains_what_was_added_is_told_so(tmp_path: Path) -> None:
    runs.train(tmp_path / "a", **changes(Thaws(), Rates()))
    other = changes(Thaws(), Rates(), freeze=["fc.bias"])
    with pytest.raises(CheckpointError, match="a parameter group of fc.weight, which a hook added; it cannot be added"):
        runs.runner(tmp_path / "b", runs.newest(tmp_path / "a"), **other).train()
