"""The implementation of a step is the fastest that is supported and right; what a config says wins."""

import json
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from pegboard import Hook, Runner
from pegboard_optim.kernels import build
from tests import runs
from tests.plugins.pegboard_optim import points


def kernels(folder: Path, optimizer: Any, **changes: Any) -> list[str]:
    net = changes.pop("net", points.two_layers())
    points.runner(folder, net, optimizer=optimizer, train_for="1 epoch", **changes).train()
    found: list[str] = json.loads((folder / "environment.json").read_text(encoding="utf-8"))["optimizer_kernels"]
    return found


@pytest.mark.parametrize(
    ("optimizer", "changes", "expected"),
    [
        ({"type": "SGD", "lr": 0.1}, {}, ["fused"]),
        ({"type": "SGD", "lr": 0.1, "fused": False}, {}, ["torch's default"]),
        ({"type": "RMSprop", "lr": 0.1}, {}, ["torch's default"]),
        ({"type": "SGD", "lr": 0.1, "fused": True, "groups": [{"match": "*.bias", "lr": 0.2}]}, {}, ["fused", "fused"]),
        ({"type": "SGD", "lr": 0.1, "foreach": True}, {}, ["foreach"]),
        (
            [{"type": "SGD", "match": "0.*", "fused": True}, {"type": "AdamW", "foreach": True}],
            {},
            ["fused", "foreach"],
        ),
    ],
)
def test_what_runs_is_recorded(optimizer: Any, changes: dict[str, Any], expected: list[str], tmp_path: Path) -> None:
    assert kernels(tmp_path, optimizer, **changes) == expected


class OnCuda:
    """What the choice asks of a parameter, of one that lies on a GPU."""

    device = torch.device("cuda")

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point


@pytest.mark.parametrize(
    ("name", "options", "group", "dtype", "supply", "expected"),
    [
        ("SGD", {}, {}, torch.float32, {}, True),
        ("AdamW", {}, {}, torch.float64, {}, True),
        ("RMSprop", {}, {}, torch.float32, {}, None),  # has no fused kernel
        ("SGD", {"fused": False}, {}, torch.float32, {}, False),
        ("SGD", {"foreach": True}, {}, torch.float32, {}, None),
        ("SGD", {}, {"fused": False}, torch.float32, {}, None),
        ("Adam", {}, {}, torch.complex64, {}, None),
        ("SGD", {}, {}, torch.float32, {"precision": "fp16"}, None),
        ("SGD", {}, {}, torch.float32, {"model": points.embedded()}, None),
    ],
)
def test_on_cuda_what_can_be_fused_is(
    name: str, options: Any, group: Any, dtype: torch.dtype, supply: Any, expected: bool | None
) -> None:
    """No GPU is needed: the class itself is not built."""
    made: dict[str, Any] = {}

    @wraps(getattr(torch.optim, name))
    def factory(**given: Any) -> SimpleNamespace:
        made.update(given)
        return SimpleNamespace(param_groups=[], register_step_pre_hook=lambda hook: None)

    arguments = {"params": [{"params": [OnCuda(dtype)], **group}], **options}
    build(factory, arguments, {"model": points.two_layers(), **supply})
    assert made.get("fused") is expected


def test_a_weight_with_gaps_in_its_memory_is_not_fused_on_a_cpu() -> None:
    """torch would take it for one without gaps, and train it with the wrong gradients."""
    every_other = nn.Parameter(torch.randn(2, 16)[:, ::2])
    supply = {"model": points.two_layers()}
    assert build(torch.optim.SGD, {"params": [every_other]}, supply).param_groups[0]["fused"] is None
    for wanted in ({"params": [every_other], "fused": True}, {"params": [{"params": [every_other], "fused": True}]}):
        with pytest.raises(ValueError, match=r"fused=True on a CPU spoils a parameter .* torch.Size\(\[2, 8\]\)"):
            build(torch.optim.SGD, wanted, supply)


class Turns(Hook):
    """Gradients as somebody may compute them: the same numbers, in another order in memory."""

    essential = True

    def after_backward(self, run: Runner) -> None:
        for parameter in run.model.parameters():
            if parameter.grad is not None and parameter.dim() == 2:
                parameter.grad = parameter.grad.t().contiguous().t()


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", ["SGD", "Adagrad", "AdamW"])
def test_gradients_of_another_layout_make_the_same_step(name: str, fused: bool, tmp_path: Path) -> None:
    optimizer = {"type": name, "lr": 0.1, "fused": fused}
    ends = []
    for folder, hooks in (("plain", {}), ("turned", {"turns": runs.hang("hooks", "Turns", Turns())})):
        hooks = {"progress": None, **hooks}
        run = points.runner(tmp_path / folder, points.two_layers(), optimizer=optimizer, hooks=hooks)
        run.train()
        ends.append(run.model)
    assert points.close(*ends)


def test_torch_itself_would_take_the_wrong_step() -> None:
    """Where this fails, torch looks at the layout, and ``make_ready`` need not lay them out."""
    ends = []
    for fused in (False, True):
        weight = torch.zeros(3, 4, requires_grad=True)
        weight.grad = torch.arange(12.0).view(4, 3).t()
        torch.optim.SGD([weight], lr=1.0, fused=fused).step()
        ends.append(weight.detach())
    assert not torch.equal(*ends)


@pytest.mark.parametrize("options", [{}, {"dampening": 0.3, "weight_decay": 0.1, "maximize": True}])
def test_momentum_begins_where_a_phase_lets_parameters_loose(options: dict[str, Any], tmp_path: Path) -> None:
    """torch's own fused SGD ends with a TypeError there."""
    ends = []
    for fused in (True, False):
        sgd = {"type": "SGD", "lr": 0.02, "momentum": 0.9, "fused": fused, **options}
        phases = [{"train_for": "3 iters", "freeze": ["0"]}, {"train_for": "5 iters"}]
        run = points.runner(tmp_path / str(fused), points.two_layers(), optimizer=sgd, phases=phases, train_for=None)
        run.train()
        ends.append(run.model)
    assert points.close(*ends)
    assert not torch.equal(ends[0][0].weight, points.two_layers()[0].weight)


@pytest.mark.parametrize("saved", [True, False])
def test_a_resume_goes_on_with_what_the_checkpoint_says(saved: bool, tmp_path: Path) -> None:
    """Of a run that was made where the choice was another."""
    changes: dict[str, Any] = {"train_for": "2 epochs", "checkpoint": {"every": "1 iters", "keep": 99}}
    sgd = {"type": "SGD", "lr": 0.1, "momentum": 0.9}
    points.runner(tmp_path / "first", points.two_layers(), optimizer={**sgd, "fused": saved}, **changes).train()
    state = runs.checkpoint(tmp_path / "first", 1)
    run = points.runner(tmp_path / "part", points.two_layers(), resume=state, optimizer=sgd, **changes)
    run.train()
    assert run.optimizer.param_groups[0]["fused"] is saved
    environment = json.loads((tmp_path / "part" / "environment.json").read_text(encoding="utf-8"))
    assert environment["optimizer_kernels"] == ["fused" if saved else "torch's default"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adagrad", "RMSprop"])
def test_on_cuda_whatever_can_be_fused_is(name: str, tmp_path: Path) -> None:
    expected = "torch's default" if name == "RMSprop" else "fused"
    assert kernels(tmp_path, {"type": name}, device="cuda") == [expected]
