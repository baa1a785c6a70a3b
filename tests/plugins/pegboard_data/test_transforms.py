"""Each batched transform against torchvision's, image by image, bit for bit."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.functional import to_tensor
from torchvision.transforms.v2 import functional as F

from pegboard import DataError, PegboardError
from pegboard.randomness import uniforms
from pegboard_data.transforms import Normalize, RandomCrop, RandomHorizontalFlip, ToFloat

MODES = ["constant", "edge", "reflect", "symmetric"]


def make(count: int, height: int, width: int, seed: int = 0, dtype: torch.dtype = torch.uint8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (count, 3, height, width), generator=generator, dtype=torch.uint8)
    return images if dtype == torch.uint8 else images.to(dtype) / 255


def rows_for(transform: Any, images: Tensor, seed: int = 0) -> Tensor:
    u = torch.from_numpy(uniforms(seed, 0, 0, np.arange(len(images)), transform.uniforms))
    rows: Tensor = transform.params(u, 0, torch.tensor(images.shape[-2:]).expand(len(images), 2))
    return rows


def one_by_one(images: Tensor, function: Any) -> Tensor:
    return torch.stack([function(i, image) for i, image in enumerate(images)])


# -- RandomCrop -----------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    height=st.integers(6, 12), width=st.integers(6, 12), size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    padding=st.integers(0, 5), mode=st.sampled_from(MODES), fill=st.sampled_from([0, 7, 255]), seed=st.integers(0, 99),
    dtype=st.sampled_from([torch.uint8, torch.float32]),
)  # fmt: skip
def test_random_crop_is_torchvisions_pad_and_crop(
    height: int, width: int, size: tuple[int, int], padding: int, mode: Any, fill: int, seed: int, dtype: torch.dtype
) -> None:
    images = make(4, height, width, seed, dtype)
    crop = RandomCrop(size, padding, fill, mode)
    corners = rows_for(crop, images, seed)

    def expected(i: int, image: Tensor) -> Tensor:
        padded = F.pad(image, [padding] * 4, fill=fill, padding_mode=mode) if padding else image
        return F.crop(padded, *corners[i].tolist(), *size)

    cropped = crop.apply(images, corners)
    assert cropped.dtype == dtype
    assert torch.equal(cropped, one_by_one(images, expected))
    assert torch.equal(cropped, crop._apply_on_device(images, corners))


def test_random_crop_reaches_every_place_equally() -> None:
    crop = RandomCrop(8, padding=1)
    corners = rows_for(crop, torch.empty(30_000, 3, 8, 8, dtype=torch.uint8))
    assert corners.dtype == torch.int64
    counts = torch.bincount(corners[:, 0] * 3 + corners[:, 1], minlength=9)
    assert len(counts) == 9
    assert (counts - 30_000 / 9).abs().max() < 5 * (30_000 / 9) ** 0.5


def test_random_crop_of_the_whole_image_is_the_image() -> None:
    images = make(5, 8, 8)
    crop = RandomCrop(8)
    assert torch.equal(crop.apply(images, rows_for(crop, images)), images)


def test_random_crop_leaves_its_input_alone() -> None:
    images = make(5, 8, 8)
    before = images.clone()
    crop = RandomCrop(8, padding=2, fill=9)
    crop.apply(images, rows_for(crop, images)).fill_(1)
    assert torch.equal(images, before)


def test_a_crop_that_is_larger_than_the_image_is_refused() -> None:
    with pytest.raises(DataError, match="an image of 8 x 6 padded by 1 is smaller than the crop, 9 x 9"):
        rows_for(RandomCrop(9, padding=1), make(2, 8, 6))


@pytest.mark.parametrize(("size", "padding"), [(0, 0), (-3, 0), (8, -1), ((4, 0), 0)])
def test_a_crop_without_size_is_refused(size: Any, padding: int) -> None:
    with pytest.raises(PegboardError, match="size must be at least 1 and padding at least 0"):
        RandomCrop(size, padding)


# -- RandomHorizontalFlip -------------------------------------------------------------------------------------------


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


# -- ToFloat and Normalize ------------------------------------------------------------------------------------------


def test_to_float_is_torchvisions() -> None:
    every_value = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    done = ToFloat().apply(every_value, torch.empty(1, 0))
    assert torch.equal(done, to_tensor(every_value[0, 0].numpy())[None])  # what ToTensor always gave
    theirs = F.to_dtype(every_value, torch.float32, scale=True)  # v2 multiplies by 1 / 255: the last bit may differ
    assert torch.allclose(done, theirs, atol=0, rtol=2**-23)
    assert torch.equal(ToFloat().apply(done, torch.empty(1, 0)), done)  # floats stay


def test_to_float_leaves_its_input_alone() -> None:
    images = make(2, 4, 4, dtype=torch.float32)
    before = images.clone()
    Normalize([0.5] * 3, [0.5] * 3).apply(ToFloat().apply(images, torch.empty(2, 0)), torch.empty(2, 0))
    assert torch.equal(images, before)


@settings(max_examples=30, deadline=None)
@given(
    mean=st.lists(st.floats(-1, 2, width=32), min_size=3, max_size=3),
    std=st.lists(st.floats(0.125, 2, width=32), min_size=3, max_size=3),
)
def test_normalize_is_torchvisions(mean: list[float], std: list[float]) -> None:
    images = make(4, 5, 6, dtype=torch.float32)
    done = Normalize(mean, std).apply(images, torch.empty(4, 0))
    assert torch.equal(done, one_by_one(images, lambda i, x: F.normalize(x, mean, std)))


def test_normalize_refuses_uint8_and_another_number_of_channels() -> None:
    with pytest.raises(DataError, match="got uint8 images; put ToFloat before it"):
        Normalize([0.5] * 3, [0.5] * 3).apply(make(1, 4, 4), torch.empty(1, 0))
    with pytest.raises(DataError, match="has 1 channels, the images 3"):
        Normalize([0.5], [0.5]).apply(make(1, 4, 4, dtype=torch.float32), torch.empty(1, 0))


@pytest.mark.parametrize(("mean", "std"), [([0.5], [0.5, 0.5]), ([0.5], [0.0]), ([0.5], [-1.0])])
def test_normalize_refuses_numbers_that_cannot_be(mean: list[float], std: list[float]) -> None:
    with pytest.raises(PegboardError, match="as many mean as std, each std above 0"):
        Normalize(mean, std)


# -- the specimen ---------------------------------------------------------------------------------------------------


def test_the_comparison_catches_a_crop_that_is_off_by_one() -> None:
    images = make(20, 8, 8)
    crop = RandomCrop(6, padding=1)
    corners = rows_for(crop, images)
    expected = one_by_one(images, lambda i, x: F.crop(F.pad(x, [1] * 4), *corners[i].tolist(), 6, 6))
    assert torch.equal(crop.apply(images, corners), expected)
    assert not torch.equal(crop.apply(images, (corners + 1).clamp(max=4)), expected)
