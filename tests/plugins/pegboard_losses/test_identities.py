"""The identities of the textbook hold for the losses that a config builds."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pegboard.registry import LOSSES

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(6, 4, generator=GENERATOR, dtype=torch.float64)
TARGETS = torch.tensor([0, 3, 1, 1, 2, 0])


def built(name: str, **options: Any) -> Any:
    return LOSSES.build({"type": name, **options}, "loss").eval()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_cross_entropy_is_nll_of_log_softmax(reduction: str) -> None:
    of_logits = built("CrossEntropyLoss", reduction=reduction)(LOGITS, TARGETS)
    of_logs = built("NLLLoss", reduction=reduction)(F.log_softmax(LOGITS, 1), TARGETS)
    assert torch.allclose(of_logits, of_logs, rtol=1e-12)


def test_nll_is_the_negative_of_what_stands_at_the_target() -> None:
    loss = built("NLLLoss")(torch.tensor([[-1.233, 2.657, 0.534]]), torch.tensor([2]))
    assert loss.item() == pytest.approx(-0.534)


def test_divergence_is_cross_entropy_minus_entropy() -> None:
    soft = F.softmax(torch.randn(6, 4, generator=GENERATOR, dtype=torch.float64), 1)
    divergence = built("KLDivLoss", reduction="batchmean")(F.log_softmax(LOGITS, 1), soft)
    entropy = -(soft * soft.log()).sum(1).mean()
    assert torch.allclose(divergence, built("CrossEntropyLoss")(LOGITS, soft) - entropy, rtol=1e-12)


def test_smooth_l1_with_beta_1_is_huber_with_delta_1() -> None:
    other = torch.randn(6, 4, generator=GENERATOR, dtype=torch.float64) * 2
    assert torch.equal(built("SmoothL1Loss", beta=1.0)(LOGITS, other), built("HuberLoss", delta=1.0)(LOGITS, other))
    difference = (LOGITS - other).abs()
    by_formula = torch.where(difference < 1, difference.square() / 2, difference - 0.5).mean()
    assert torch.allclose(built("SmoothL1Loss")(LOGITS, other), by_formula, rtol=1e-12)


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("p", [1.0, 2.0])
@pytest.mark.parametrize("margin", [0.5, 2.0])
def test_triplet_is_its_formula(margin: float, p: float, swap: bool) -> None:
    anchor, positive, negative = torch.randn(3, 7, 5, generator=GENERATOR, dtype=torch.float64)

    def distance(one: Tensor, other: Tensor) -> Tensor:
        return ((one - other).abs() + 0.0).pow(p).sum(1).pow(1 / p)

    far = distance(anchor, negative)
    if swap:
        far = torch.minimum(far, distance(positive, negative))
    expected = (distance(anchor, positive) - far + margin).clamp(min=0).mean()
    loss = built("TripletMarginLoss", margin=margin, p=p, swap=swap)(anchor, positive, negative)
    assert torch.allclose(loss, expected, atol=1e-5)  # torch adds 1e-6 to each difference


def test_label_smoothing_and_ignore_index_are_those_of_torch() -> None:
    loss = built("CrossEntropyLoss", label_smoothing=0.1, ignore_index=1, weight=[1.0, 2.0, 3.0, 4.0]).double()
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    expected = F.cross_entropy(LOGITS, TARGETS, weight, ignore_index=1, label_smoothing=0.1)
    assert torch.equal(loss(LOGITS, TARGETS), expected)
