"""Combinations of optimizer and scheduler that mean something else than they say."""

import pytest

from pegboard.config import Config, check

SOUND = {
    "train": {"dataset": {"type": "DrawnShapes", "count": 8}},
    "val": {"dataset": {"type": "DrawnShapes", "count": 8, "split": "val"}},
    "model": {"type": "LeNet"},
    "loss": {"type": "CrossEntropyLoss"},
    "optimizer": {"type": "SGD", "lr": 0.1},
    "train_for": "2 epochs",
}


def problems(scheduler, **optimizer):
    values = SOUND | {"scheduler": scheduler, "optimizer": SOUND["optimizer"] | optimizer}
    return [(problem.path, problem.message) for problem in check(Config.from_values(values))]


@pytest.mark.parametrize(
    ("scheduler", "optimizer", "path", "message"),
    [
        (dict(type="ReduceLROnPlateau", unit="epoch"), {}, "scheduler", "needs monitor"),
        (dict(type="ReduceLROnPlateau", unit="iter", monitor="val/loss"), {}, "scheduler.unit", "once a validation"),
        (
            dict(type="StepLR", step_size=1, unit="epoch", monitor="val/loss"),
            {},
            "scheduler.monitor",
            "watches no metric",
        ),
        (dict(type="OneCycleLR", unit="iter"), dict(momentum=0.9), "optimizer.momentum", "cycle_momentum=False"),
        (dict(type="OneCycleLR", unit="iter", max_lr=1.0), {}, "optimizer.lr", "max_lr=1.0; give one of the two"),
        ([dict(type="StepLR", step_size=1, unit="epoch", last_epoch=3)], {}, "scheduler.0.last_epoch", "--resume"),
    ],
)
def test_a_trap_is_a_problem(scheduler, optimizer, path, message):
    ((found, text),) = problems(scheduler, **optimizer)
    assert found == path and message in text


@pytest.mark.parametrize(
    ("scheduler", "optimizer"),
    [
        (dict(type="OneCycleLR", unit="iter", cycle_momentum=False), dict(momentum=0.9)),
        (dict(type="OneCycleLR", unit="iter", max_lr=0.1, cycle_momentum=False), {}),
        (dict(type="ReduceLROnPlateau", unit="epoch", monitor="val/loss"), dict(momentum=0.9)),
        ([dict(type="LinearLR", unit="iter"), dict(type="CosineAnnealingLR", unit="epoch")], {}),
    ],
)
def test_what_is_meant_so_is_none(scheduler, optimizer):
    assert problems(scheduler, **optimizer) == []
