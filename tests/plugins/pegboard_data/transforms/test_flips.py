"""Mirrored images against torchvision's, and when an alternating flip mirrors."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as F

from pegboard import PegboardError
from pegboard.data.transform import Pipeline
from pegboard_data.transforms import AlternatingFlip, RandomHorizontalFlip, RandomVerticalFlip
from tests.images import assert_chi_square, make, one_by_one, rows_for, rows_of


@settings(max_examples=30, deadline=None)
@given(
    p=st.floats(0, 1), seed=st.integers(0, 99), dtype=st.sampled_from([torch.uint8, torch.float32]),
    width=st.integers(1, 7),
)  # fmt: skip
def test_random_flip_is_torchvisions(p: float, seed: int, dtype: torch.dtype, width: int) -> None:
    images = make(9, 5, width, seed, dtype)
    flip = RandomHorizontalFlip(p)
    mirrored = rows_for(flip, images, seed)
    done = flip.apply(images, mirrored)
    assert done.dtype == dtype
    assert torch.equal(done, one_by_one(images, lambda i, x: F.horizontal_flip(x) if mirrored[i] else x))


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_random_flip_mirrors_with_its_probability(p: float) -> None:
    share = rows_for(RandomHorizontalFlip(p), torch.empty(20_000, 3, 1, 1)).float().mean().item()
    assert share == pytest.approx(p, abs=5 * (p * (1 - p) / 20_000) ** 0.5)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_probability_that_is_none_is_refused(p: float) -> None:
    with pytest.raises(PegboardError, match="p must be from 0 to 1"):
        RandomHorizontalFlip(p)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("size", [(5, 7), (8, 8), (1, 6)])
def test_random_vertical_flip_is_torchvisions(dtype: torch.dtype, size: tuple[int, int]) -> None:
    images = make(20, *size, dtype=dtype)
    flip = RandomVerticalFlip(0.4)
    mirrored = rows_for(flip, images)
    done = flip.apply(images, mirrored)
    assert 0 < mirrored.sum() < 20 and done.dtype == dtype
    assert torch.equal(done, one_by_one(images, lambda i, x: F.vertical_flip(x) if mirrored[i] else x))


# -- AlternatingFlip ------------------------------------------------------------------------------------------------


def seen(epoch: int, index: Any) -> torch.Tensor:
    """Which of the samples a pipeline mirrors in that epoch, (B,) bool."""
    images = make(1, 3, 5).expand(len(index), 3, 3, 5)
    done, _ = Pipeline([AlternatingFlip()], seed=1)(
        images, torch.zeros(len(index)), index, epoch, np.arange(len(index))
    )
    mirrored = (done == images.flip(3)).flatten(1).all(1)
    assert torch.equal(~mirrored, (done == images).flatten(1).all(1))
    return mirrored


def test_an_alternating_flip_mirrors_every_other_epoch_from_a_random_first_one() -> None:
    index = np.arange(2000)
    first = seen(0, index)
    assert_chi_square([int(first.sum()), int((~first).sum())])
    for epoch in range(1, 6):
        assert torch.equal(seen(epoch, index), first ^ (epoch % 2 == 1))
    assert torch.equal(seen(3, index[::-1].copy()), seen(3, index).flip(0))  # a sample's own, wherever it stands


def test_a_random_flip_repeats_where_the_alternating_one_does_not() -> None:
    flip = RandomHorizontalFlip()
    agree = (rows_of(flip, 2000, epoch=0) == rows_of(flip, 2000, epoch=1)).float().mean().item()
    assert 0.4 < agree < 0.6


def test_an_alternating_flip_is_drawn_as_its_formula_says() -> None:
    u = torch.tensor([[0.0], [0.49], [0.5], [0.99]], dtype=torch.float64)
    for epoch, expected in ((0, [True, True, False, False]), (1, [False, False, True, True])):
        assert AlternatingFlip().params(u, epoch, torch.ones(4, 2))[:, 0].tolist() == expected
