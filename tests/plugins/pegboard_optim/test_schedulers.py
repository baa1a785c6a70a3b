"""Every scheduler of torch sets, through a config, the rates that the same class sets when it is driven by hand."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import lr_scheduler, swa_utils

from pegboard import Batch, Config, ConfigError, Hook, Runner
from pegboard.config import check
from pegboard.registry import SCHEDULERS
from tests import runs
from tests.plugins.pegboard_optim import points

NAMES = [entry.name for entry in SCHEDULERS.list("torch:*")]

EPOCHS, PER_EPOCH = 6, 3
RATES = (0.1 * 0.1, 0.003, 0.1)  # of the three groups below
OPTIMIZER = {
    "type": "SGD", "lr": 0.1, "momentum": 0.9,
    "groups": [{"match": "0.*", "lr_mult": 0.1}, {"match": "2.bias", "lr": 0.003}],
}  # fmt: skip

Make = Callable[[torch.optim.Optimizer, int], Any]


def halves(step: int) -> float:
    return 0.5**step


def wave(step: float) -> float:
    return 1 / (1 + step)


HERE = "tests.plugins.pegboard_optim.test_schedulers"

# What a config says, and the same by hand, given an optimizer and the length of the run in steps.
CASES: dict[str, tuple[dict[str, Any], Make]] = {
    "LambdaLR": ({"lr_lambda": f"{HERE}:halves"}, lambda o, n: lr_scheduler.LambdaLR(o, halves)),
    "LambdaLR, one a group": (
        {"lr_lambda": [f"{HERE}:halves", "math:exp", {"type": "inverse_sqrt", "warmup": 3}]},
        lambda o, n: lr_scheduler.LambdaLR(
            o, [halves, lambda t: math.exp(t), lambda t: min((t + 1) / 3, math.sqrt(3 / (t + 1)))]
        ),
    ),
    "LambdaLR, linear_warmup": (
        {"lr_lambda": {"type": "linear_warmup", "steps": 4}},
        lambda o, n: lr_scheduler.LambdaLR(o, lambda t: min(1.0, (t + 1) / 4)),
    ),
    "LambdaLR, warmup_cosine": (
        {"lr_lambda": {"type": "warmup_cosine", "warmup": 2, "end": 0.1}},
        lambda o, n: lr_scheduler.LambdaLR(
            o,
            lambda t: (t + 1) / 2 if t < 2 else 0.1 + 0.9 * (1 + math.cos(math.pi * min(1.0, (t - 2) / (n - 2)))) / 2,
        ),
    ),
    "MultiplicativeLR": (
        {"lr_lambda": {"type": "constant", "value": 0.9}},
        lambda o, n: lr_scheduler.MultiplicativeLR(o, lambda t: 0.9),
    ),
    "StepLR": ({"step_size": 2, "gamma": 0.5}, lambda o, n: lr_scheduler.StepLR(o, 2, 0.5)),
    "MultiStepLR": ({"milestones": [2, 5]}, lambda o, n: lr_scheduler.MultiStepLR(o, [2, 5])),
    "ConstantLR": ({"factor": 0.5, "total_iters": 3}, lambda o, n: lr_scheduler.ConstantLR(o, 0.5, 3)),
    "LinearLR": ({}, lambda o, n: lr_scheduler.LinearLR(o)),
    "ExponentialLR": ({"gamma": 0.8}, lambda o, n: lr_scheduler.ExponentialLR(o, 0.8)),
    "SWALR": ({"swa_lr": 0.05, "anneal_epochs": 4}, lambda o, n: swa_utils.SWALR(o, 0.05, 4)),
    "SequentialLR": (
        {"schedulers": [{"type": "LinearLR", "total_iters": 2}, {"type": "CosineAnnealingLR"}], "milestones": [2]},
        lambda o, n: lr_scheduler.SequentialLR(
            o, [lr_scheduler.LinearLR(o, total_iters=2), lr_scheduler.CosineAnnealingLR(o, n - 2)], [2]
        ),
    ),
    "SequentialLR of three": (
        {
            "schedulers": [
                {"type": "ConstantLR", "factor": 0.1},
                {"type": "PolynomialLR"},
                {"type": "LambdaLR", "lr_lambda": f"{HERE}:halves"},
            ],
            "milestones": [2, 5],
        },
        lambda o, n: lr_scheduler.SequentialLR(
            o,
            [lr_scheduler.ConstantLR(o, 0.1), lr_scheduler.PolynomialLR(o, 3), lr_scheduler.LambdaLR(o, halves)],
            [2, 5],
        ),
    ),
    "CosineAnnealingLR": ({"eta_min": 1e-4}, lambda o, n: lr_scheduler.CosineAnnealingLR(o, n, 1e-4)),
    "ChainedScheduler": (
        {"schedulers": [
            {"type": "ConstantLR", "factor": 0.1, "total_iters": 2}, {"type": "ExponentialLR", "gamma": 0.9},
        ]},
        lambda o, n: lr_scheduler.ChainedScheduler(
            [lr_scheduler.ConstantLR(o, 0.1, 2), lr_scheduler.ExponentialLR(o, 0.9)]
        ),
    ),
    "CyclicLR": (
        {"base_lr": [0.001, 0.002, 0.003], "step_size_up": 2, "mode": "exp_range", "gamma": 0.9,
         "cycle_momentum": False},
        lambda o, n: lr_scheduler.CyclicLR(
            o, [0.001, 0.002, 0.003], list(RATES), 2, mode="exp_range", gamma=0.9, cycle_momentum=False
        ),
    ),
    "CyclicLR, its own scale": (
        {"base_lr": 0.001, "max_lr": 0.1, "step_size_up": 2, "scale_fn": f"{HERE}:wave", "cycle_momentum": False},
        lambda o, n: lr_scheduler.CyclicLR(o, 0.001, 0.1, 2, scale_fn=wave, cycle_momentum=False),
    ),
    "CosineAnnealingWarmRestarts": (
        {"T_0": 2, "T_mult": 2},
        lambda o, n: lr_scheduler.CosineAnnealingWarmRestarts(o, 2, 2),
    ),
    "OneCycleLR": (
        {"cycle_momentum": False},
        lambda o, n: lr_scheduler.OneCycleLR(o, list(RATES), n, cycle_momentum=False),
    ),
    "OneCycleLR, its own length": (
        {"epochs": 7, "steps_per_epoch": 4, "three_phase": True, "cycle_momentum": False},
        lambda o, n: lr_scheduler.OneCycleLR(o, list(RATES), 28, three_phase=True, cycle_momentum=False),
    ),
    "PolynomialLR": ({"power": 2.0}, lambda o, n: lr_scheduler.PolynomialLR(o, n, 2.0)),
}  # fmt: skip
PLATEAU = "ReduceLROnPlateau"  # is stepped by a metric; its tests are below


class Rates(Hook):
    """The rate of every group after each iteration, or each epoch."""

    def __init__(self) -> None:
        self.by_iteration: list[list[float]] = []
        self.by_epoch: list[list[float]] = []

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        self.by_iteration.append([group["lr"] for group in run.optimizer.param_groups])

    def after_train_epoch(self, run: Runner) -> None:
        self.by_epoch.append([group["lr"] for group in run.optimizer.param_groups])

    def by(self, unit: str) -> list[list[float]]:
        return self.by_iteration if unit == "iter" else self.by_epoch


def runner(folder: Path, scheduler: Any, rates: Rates, resume: "dict[str, Any] | None" = None, **more: Any) -> Runner:
    changes: dict[str, Any] = {
        "train": {"dataset": {"type": "Points"}, "batch_size": points.COUNT // PER_EPOCH},
        "optimizer": OPTIMIZER,
        "scheduler": scheduler,
        "train_for": f"{EPOCHS} epochs",
        "checkpoint": {"every": "1 iters", "keep": 99},
        "hooks": {"progress": None, "rates": runs.hang("hooks", "Rates", rates)},
    }
    return points.runner(folder, points.two_layers(), resume, **{**changes, **more})


def by_hand(make: Make, steps: int) -> list[list[float]]:
    """The rates after each step."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in RATES]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    scheduler, rates = make(optimizer, steps), []
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        rates.append([group["lr"] for group in optimizer.param_groups])
    return rates


def test_every_scheduler_is_tested() -> None:
    assert {name.partition(",")[0].partition(" ")[0] for name in CASES} | {PLATEAU} == set(NAMES)
    public = {name for name in lr_scheduler.__all__ if name != "LRScheduler"}
    assert set(NAMES) == public | {"SWALR"}


@pytest.mark.parametrize("unit", ["epoch", "iter"])
@pytest.mark.parametrize("name", CASES)
def test_a_scheduler_is_what_it_is_by_hand_also_resumed(name: str, unit: str, tmp_path: Path) -> None:
    options, make = CASES[name]
    scheduler = {"type": name.partition(",")[0].partition(" ")[0], "unit": unit, **options}
    whole, part = Rates(), Rates()
    runner(tmp_path / "whole", scheduler, whole).train()
    expected = by_hand(make, EPOCHS * (PER_EPOCH if unit == "iter" else 1))
    assert whole.by(unit) == expected
    middle = runs.checkpoint(tmp_path / "whole", 10)  # in the fourth epoch
    runner(tmp_path / "part", scheduler, part, middle).train()
    assert runs.same(middle["schedules"], runs.checkpoint(tmp_path / "whole", 10)["schedules"])  # left as it was
    assert part.by(unit) == expected[-len(part.by(unit)) :] and part.by(unit)
    one, other = runs.newest(tmp_path / "whole"), runs.newest(tmp_path / "part")
    assert all(runs.same(one[key], other[key]) for key in ("model", "optimizer", "schedules"))


def test_momentum_is_cycled_as_by_hand(tmp_path: Path) -> None:
    class Momenta(Rates):
        def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
            self.by_iteration.append([group["momentum"] for group in run.optimizer.param_groups])

    momenta, optimizer = Momenta(), {**OPTIMIZER}
    del optimizer["momentum"]
    runner(tmp_path, {"type": "OneCycleLR", "unit": "iter"}, momenta, optimizer=optimizer).train()
    by_itself = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler, expected = lr_scheduler.OneCycleLR(by_itself, 0.1, EPOCHS * PER_EPOCH), []
    for _ in range(EPOCHS * PER_EPOCH):
        by_itself.step()
        scheduler.step()
        expected.append([by_itself.param_groups[0]["momentum"]] * 3)
    assert momenta.by_iteration == expected


def test_several_schedulers_are_all_stepped(tmp_path: Path) -> None:
    rates = Rates()
    several = [
        {"type": "LinearLR", "unit": "iter", "total_iters": 4},
        {"type": "StepLR", "unit": "epoch", "step_size": 1, "gamma": 0.5},
    ]
    runner(tmp_path, several, rates).train()
    factors = [min(1, 1 / 3 + (2 / 3) * n / 4) for n in range(1, EPOCHS * PER_EPOCH + 1)]
    expected = [[lr * f * 0.5 ** (n // PER_EPOCH) for lr in RATES] for n, f in enumerate(factors)]
    assert torch.allclose(torch.tensor(rates.by_iteration), torch.tensor(expected))


def test_what_a_scheduler_before_it_did_is_not_the_rate_that_a_cycle_peaks_at(tmp_path: Path) -> None:
    rates = Rates()
    parts = [{"type": "LinearLR", "total_iters": 2}, {"type": "OneCycleLR", "cycle_momentum": False}]
    runner(tmp_path, {"type": "SequentialLR", "unit": "iter", "schedulers": parts, "milestones": [2]}, rates).train()
    assert max(row[2] for row in rates.by_iteration) == pytest.approx(0.1, rel=0.02)


def test_cosine_annealing_goes_up_again_after_its_horizon(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rates = Rates()
    run = runner(
        tmp_path,
        {"type": "CosineAnnealingLR", "unit": "epoch", "T_max": 200},
        rates,
        train={"dataset": {"type": "Points"}, "batch_size": points.COUNT},
        optimizer={"type": "SGD", "lr": 0.001},
        train_for="400 epochs",
        checkpoint={"every": "400 epochs"},
    )
    run.train()
    shown = [0.001, *(row[0] for row in rates.by_epoch)]
    assert [shown[epoch] for epoch in (0, 100, 200, 400)] == pytest.approx([0.001, 0.0005, 0, 0.001], abs=1e-9)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [
        "scheduler.T_max: the schedule stretches over 200 steps and the run over 400 epochs: it ends early"
    ]


# -- horizons --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        ({"type": "CosineAnnealingLR", "unit": "iter", "T_max": 18}, ""),
        ({"type": "CosineAnnealingLR", "unit": "iter", "T_max": 6}, "scheduler.T_max: the schedule stretches over 6"),
        ({"type": "PolynomialLR", "unit": "epoch", "total_iters": 9}, "9 steps and the run over 6 epochs: it is cut"),
        ({"type": "LinearLR", "unit": "epoch", "total_iters": 3}, ""),
        ([{"type": "OneCycleLR", "unit": "iter", "total_steps": 20}], "scheduler.0.total_steps: the schedule"),
        (
            {"type": "OneCycleLR", "unit": "iter", "epochs": 6, "steps_per_epoch": 4},
            "scheduler.steps_per_epoch: the schedule stretches over 24 steps and the run over 18 iterations",
        ),
        ({"type": "OneCycleLR", "unit": "iter", "epochs": 6, "steps_per_epoch": 3}, ""),
        (
            {"type": "SequentialLR", "unit": "epoch", "milestones": [2], "schedulers": [
                {"type": "LinearLR"}, {"type": "CosineAnnealingLR", "T_max": 6},
            ]},
            "scheduler.schedulers.1.T_max: the schedule stretches over 6 steps and the run over 4 epochs",
        ),
        ({"type": "MultiStepLR", "unit": "epoch", "milestones": [2, 6]}, "scheduler.milestones: 6 is never reached"),
    ],
)  # fmt: skip
def test_a_horizon_that_is_not_the_run_s_length_is_warned_of(
    scheduler: Any, message: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = {"type": "SGD", "lr": 0.1}
    assert check(runner(tmp_path, scheduler, Rates(), optimizer=plain).config) == []
    runner(tmp_path, scheduler, Rates(), optimizer=plain).train()
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == bool(message) and message in "".join(warnings)


def test_a_phase_is_the_horizon_of_its_own_scheduler(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cosine = {"type": "CosineAnnealingLR", "unit": "iter"}
    phases = [{"train_for": "2 epochs", "scheduler": cosine}, {"train_for": "5 iters", "scheduler": cosine}]
    rates = Rates()
    runner(tmp_path / "a", None, rates, phases=phases, train_for=None).train()
    assert [number for number, row in enumerate(rates.by_iteration, 1) if row[2] < 1e-9] == [6, 11]
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]
    phases[1] = {**phases[1], "scheduler": {**cosine, "T_max": 11}}
    runner(tmp_path / "b", None, rates, phases=phases, train_for=None).train()
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith("phases.1.scheduler.T_max: the schedule stretches over 11 steps and the run over 5")


def test_a_trial_of_a_few_iterations_warns_of_no_horizon(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = runner(tmp_path, {"type": "CosineAnnealingLR", "unit": "iter", "T_max": 18}, Rates())
    run.limit = 2
    run.train()
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]


def test_what_a_scheduler_refuses_is_a_config_error(tmp_path: Path) -> None:
    two = {"type": "LambdaLR", "unit": "iter", "lr_lambda": ["math:exp", "math:exp"]}
    with pytest.raises(ConfigError, match="scheduler: LambdaLR: Expected 3 lr_lambdas, but got 2"):
        runner(tmp_path, two, Rates()).train()
    within = {"type": "ChainedScheduler", "unit": "iter", "schedulers": [{"type": "OneCycleLR", "pct_start": 2.0}]}
    with pytest.raises(ConfigError, match=r"scheduler.schedulers.0: OneCycleLR: Expected float between 0 and 1"):
        runner(tmp_path, within, Rates(), optimizer={"type": "SGD", "lr": 0.1}).train()


# -- ReduceLROnPlateau -----------------------------------------------------------------------------------------------


class Silent:
    """A metric without samples; ``compute`` is for whoever inherits."""

    higher_is_better = True

    def reset(self) -> None: ...

    def update(self, outputs: Tensor, targets: Tensor) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None: ...


def plateau(folder: Path, values: list[float], resume: "dict[str, Any] | None" = None, **options: Any) -> list[float]:
    """The rate of the last group after each validation whose metric is as ``values`` say."""
    seen = []

    class Told(Silent):
        def compute(self) -> float:
            return values[run.epoch - 1] if run.validation_due else -1.0

    class Sees(Hook):
        def after_val(self, run: Runner, metrics: Any) -> None:
            seen.append(run.optimizer.param_groups[-1]["lr"])

    scheduler = {"type": "ReduceLROnPlateau", "unit": "epoch", "monitor": "val/told", "mode": "min", **options}
    rates = Rates()
    run = runner(
        folder,
        scheduler,
        rates,
        resume,
        val={"dataset": {"type": "Points"}, "batch_size": 24},
        metrics={"told": runs.hang("metrics", "Told", Told())},
        train_for=f"{len(values)} epochs",
        hooks={"progress": None, "sees": runs.hang("hooks", "Sees", Sees())},
    )
    run.train()
    return seen


# mode, threshold_mode, threshold, best, the value on the boundary, which is no improvement, and one beyond, which is.
BOUNDARIES = [
    ("max", "rel", 0.25, 1.0, 1.25, 1.2501),
    ("min", "rel", 0.25, 1.0, 0.75, 0.7499),
    ("max", "abs", 0.5, 2.0, 2.5, 2.5001),
    ("min", "abs", 0.5, 2.0, 1.5, 1.4999),
]


@pytest.mark.parametrize(("mode", "threshold_mode", "threshold", "best", "boundary", "beyond"), BOUNDARIES)
def test_a_plateau_s_threshold_is_no_improvement(
    mode: str, threshold_mode: str, threshold: float, best: float, boundary: float, beyond: float, tmp_path: Path
) -> None:
    options = {"mode": mode, "threshold_mode": threshold_mode, "threshold": threshold, "patience": 0}
    assert plateau(tmp_path / "on", [best, boundary], **options) == pytest.approx([0.1, 0.01])
    assert plateau(tmp_path / "beyond", [best, beyond], **options) == pytest.approx([0.1, 0.1])


def test_patience_and_cooldown_count_validations(tmp_path: Path) -> None:
    seen = plateau(tmp_path, [1.0] * 11, factor=0.5, patience=2, cooldown=3)
    # bad validations 2, 3 and 4 cut; 5, 6 and 7 cool down; 8, 9 and 10 cut again
    assert seen == pytest.approx([0.1] * 3 + [0.05] * 6 + [0.025] * 2)


def test_all_its_arguments_are_those_of_the_class_driven_by_hand(tmp_path: Path) -> None:
    values = [1.0, 0.9, 0.95, 0.96, 0.97, 0.5, 0.6, 0.6, 0.6, 0.4, 0.41, 0.42, 0.43, 0.44]
    options = {
        "mode": "min", "factor": 0.3, "patience": 1, "threshold": 0.01, "threshold_mode": "abs", "cooldown": 1,
        "min_lr": [0.0, 0.001, 0.002], "eps": 1e-4,
    }  # fmt: skip
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in RATES]
    scheduler = lr_scheduler.ReduceLROnPlateau(torch.optim.SGD(groups), **options)
    expected = []
    for value in values:
        scheduler.step(value)
        expected.append(scheduler.optimizer.param_groups[-1]["lr"])
    assert plateau(tmp_path / "whole", values, **options) == expected
    assert len(set(expected)) > 2
    for at in (7, 12, 17):  # in the middle of an epoch, and at its end
        state = runs.checkpoint(tmp_path / "whole", at)
        seen = plateau(tmp_path / f"part{at}", values, state, **options)
        assert seen == expected[-len(seen) :]
        one, other = runs.newest(tmp_path / "whole"), runs.newest(tmp_path / f"part{at}")
        assert runs.same(one["schedules"], other["schedules"]) and one["schedules"][0]["best"] == 0.4


def test_each_cut_is_logged_with_epoch_group_and_rates(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="pegboard")
    plateau(tmp_path, [1.0, 2.0, 3.0], patience=1, min_lr=[0.001, 0.003, 0.05])
    cuts = [record.getMessage() for record in caplog.records if "->" in record.getMessage()]
    assert cuts == [
        "epoch 3: group 0 (0.*): lr 0.01 -> 0.001; val/told was best at 1",
        "epoch 3: group 2 (rest): lr 0.1 -> 0.05; val/told was best at 1",
    ]


def test_it_is_stepped_at_every_validation_also_within_an_epoch(tmp_path: Path) -> None:
    run = runner(
        tmp_path,
        {"type": "ReduceLROnPlateau", "unit": "epoch", "monitor": "val/loss"},
        Rates(),
        val={"dataset": {"type": "Points"}, "batch_size": 24},
        val_every="2 iters",
    )
    run.train()
    assert run.schedules[0].scheduler.last_epoch == EPOCHS * PER_EPOCH // 2


def test_a_monitor_that_no_metric_produces_is_a_problem() -> None:
    scheduler = {"type": "ReduceLROnPlateau", "unit": "epoch", "monitor": "val/top2"}
    (problem,) = check(Config.from_values(runs.values(scheduler=scheduler)))
    assert problem.path == "scheduler.monitor" and "did you mean 'val/top1'?" in problem.message


def test_which_way_a_metric_gets_better_is_said_and_not_guessed() -> None:
    scheduler = {"type": "ReduceLROnPlateau", "unit": "epoch", "monitor": "val/top1"}
    (problem,) = check(Config.from_values(runs.values(scheduler=scheduler)))
    assert problem.path == "scheduler" and "needs mode='max' or mode='min'" in problem.message
    assert check(Config.from_values(runs.values(scheduler={**scheduler, "mode": "max"}))) == []
