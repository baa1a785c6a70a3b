"""Figures of the gradients are those that one computes by hand, and nothing waits for the device."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pegboard import Hook, Runner
from pegboard_hooks.gradient_stats import GradientStats
from tests import probes, runs

NAMES = ("grad/norm", "grad/max", "grad/zeros")


class Relu(nn.Module):
    """Has gradients that are exactly 0, and a weight without any."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(192, 6)
        self.second = nn.Linear(6, 4)
        self.unused = nn.Parameter(torch.ones(3))
        self.first.bias.data[:2] = -100.0  # these two are never above 0

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.second(self.first(images.flatten(1)).relu())
        return logits


@pytest.fixture(autouse=True)
def _relu(boards: None) -> None:
    runs.BOARDS["models"].register(Relu)


class ByHand(Hook):
    """The same figures from one long vector in double precision."""

    def __init__(self) -> None:
        self.figures: dict[int, tuple[float, float, float]] = {}

    def before_optimizer_step(self, run: Runner) -> None:
        flat = torch.cat([w.grad.flatten() for w in run.model.parameters() if w.grad is not None]).double()
        zeros = (flat == 0).double().mean().item()
        self.figures[run.iteration + 1] = (flat.norm().item(), flat.abs().max().item(), zeros)


def logged(folder: Path, **changes: Any) -> tuple[dict[int, tuple[float, ...]], ByHand]:
    """Iteration -> the three figures of each record that has them."""
    by_hand = ByHand()
    hooks = {"by_hand": runs.hang("hooks", "by_hand", by_hand), **changes.pop("hooks", {})}
    runs.train(folder, model={"type": "Relu"}, hooks=hooks, **changes)
    found = {record["iteration"]: record for record in runs.records(folder) if NAMES[0] in record}
    return {iteration: tuple(record[name] for name in NAMES) for iteration, record in found.items()}, by_hand


@pytest.mark.parametrize("clip", [None, {"norm": 0.01}])
@pytest.mark.parametrize(
    ("every", "iterations"), [("1 iter", [1, 2, 3, 4, 5, 6]), ("2 iters", [2, 4, 6]), ("1 epoch", [3, 6])]
)
def test_the_figures_are_those_by_hand(tmp_path: Path, every: str, iterations: list[int], clip: Any) -> None:
    found, by_hand = logged(tmp_path, hooks={"grad": {"type": "GradientStats", "every": every}}, clip_grad=clip)
    assert list(found) == iterations
    for iteration, figures in found.items():
        assert figures == pytest.approx(by_hand.figures[iteration], rel=1e-5)
        assert figures[2] > 0.2
    if clip:
        assert found[iterations[0]][0] == pytest.approx(0.01, rel=1e-3)


def test_fp16_gradients_are_scaled_back(tmp_path: Path) -> None:
    hooks = {"grad": {"type": "GradientStats", "every": "1 iter"}}
    whole, _ = logged(tmp_path / "a", hooks=hooks)
    half, by_hand = logged(tmp_path / "b", hooks=hooks, precision="fp16")
    assert by_hand.figures[1][0] > 1000 * half[1][0]
    assert half[1][:2] == pytest.approx(whole[1][:2], rel=0.02)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_between_records_nothing_is_read_from_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    def refused(*arguments: Any) -> Any:
        raise AssertionError("this waits for the device")

    class Checked(GradientStats):
        essential = True

        def before_optimizer_step(self, run: Runner) -> None:
            with monkeypatch.context() as patch:
                for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "__index__"):
                    patch.setattr(Tensor, name, refused)
                super().before_optimizer_step(run)

    hook = {"type": "Checked", "every": "1 iter"}
    runs.BOARDS["hooks"].register(Checked)
    found, by_hand = logged(tmp_path, hooks={"grad": hook}, log_every="3 iters", precision=precision)
    assert list(found) == [3, 6]  # of those between two records the last stays
    if precision == "fp32":
        assert found[6] == pytest.approx(by_hand.figures[6], rel=1e-5)


def test_an_optimizer_that_computes_gradients_itself_has_none_yet(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = {"grad": {"type": "GradientStats", "every": "1 iter"}}
    found, _ = logged(tmp_path, hooks={**hooks, "by_hand": None}, optimizer={"type": "LBFGS", "max_iter": 2})
    assert found == {}
    assert probes.warned(caplog) == ["GradientStats logs nothing: LBFGS computes gradients itself"]


def test_its_figures_start_no_line_on_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.train(tmp_path, hooks={"grad": {"type": "GradientStats", "every": "1 iter"}})
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")] == [
        "epoch 1/2", "epoch 2/2",
    ]  # fmt: skip


@pytest.mark.parametrize("iteration", [1, 3, 4])
def test_resumed_it_logs_the_same(tmp_path: Path, iteration: int) -> None:
    hooks = {"grad": {"type": "GradientStats", "every": "2 iters"}}
    runs.train(tmp_path / "whole", hooks=hooks)
    runs.train(tmp_path / "part", hooks={**hooks, **probes.stopped(probes.StopsAt(iteration))})
    runs.runner(tmp_path / "part", runs.newest(tmp_path / "part"), hooks=hooks).train()
    assert runs.records(tmp_path / "part") == runs.records(tmp_path / "whole")
