"""MixUp and CutMix against torchvision's, with one share a sample, and the Beta distribution that shares come from."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from pegboard import DataError
from pegboard.data.transform import Pipeline
from pegboard.randomness import uniforms
from pegboard.registry import TRANSFORMS
from pegboard_data.transforms import CutMix, MixUp
from pegboard_data.transforms.mixing import beta_quantiles
from tests.images import assert_chi_square, assert_same_distribution, make, rows_for, rows_of

TARGETS = torch.tensor([0, 2, 1, 2, 0, 1, 1, 2, 0, 0])
SOFT = torch.rand(10, 3, generator=torch.Generator().manual_seed(1)).softmax(1)


def mixed(theirs: Any, images: Tensor, targets: Tensor, row: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """What torchvision's transform makes of a batch with these parameters."""
    row = {"labels": targets, "batch_size": len(images), **row}
    return theirs.transform(images, row), theirs.transform(targets, row)


@pytest.mark.parametrize("targets", [TARGETS, SOFT])
@pytest.mark.parametrize("size", [(8, 8), (5, 12)])
@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixup_is_torchvisions(targets: Tensor, size: Any, alpha: float) -> None:
    images = make(10, *size, dtype=torch.float32)
    mix = MixUp(alpha=alpha, num_classes=3)
    rows = rows_for(mix, images)
    done, its_targets = mix.apply(images, rows), mix.apply_targets(targets, rows)
    assert its_targets.dtype == torch.float32 and its_targets.shape == (10, 3)
    for i in range(10):
        image, target = mixed(v2.MixUp(num_classes=3), images, targets, {"lam": rows[i].item()})
        assert torch.equal(done[i], image[i]) and torch.equal(its_targets[i], target[i])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("targets", [TARGETS, SOFT])
@pytest.mark.parametrize("size", [(8, 8), (5, 12)])
def test_cutmix_is_torchvisions(dtype: Any, targets: Tensor, size: Any) -> None:
    images = make(10, *size, dtype=dtype)
    mix = CutMix(num_classes=3)
    rows = rows_for(mix, images)
    done, its_targets = mix.apply(images, rows), mix.apply_targets(targets, rows)
    assert its_targets.dtype == torch.float32 and its_targets.shape == (10, 3) and done.dtype == dtype
    for i in range(10):
        top, left, bottom, right = map(int, rows[i, :4].tolist())
        row = {"box": (left, top, right, bottom), "lam_adjusted": rows[i, 4].item()}
        image, target = mixed(v2.CutMix(num_classes=3), images, targets, row)
        assert torch.equal(done[i], image[i]) and torch.equal(its_targets[i], target[i])
        share = (bottom - top) * (right - left) / (size[0] * size[1])
        assert rows[i, 4].item() == pytest.approx(1 - share)


def test_numbers_are_drawn_by_place_in_the_epoch_and_targets_come_out_of_a_pipeline_as_shares() -> None:
    images, places = make(10, 4, 4, dtype=torch.float32), np.arange(10) + 30
    pipeline = Pipeline([MixUp(num_classes=3), CutMix(num_classes=3)], seed=1)
    done, targets = pipeline(images, TARGETS, np.arange(10), 0, places)
    again, others = pipeline(images, TARGETS, np.arange(10) + 5, 0, places)
    assert torch.equal(done, again) and torch.equal(targets, others)
    assert torch.allclose(targets.sum(1), torch.ones(10))
    assert not torch.equal(done, images)


def test_the_run_supplies_the_number_of_classes() -> None:
    for name in ("MixUp", "CutMix"):
        assert TRANSFORMS.build({"type": name, "alpha": 0.3}, supply={"num_classes": 7}).num_classes == 7


def test_mixing_leaves_its_input_alone() -> None:
    images = make(10, 4, 4, dtype=torch.float32)
    before, soft = images.clone(), SOFT.clone()
    for mix in (MixUp(num_classes=3), CutMix(num_classes=3)):
        rows = rows_for(mix, images)
        mix.apply(images, rows)
        mix.apply_targets(SOFT, rows)
    assert torch.equal(images, before) and torch.equal(SOFT, soft)


@pytest.mark.parametrize("mix", [MixUp(num_classes=4), CutMix(num_classes=4)])
def test_targets_of_another_shape_are_refused(mix: Any) -> None:
    rows = rows_of(mix, 10)
    for targets in (SOFT, F.one_hot(TARGETS)[None]):
        with pytest.raises(DataError, match=r"takes targets \(B,\) or \(B, 4\), not \("):
            mix.apply_targets(targets, rows)


def test_mixup_refuses_uint8() -> None:
    with pytest.raises(DataError, match="MixUp got uint8 images; put ToFloat before it"):
        MixUp(num_classes=2).apply(make(2, 4, 4), torch.ones(2, 1))


# -- the distribution -----------------------------------------------------------------------------------------------


def below(x: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """The probability below ``x``, where there is a formula for it."""
    if alpha == 0.5:
        return np.arcsin(np.sqrt(x)) * 2 / np.pi
    return {1: x, 2: 3 * x**2 - 2 * x**3, 3: 10 * x**3 - 15 * x**4 + 6 * x**5}[alpha]


@pytest.mark.parametrize("alpha", [0.5, 1, 2, 3])
def test_quantiles_are_those_of_the_beta_distribution(alpha: float) -> None:
    u = np.linspace(0, 1, 1001)
    quantiles = beta_quantiles(u, alpha)
    assert (np.diff(quantiles) > 0).all() and quantiles[0] == 0 and quantiles[-1] == 1
    assert np.abs(below(quantiles, alpha) - u).max() < 1e-6


@pytest.mark.parametrize("alpha", [0.5, 1, 2, 3])
def test_shares_are_beta_distributed(alpha: float) -> None:
    shares = rows_of(MixUp(alpha=alpha, num_classes=2), 20_000)[:, 0].numpy()
    edges = np.linspace(0, 1, 21)
    assert_chi_square(np.histogram(shares, edges)[0].tolist(), np.diff(below(edges, alpha)).tolist())


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.4, 8.0, 300.0])
def test_shares_are_distributed_as_numpys(alpha: float) -> None:
    theirs = np.random.default_rng(0).beta(alpha, alpha, 200_000)
    ours = beta_quantiles(uniforms(0, 0, 0, np.arange(20_000), 1)[:, 0], alpha)
    edges = np.unique(np.quantile(theirs, np.linspace(0, 1, 21)[1:-1]))
    edges = edges[edges < 1]
    assert len(edges) > 10
    counts, shares = (np.bincount(np.searchsorted(edges, x), minlength=len(edges) + 1) for x in (ours, theirs))
    assert_chi_square(counts.tolist(), (shares / len(theirs)).tolist())


def test_rectangles_are_distributed_as_described() -> None:
    top, left, bottom, right, _ = rows_of(CutMix(alpha=0.2, num_classes=2), 20_000, 40, 40).unbind(1)
    whole = (top > 0) & (left > 0) & (bottom < 40) & (right < 40)  # not clipped: sides are even numbers of pixels
    assert ((bottom - top)[whole] % 2 == 0).all() and torch.equal((bottom - top)[whole], (right - left)[whole])
    for start, end in ((top, bottom), (left, right)):
        small = (end - start == 2) & (start > 0) & (end < 40)
        assert_chi_square(torch.bincount(((start + end) / 2)[small].long() - 2, minlength=37).tolist())


def test_shares_after_clipping_are_distributed_as_torchvisions() -> None:
    theirs = v2.CutMix(num_classes=2)
    torch.manual_seed(0)
    made = torch.tensor([theirs.make_params([torch.empty(3, 30, 20)])["lam_adjusted"] for _ in range(2000)])
    ours = rows_of(CutMix(num_classes=2), 4000, 30, 20)[:, 4]
    assert_same_distribution((ours * 9.999).long(), (made * 9.999).long())
