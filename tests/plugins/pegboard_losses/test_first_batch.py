"""Outputs that a loss does not take end the run at its first batch, with an explanation."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pegboard import PegboardError
from pegboard.registry import LOSSES
from tests import runs
from tests.plugins.pegboard_losses.tasks import HERE
from tests.plugins.pegboard_optim import points


def linear(outputs: int, *after: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, outputs), *after)


ONE_HOT = {"target_transform": f"{HERE}:one_hot"}
SOFT = {"dataset": {"type": "SoftPoints"}}
KL = {"type": "KLDivLoss", "reduction": "batchmean"}


@pytest.mark.parametrize(
    ("model", "loss", "loader", "message"),
    [
        (
            linear(2),
            {"type": "NLLLoss"},
            {},
            "NLLLoss takes log-probabilities.*end the model with LogSoftmax; or leave",
        ),
        (linear(2, nn.Softmax(1)), {"type": "NLLLoss"}, {}, "NLLLoss takes log-probabilities"),
        (linear(2, nn.Softmax(1)), {"type": "CrossEntropyLoss"}, {}, "leave out the model's last Softmax"),
        (linear(2), KL, SOFT, "KLDivLoss takes log-probabilities"),
        (linear(2, nn.Softmax(1)), KL, SOFT, "KLDivLoss takes log-probabilities"),
        (linear(2), {"type": "MSELoss"}, {}, r"outputs of the model are \(12, 2\) and the targets \(12,\); for class"),
        (linear(1), {"type": "L1Loss"}, {}, r"outputs of the model are \(12, 1\) and the targets \(12,\)"),
    ],
)
def test_the_first_batch_tells(model: nn.Module, loss: Any, loader: Any, message: str, tmp_path: Path) -> None:
    train = {"dataset": {"type": "Points"}, "batch_size": 12, **loader}
    run = points.runner(tmp_path, model, loss=loss, train=train)
    with pytest.raises(PegboardError, match=message):
        run.train()
    assert run.iteration == 0


@pytest.mark.parametrize(
    ("model", "loss", "loader"),
    [
        (linear(2, nn.LogSoftmax(1)), {"type": "NLLLoss"}, {}),
        (linear(2), {"type": "CrossEntropyLoss"}, {}),
        (linear(2), {"type": "CrossEntropyLoss"}, SOFT),
        (linear(2, nn.Sigmoid()), {"type": "CrossEntropyLoss"}, {}),
        (linear(2, nn.LogSoftmax(1)), KL, SOFT),
        (linear(2, nn.LogSoftmax(1)), {"type": "MSELoss"}, ONE_HOT),
    ],
)
def test_what_is_right_is_looked_at_once_and_changes_nothing(
    model: nn.Module, loss: Any, loader: Any, tmp_path: Path
) -> None:
    train = {"dataset": {"type": "Points"}, "batch_size": 12, **loader}
    run = points.runner(tmp_path / "a", model, loss=loss, train=train)
    run.train()
    assert not run.step.criterion._forward_pre_hooks
    plain = LOSSES.build(loss, "loss")
    plain._forward_pre_hooks.clear()
    other = points.runner(tmp_path / "b", model, loss=runs.hang("losses", "Plain", plain), train=train)
    other.train()
    assert runs.same(run.model.state_dict(), other.model.state_dict())


def test_a_loss_in_a_weighted_sum_is_looked_at_too(tmp_path: Path) -> None:
    several = {"a": {"type": "CrossEntropyLoss"}, "b": {"type": "NLLLoss", "loss_weight": 0.1}}
    with pytest.raises(PegboardError, match="NLLLoss takes log-probabilities"):
        points.runner(tmp_path, linear(2), loss=several).train()


def test_evaluation_is_not_looked_at() -> None:
    loss = LOSSES.build({"type": "NLLLoss"}, "loss").eval()
    loss(torch.randn(3, 2), torch.tensor([0, 1, 1]))
    assert loss._forward_pre_hooks
    with pytest.raises(PegboardError):
        loss.train()(torch.randn(3, 2), torch.tensor([0, 1, 1]))


def test_half_precision_and_other_dimensions_are_no_reason(tmp_path: Path) -> None:
    logits = torch.randn(64, 1000) * 3
    LOSSES.build({"type": "NLLLoss"}, "loss")(F.log_softmax(logits, 1).bfloat16(), torch.arange(64))
    LOSSES.build({"type": "NLLLoss"}, "loss")(F.log_softmax(torch.randn(2, 5, 4, 4), 1), torch.ones(2, 4, 4).long())
    LOSSES.build({"type": "NLLLoss"}, "loss")(F.log_softmax(torch.randn(5), 0), torch.tensor(3))
    hidden = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]])
    LOSSES.build({"type": "NLLLoss"}, "loss")(hidden, torch.tensor([0, 1]))
    sequence = F.log_softmax(torch.randn(2, 7, 5), -1)
    LOSSES.build(KL, "loss")(sequence, sequence.exp())


def test_logarithms_as_targets_are_named() -> None:
    logs = F.log_softmax(torch.randn(4, 3), 1)
    with pytest.raises(PegboardError, match="write log_target=True"):
        LOSSES.build(KL, "loss")(logs, logs)
    LOSSES.build({**KL, "log_target": True}, "loss")(logs, logs)


def test_a_compiled_step_is_looked_at_before_it_is_compiled(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"compile": {"backend": "aot_eager"}, "train_for": "2 iters"}
    for net, loss, message in (
        (linear(2), {"type": "NLLLoss"}, "NLLLoss takes log-probabilities"),
        (linear(2, nn.Softmax(1)), {"a": {"type": "CrossEntropyLoss"}}, "leave out the model's last Softmax"),
    ):
        with pytest.raises(PegboardError, match=message):
            points.runner(tmp_path, net, loss=loss, **changes).train()
        assert not list(tmp_path.iterdir())
    run = points.runner(tmp_path, linear(2), **changes)
    run.train()
    assert run.step._compiled_call_impl is not None
