"""Top-k accuracy against torchmetrics."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torchmetrics.functional.classification import multiclass_accuracy

from pegboard import PegboardError
from pegboard_metrics.accuracy import Accuracy


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4), classes=st.integers(2, 7), seed=st.integers(0, 999),
    data=st.data(),
)  # fmt: skip
def test_it_is_torchmetrics(sizes: list[int], classes: int, seed: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, classes))
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(sum(sizes), classes, generator=generator)
    targets = torch.randint(classes, (sum(sizes),), generator=generator)
    metric = Accuracy(k)
    for some, theirs in zip(outputs.split(sizes), targets.split(sizes), strict=True):
        metric.update(some, theirs)
    expected = multiclass_accuracy(outputs, targets, classes, top_k=k, average="micro")
    assert metric.compute() == pytest.approx(expected.item(), abs=1e-6)


def test_a_batch_counts_by_its_samples() -> None:
    metric = Accuracy()
    metric.update(torch.eye(3)[[0, 0, 0]], torch.tensor([0, 0, 1]))
    metric.update(torch.eye(3)[[2]], torch.tensor([2]))
    assert metric.compute() == 0.75


def test_before_the_first_sample_and_after_a_reset_it_is_zero() -> None:
    metric = Accuracy()
    assert metric.compute() == 0.0
    metric.update(torch.eye(2), torch.tensor([0, 1]))
    assert metric.compute() == 1.0
    metric.reset()
    assert metric.compute() == 0.0


def test_k_of_all_classes_is_one() -> None:
    metric = Accuracy(k=4)
    metric.update(torch.randn(9, 4), torch.randint(4, (9,)))
    assert metric.compute() == 1.0


@pytest.mark.parametrize("k", [1, 2])
def test_outputs_with_places(k: int) -> None:
    """(B, K, H, W) logits, as a segmentation has them."""
    generator = torch.Generator().manual_seed(0)
    outputs, targets = torch.randn(2, 5, 3, 4, generator=generator), torch.randint(5, (2, 3, 4), generator=generator)
    metric, flat = Accuracy(k), Accuracy(k)
    metric.update(outputs, targets)
    flat.update(outputs.movedim(1, -1).reshape(-1, 5), targets.reshape(-1))
    assert metric.compute() == flat.compute()


def test_targets_may_be_probabilities() -> None:
    outputs, targets = torch.randn(20, 5), torch.randint(5, (20,))
    metric, soft = Accuracy(), Accuracy()
    metric.update(outputs, targets)
    soft.update(outputs, 0.9 * F.one_hot(targets, 5).float() + 0.02)
    assert metric.compute() == soft.compute()


def test_its_state_comes_back() -> None:
    outputs, targets = torch.randn(20, 5), torch.randint(5, (20,))
    whole, half, rest = Accuracy(2), Accuracy(2), Accuracy(2)
    whole.update(outputs, targets)
    half.update(outputs[:7], targets[:7])
    rest.load_state_dict(half.state_dict())
    rest.update(outputs[7:], targets[7:])
    assert rest.compute() == whole.compute()
    rest.load_state_dict(Accuracy(2).state_dict())
    assert rest.compute() == 0.0


def test_a_k_that_cannot_be_is_refused() -> None:
    with pytest.raises(PegboardError, match="k must be at least 1, got 0"):
        Accuracy(0)
    with pytest.raises(PegboardError, match="k is 5, but there are 3 classes"):
        Accuracy(5).update(torch.randn(2, 3), torch.tensor([0, 1]))


def test_larger_is_better() -> None:
    assert Accuracy.higher_is_better
