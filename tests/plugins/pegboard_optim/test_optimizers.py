"""Every optimizer of torch trains through a config, and does what the same class does in a bare loop."""

from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pegboard import Batch, ConfigError, Hook, Runner
from pegboard.registry import OPTIMIZERS
from tests import runs
from tests.plugins.pegboard_optim import points

NAMES = [entry.name for entry in OPTIMIZERS.list("torch:*")]

# What each needs to be quick on so small a problem; its own defaults are for longer runs.
OPTIONS: dict[str, dict[str, Any]] = {
    "Adadelta": {"lr": 5.0},
    "Adafactor": {"lr": 0.5},
    "Adagrad": {"lr": 0.3},
    "ASGD": {"lr": 0.5},
    "LBFGS": {"lr": 0.5, "max_iter": 4},
    "Muon": {"lr": 0.1},
    "RAdam": {"lr": 0.2},
    "RMSprop": {"lr": 0.02, "momentum": 0.5, "centered": True},
    "Rprop": {"lr": 0.02},
    "SGD": {"lr": 0.3, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4},
    "SparseAdam": {"lr": 0.2},
}
OTHERWISE = {"lr": 0.05}


def model_for(name: str) -> tuple[nn.Module, str]:
    """A model that the optimizer can train, and the data for it."""
    if name == "SparseAdam":
        return points.embedded(), "Numbers"
    return points.two_layers(bias=name != "Muon"), "Points"


def by_hand(name: str, options: dict[str, Any], model: nn.Module, batches: Iterable[Batch]) -> nn.Module:
    optimizer = getattr(torch.optim, name)(model.parameters(), **options)
    for batch in batches:

        def closure(batch: Batch = batch) -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch.inputs), batch.targets)
            loss.backward()
            return loss

        if name == "LBFGS":
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
    return model


def assert_as_by_hand(run: Runner, name: str, options: dict[str, Any], model: nn.Module) -> None:
    """To the bit with the implementation that the run chose; with that of the class itself but for rounding."""
    alike = by_hand(name, {**options, **points.kernel(run)}, deepcopy(model), points.batches(run))
    assert runs.same(run.model.state_dict(), alike.state_dict())
    assert points.close(run.model, by_hand(name, options, deepcopy(model), points.batches(run)))


def test_there_are_optimizers_to_test() -> None:
    assert {"SGD", "Adam", "AdamW", "Adamax", "ASGD", "Rprop", "LBFGS", "SparseAdam", "RMSprop"} <= set(NAMES)
    public = [name for name, cls in vars(torch.optim).items() if isinstance(cls, type) and name != "Optimizer"]
    assert set(NAMES) == {name for name in public if issubclass(getattr(torch.optim, name), torch.optim.Optimizer)}


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_halves_the_loss_and_equals_itself_in_a_bare_loop(name: str, tmp_path: Path) -> None:
    options = OPTIONS.get(name, OTHERWISE)
    model, data = model_for(name)
    run = points.runner(tmp_path, model, data=data, optimizer={"type": name, **options})
    run.train()
    assert points.loss_over_all(run, run.model) < 0.5 * points.loss_over_all(run, model)
    assert_as_by_hand(run, name, options, model)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_variants_of_an_optimizer_equal_themselves_in_a_bare_loop(name: str, tmp_path: Path) -> None:
    options = {
        "SGD": {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "maximize": False},
        "Adam": {"lr": 0.05, "amsgrad": True, "betas": [0.8, 0.99], "weight_decay": 0.01},
    }[name]
    model = points.two_layers()
    run = points.runner(tmp_path, model, optimizer={"type": name, **options})
    run.train()
    assert_as_by_hand(run, name, options, model)


# -- LBFGS ---------------------------------------------------------------------------------------------------------


class Rosenbrock(nn.Module):
    """The banana valley (1 - x)^2 + 100 (y - x^2)^2, whose minimum is at (1, 1); it needs no data."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.tensor([-1.5, 2.0], dtype=torch.float64))

    def training_step(self, batch: Batch, criterion: Any) -> tuple[Tensor, Tensor]:
        x, y = self.place
        return (1 - x) ** 2 + 100 * (y - x**2) ** 2, self.place


class CountsPoints(Hook):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def before_train_iter(self, run: Runner, batch: Batch) -> None:
        self.calls.append("before_train_iter")

    def before_optimizer_step(self, run: Runner) -> None:
        self.calls.append("before_optimizer_step")

    def after_optimizer_step(self, run: Runner) -> None:
        self.calls.append("after_optimizer_step")

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        self.calls.append("after_train_iter")


def test_lbfgs_finds_the_minimum_of_rosenbrock_and_hooks_are_called_once_a_step(tmp_path: Path) -> None:
    counts = CountsPoints()
    lbfgs = {"type": "LBFGS", "lr": 1.0, "max_iter": 20, "line_search_fn": "strong_wolfe"}
    hooks = {"progress": None, "counts": runs.hang("hooks", "Counts", counts)}
    run = points.runner(tmp_path, Rosenbrock(), optimizer=lbfgs, train_for="4 iters", hooks=hooks)
    run.train()
    assert torch.allclose(run.model.place, torch.ones(2, dtype=torch.float64), atol=1e-6)
    assert run.optimizer.state[run.model.place]["func_evals"] > 20
    step = ["before_train_iter", "before_optimizer_step", "after_optimizer_step", "after_train_iter"]
    assert counts.calls == step * 4


# -- what a class refuses -------------------------------------------------------------------------------------------


def test_muon_says_which_parameter_is_no_matrix(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"optimizer: Muon: Muon only supports 2D .* size: .*\[4\].*; that is 0.bias"):
        points.runner(tmp_path, points.two_layers(), optimizer={"type": "Muon", "lr": 0.1}).train()
    assert not list(tmp_path.iterdir())


def test_a_value_that_the_class_refuses_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="optimizer: Adam: Invalid beta parameter at index 0: 1.5"):
        points.runner(tmp_path, points.two_layers(), optimizer={"type": "Adam", "betas": [1.5, 0.9]}).train()


# -- clipping and accumulation --------------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", [{"norm": 0.1}, {"value": 0.01}, {"norm": 0.2, "value": 0.05}])
def test_clipping_is_what_it_is_by_hand(clip: dict[str, float], tmp_path: Path) -> None:
    start = points.two_layers()
    run = points.runner(tmp_path, start, optimizer={"type": "SGD", "lr": 0.5}, clip_grad=clip)
    run.train()
    model = deepcopy(start)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, fused=True)
    for batch in points.batches(run):
        optimizer.zero_grad()
        F.cross_entropy(model(batch.inputs), batch.targets).backward()
        if "norm" in clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip["norm"])
        if "value" in clip:
            nn.utils.clip_grad_value_(model.parameters(), clip["value"])
        optimizer.step()
    assert runs.same(run.model.state_dict(), model.state_dict())
    unclipped = by_hand("SGD", {"lr": 0.5}, deepcopy(start), points.batches(run))
    assert not runs.same(run.model.state_dict(), unclipped.state_dict())


@pytest.mark.parametrize(("pieces", "size"), [(2, 12), (3, 7), (5, 24)])
def test_pieces_of_a_batch_make_the_step_of_the_whole(pieces: int, size: int, tmp_path: Path) -> None:
    """24 samples in batches of 7 leave a short last one, of 3."""
    start = points.two_layers().double()
    data = {"dataset": {"type": "Points"}, "transforms": [runs.hang("transforms", "Double", Tensor.double)]}
    ends = []
    for folder, count in (("whole", 1), ("pieces", pieces)):
        changes: dict[str, Any] = {"accumulate": count, "train": {**data, "batch_size": size, "mode": "workers"}}
        run = points.runner(tmp_path / folder, start, train_for="6 epochs", **changes)
        run.train()
        ends.append(torch.cat([p.detach().flatten() for p in run.model.parameters()]))
    assert torch.allclose(*ends, rtol=1e-10, atol=1e-12)
