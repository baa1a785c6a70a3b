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

LINEAR = dict(type="LinearLR")


def problems(scheduler, optimizer, **changes):
    values = SOUND | {"scheduler": scheduler, "optimizer": SOUND["optimizer"] | optimizer} | changes
    return [(problem.path, problem.message) for problem in check(Config.from_values(values))]


@pytest.mark.parametrize(
    ("scheduler", "optimizer", "path", "message"),
    [
        (dict(type="ReduceLROnPlateau", unit="epoch"), {}, "scheduler", "needs monitor"),
        (dict(type="ReduceLROnPlateau", unit="iter", monitor="val/loss"), {}, "scheduler.unit", "once a validation"),
        (dict(type="MultiStepLR", unit="epoch", milestones=5), {}, "scheduler.milestones", "must be a list of numbers"),
        (
            dict(type="StepLR", step_size=1, unit="epoch", monitor="val/loss"),
            {},
            "scheduler.monitor",
            "watches no metric",
        ),
        (dict(type="OneCycleLR", unit="iter"), dict(momentum=0.9), "optimizer.momentum", "cycle_momentum=False"),
        (dict(type="OneCycleLR", unit="iter", max_lr=1.0), {}, "optimizer.lr", "max_lr=1.0; give one of the two"),
        ([dict(type="StepLR", step_size=1, unit="epoch", last_epoch=3)], {}, "scheduler.0.last_epoch", "--resume"),
        (
            dict(type="CyclicLR", unit="iter", base_lr=0.01, max_lr=1.0),
            {},
            "optimizer.lr",
            "goes between its own base_lr",
        ),
        (dict(type="CyclicLR", unit="iter", base_lr=0.1), dict(momentum=0.8), "optimizer.momentum", "from 0.8 to 0.9"),
        (dict(type="MultiStepLR", unit="epoch", milestones=[9, 3]), {}, "scheduler.milestones", "did you mean [3, 9]?"),
        (dict(type="MultiStepLR", unit="epoch", milestones=[3, 3]), {}, "scheduler.milestones", "must increase"),
        (dict(type="MultiStepLR", unit="epoch", milestones=[0, 3]), {}, "scheduler.milestones", "at least 1"),
        (
            dict(type="SequentialLR", unit="epoch", schedulers=[LINEAR, dict(type="LinearLR")], milestones=[2, 4]),
            {},
            "scheduler.milestones",
            "2 schedulers need 1 milestones between them, got [2, 4]",
        ),
        (
            dict(type="SequentialLR", unit="epoch", schedulers=[LINEAR, LINEAR | dict(last_epoch=2)], milestones=[2]),
            {},
            "scheduler.schedulers.1.last_epoch",
            "--resume",
        ),
        (
            dict(type="SequentialLR", unit="epoch", schedulers=[LINEAR | dict(unit="iter"), LINEAR], milestones=[2]),
            {},
            "scheduler.schedulers.0.unit",
            "the scheduler around LinearLR says the unit; leave it out",
        ),
        (
            dict(type="ChainedScheduler", unit="epoch", schedulers=[dict(type="LinerLR")]),
            {},
            "scheduler.schedulers.0.type",
            "did you mean 'LinearLR'?",
        ),
        (
            dict(type="ChainedScheduler", unit="epoch", schedulers=[dict(type="ReduceLROnPlateau"), LINEAR]),
            {},
            "scheduler.schedulers.0",
            "list it beside ChainedScheduler",
        ),
        (dict(type="ChainedScheduler", unit="epoch", schedulers=[]), {}, "scheduler.schedulers", "needs a list"),
        (
            dict(type="ChainedScheduler", unit="epoch", schedulers=[LINEAR, dict(type="OneCycleLR")]),
            {},
            "scheduler.schedulers.1",
            "what LinearLR does (scheduler.schedulers.0) is lost; use SequentialLR",
        ),
        (
            [dict(type="OneCycleLR", unit="iter"), dict(type="StepLR", step_size=1, unit="epoch")],
            {},
            "scheduler.0",
            "OneCycleLR sets the rate at each of its steps anew, so that what StepLR does (scheduler.1) is lost",
        ),
        (dict(type="LambdaLR", unit="iter"), {}, "scheduler", "LambdaLR needs 'lr_lambda'"),
        (dict(type="LambdaLR", unit="iter", lr_lambda="math:cosin"), {}, "scheduler.lr_lambda", "there is no 'cosin'"),
        (dict(type="LambdaLR", unit="iter", lr_lambda="cos"), {}, "scheduler.lr_lambda", "must be 'module:function'"),
        (
            dict(type="LambdaLR", unit="iter", lr_lambda="constant"),
            {},
            "scheduler.lr_lambda",
            "dict(type='constant', .",
        ),
        (dict(type="LambdaLR", unit="iter", lr_lambda=["math:cos", 3]), {}, "scheduler.lr_lambda.1", "got 3"),
        (
            dict(type="LambdaLR", unit="iter", lr_lambda=dict(type="linear_warm", steps=3)),
            {},
            "scheduler.lr_lambda.type",
            "did you mean 'linear_warmup'?",
        ),
        (
            dict(type="LambdaLR", unit="iter", lr_lambda=dict(type="linear_warmup")),
            {},
            "scheduler.lr_lambda",
            "linear_warmup needs 'steps'",
        ),
        (
            dict(type="LambdaLR", unit="iter", lr_lambda=dict(type="linear_warmup", steps=0)),
            {},
            "scheduler.lr_lambda.steps",
            "at least 1, got 0",
        ),
        (
            dict(type="LambdaLR", unit="iter", lr_lambda=dict(type="inverse_sqrt", warmpu=9)),
            {},
            "scheduler.lr_lambda.warmpu",
            "did you mean 'warmup'?",
        ),
        ((), dict(nesterov=True), "optimizer", "nesterov=True needs a momentum above 0"),
        ((), dict(nesterov=True, momentum=0.9, dampening=0.1), "optimizer", "needs dampening=0, got 0.1"),
        (
            (),
            dict(nesterov=True, momentum=0.9, groups=[dict(match="fc3.*", momentum=0.0)]),
            "optimizer.groups.0",
            "needs a momentum above 0",
        ),
        ((), dict(type="LBFGS", groups=[dict(match="fc3.*", lr_mult=2)]), "optimizer.groups", "leave groups out"),
    ],
)
def test_a_trap_is_a_problem(scheduler, optimizer, path, message):
    ((found, text),) = problems(scheduler, optimizer)
    assert found == path and message in text


@pytest.mark.parametrize(
    ("scheduler", "optimizer"),
    [
        (dict(type="OneCycleLR", unit="iter", cycle_momentum=False), dict(momentum=0.9)),
        (dict(type="OneCycleLR", unit="iter", max_lr=0.1, cycle_momentum=False), {}),
        (dict(type="ReduceLROnPlateau", unit="epoch", monitor="val/loss"), dict(momentum=0.9)),
        ((), dict(nesterov=True, momentum=0.9)),
        ((), dict(type="LBFGS")),
        (dict(type="LambdaLR", unit="iter", lr_lambda=dict(type="warmup_cosine", warmup=9)), {}),
        (dict(type="LambdaLR", unit="iter", lr_lambda=[dict(type="inverse_sqrt"), "math:exp"]), {}),
        (dict(type="CyclicLR", unit="iter", base_lr=0.1, max_lr=1.0, cycle_momentum=False), dict(momentum=0.9)),
        (dict(type="PolynomialLR", unit="iter"), {}),
        (dict(type="SequentialLR", unit="epoch", schedulers=[LINEAR, dict(type="OneCycleLR")], milestones=[2]), {}),
        ([dict(type="LinearLR", unit="iter"), dict(type="CosineAnnealingLR", unit="epoch")], {}),
    ],
)
def test_what_is_meant_so_is_none(scheduler, optimizer):
    assert problems(scheduler, optimizer) == []


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        (dict(precision="fp16"), "precision", "cannot scale its losses for fp16"),
        (dict(accumulate=2), "accumulate", "leave accumulate out"),
        (dict(phases=[dict(train_for="1 epoch"), dict(train_for="1 epoch")]), "phases", "use one phase"),
    ],
)
def test_lbfgs_is_refused_where_it_cannot_work(changes, path, message):
    ((found, text),) = problems((), dict(type="LBFGS"), **changes)
    assert found == path and message in text
    assert problems((), dict(type="SGD"), **changes) == []


def test_the_values_of_sparse_gradients_cannot_be_clipped():
    ((path, message),) = problems((), dict(type="SparseAdam"), clip_grad=dict(value=1.0))
    assert path == "clip_grad.value" and "clip their norm" in message
    assert problems((), dict(type="SparseAdam"), clip_grad=dict(norm=1.0)) == []


def test_the_schedulers_of_phases_are_looked_at_too():
    phases = [dict(train_for="2 epochs", scheduler=dict(type="MultiStepLR", unit="epoch", milestones=[2, 1]))]
    ((path, message),) = problems((), {}, phases=phases)
    assert path == "phases.0.scheduler.milestones" and "must increase" in message
