"""Arguments of losses that a check refuses, and what it names instead."""

import logging
from typing import Any

import pytest
from torch import Tensor, nn

from pegboard import Batch, Config
from pegboard.config import check
from pegboard.registry import BOARDS, LOSSES
from pegboard_losses import rules
from tests import runs


def problems(loss: Any, **changes: Any) -> list[tuple[str, str]]:
    found = check(Config.from_values(runs.values(loss=loss, **changes)))
    return [(problem.path, problem.message) for problem in found]


@pytest.mark.parametrize(
    ("loss", "path", "message"),
    [
        (dict(type="MSELoss", size_average=False), "loss.size_average", "write reduction='sum'"),
        (dict(type="MSELoss", size_average=True), "loss.size_average", "write reduction='mean'"),
        (dict(type="NLLLoss", reduce=True), "loss.reduce", "write reduction='mean'"),
        (dict(type="L1Loss", reduce=False), "loss.reduce", "write reduction='none'"),
        (dict(type="L1Loss", reduction="elementwise_mean"), "loss.reduction", "write 'mean'"),
        (dict(type="L1Loss", reduction="none"), "loss.reduction", "'none' gives a number for each sample"),
        (dict(type="L1Loss", reduction="maen"), "loss.reduction", "did you mean 'mean'?"),
        (dict(type="L1Loss", reduction="batchmean"), "loss.reduction", "L1Loss has no reduction 'batchmean'"),
        (dict(a=dict(type="L1Loss", reduction="none", loss_weight=2)), "loss.a.reduction", "'none' gives a number"),
        (dict(type="CrossEntropyLoss", weight="balance"), "loss.weight", "did you mean 'balanced'?"),
        (dict(type="CrossEntropyLoss", weight=["a", 1.0]), "loss.weight", "must be list[float]"),
        (dict(type="CTCLoss"), "loss", "takes log_probs, targets, input_lengths and target_lengths"),
        (dict(a=dict(type="GaussianNLLLoss")), "loss.a", "give the model a training_step"),
        (dict(type="MultiLabelSoftMarginLoss", weight="balanced"), "loss.weight", "none can be balanced"),
    ],
)
def test_a_trap_is_a_problem_that_names_what_is_right(loss: Any, path: str, message: str) -> None:
    ((found, text),) = problems(loss)
    assert found == path and message in text


@pytest.mark.parametrize("name", [entry.name for entry in LOSSES.list("torch:*")])
def test_every_loss_is_told_of_old_arguments(name: str) -> None:
    arguments = LOSSES.find(f"torch:{name}").signature().parameters
    for argument in {"size_average", "reduce"} & set(arguments):
        assert f"loss.{argument}" in dict(problems(dict(type=name, **{argument: True})))


@pytest.mark.parametrize(
    "loss",
    [
        dict(type="KLDivLoss", reduction="batchmean"),
        dict(type="CrossEntropyLoss", weight="balanced", reduction="sum"),
        dict(type="CrossEntropyLoss", weight=[1, 2.5, 3, 4], label_smoothing=0.1, ignore_index=3),
        dict(type="BCEWithLogitsLoss", pos_weight=[1.0]),
        dict(ce=dict(type="CrossEntropyLoss"), off=None),
    ],
)
def test_what_is_meant_so_is_none(loss: Any) -> None:
    assert problems(loss) == []


def test_a_divergence_that_is_none_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    assert problems(dict(type="KLDivLoss", reduction="batchmean")) == [] and not caplog.records
    rules.warn.cache_clear()
    for _ in range(2):
        assert problems(dict(type="KLDivLoss")) == []
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and "loss: KLDivLoss with reduction='mean'" in record.getMessage()


def test_a_sum_cannot_be_accumulated() -> None:
    ((path, message),) = problems(dict(type="CrossEntropyLoss", reduction="sum"), accumulate=2)
    assert path == "loss.reduction" and "the pieces of a batch are averaged" in message


class OwnStep(nn.Module):
    def training_step(self, batch: Batch, criterion: Any) -> tuple[Tensor, Tensor]:
        return criterion(batch.inputs, batch.inputs).mean(), batch.inputs


def test_a_model_with_a_step_of_its_own_may_take_a_number_for_each_sample() -> None:
    BOARDS["models"].register(OwnStep)
    BOARDS["models"].add_lazy("Lazy", f"{__name__}:OwnStep")
    for name in ("OwnStep", "Lazy"):
        assert problems(dict(type="L1Loss", reduction="none"), model={"type": name}) == []
        assert problems(dict(type="TripletMarginLoss"), model={"type": name}) == []
