"""Crops, padding and resizing against torchvision's, image by image."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.v2 import RandomResizedCrop as Theirs
from torchvision.transforms.v2 import functional as F

from pegboard import DataError, PegboardError
from pegboard_data.transforms import CenterCrop, Pad, RandomCrop, RandomResizedCrop, Resize
from pegboard_data.transforms.geometry import pad_on_device
from pegboard_data.transforms.resampling import bilinear_windows
from tests.images import assert_near, assert_same_distribution, assert_uniform, make, one_by_one, rows_for, rows_of

MODES = ["constant", "edge", "reflect", "symmetric"]
DTYPES = [torch.uint8, torch.float32]
NOTHING = torch.empty(4, 0)


# -- Resize, CenterCrop, Pad ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("interpolation", ["nearest", "nearest-exact", "bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize(
    ("size", "max_size"), [(8, None), (24, None), (20, 22), ([5], None), ((7, 9), None), ((11, 16), None), (11, None)]
)
def test_resize_is_torchvisions(dtype: Any, interpolation: Any, antialias: bool, size: Any, max_size: Any) -> None:
    resize = Resize(size, interpolation, max_size, antialias)
    for images in (make(4, 16, 11, dtype=dtype), make(4, 11, 16, dtype=dtype)):
        done = resize.apply(images, NOTHING)
        wanted = [size] if isinstance(size, int) else list(size)

        def expected(_: int, image: Tensor, wanted: Any = wanted) -> Tensor:
            return F.resize(image, wanted, interpolation, max_size, antialias)

        assert torch.equal(done, one_by_one(images, expected))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [4, 5, (9, 3), (20, 4), (3, 21), (30, 31)])
def test_center_crop_is_torchvisions(dtype: Any, size: Any) -> None:
    images = make(4, 12, 15, dtype=dtype)
    done = CenterCrop(size).apply(images, NOTHING)
    wanted = [size, size] if isinstance(size, int) else list(size)
    assert torch.equal(done, one_by_one(images, lambda _, image: F.center_crop(image, wanted)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("padding", [0, 2, [3], (1, 2), (0, 1, 2, 3)])
@pytest.mark.parametrize(("mode", "fill"), [*((mode, 0) for mode in MODES), ("constant", 7), ("constant", (1, 2, 3))])
def test_pad_is_torchvisions(dtype: Any, padding: Any, mode: Any, fill: Any) -> None:
    images = make(4, 6, 8, dtype=dtype)
    pad = Pad(padding, fill, mode)
    wanted = padding if isinstance(padding, int) else list(padding)
    theirs = one_by_one(images, lambda _, image: F.pad(image, wanted, fill=fill, padding_mode=mode))
    assert torch.equal(pad.apply(images, NOTHING), theirs)
    assert torch.equal(pad_on_device(images, pad.border, pad.fill, mode), theirs)


def test_another_number_of_fill_values_than_channels_is_refused() -> None:
    with pytest.raises(DataError, match="Pad has 2 fill values, the images 3 channels"):
        Pad(1, fill=[1, 2]).apply(make(1, 4, 4), NOTHING)


# -- RandomResizedCrop ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [8, (5, 30)])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_random_resized_crop_is_torchvisions(dtype: Any, size: Any, interpolation: Any) -> None:
    images = make(30, 16, 22, dtype=dtype)
    crop = RandomResizedCrop(size, interpolation=interpolation)
    boxes = rows_for(crop, images)

    def expected(i: int, image: Tensor) -> Tensor:
        return F.resized_crop(image, *boxes[i].tolist(), list(crop.size), interpolation)

    assert torch.equal(crop.apply(images, boxes), one_by_one(images, expected))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("size", [(4, 4), (32, 32), (5, 30)])
def test_batched_windows_are_near_the_loops(dtype: Any, antialias: bool, size: tuple[int, int]) -> None:
    """What runs on other devices."""
    images = make(60, 24, 33, dtype=dtype)
    boxes = rows_for(RandomResizedCrop(size), images)
    batched = bilinear_windows(images, boxes, size, antialias)
    theirs = one_by_one(
        images, lambda i, image: F.resized_crop(image, *boxes[i].tolist(), list(size), antialias=antialias)
    )
    assert_near(batched, theirs)
    if dtype == torch.float32:
        assert (batched - theirs).abs().max() < 3e-6
    for i in range(60):
        alone = bilinear_windows(images[i : i + 1], boxes[i : i + 1], size, antialias)
        assert torch.equal(alone[0], batched[i])


def test_windows_are_distributed_as_described() -> None:
    top, left, height, width = rows_of(RandomResizedCrop(8, (0.1, 0.5)), 40_000, 400, 400).double().unbind(1)
    assert (height * width / 400**2).min() > 0.098 and (height * width / 400**2).max() < 0.502  # whole pixels
    assert_uniform(((height * width / 400**2).clamp(0.1, 0.5)), 0.1, 0.5)
    assert_uniform((width / height).log().clamp(-0.2877, 0.2877), -0.2877, 0.2877)
    assert_uniform((top + 0.5) / (401 - height), 0, 1)
    assert_uniform((left + 0.5) / (401 - width), 0, 1)


def test_windows_are_distributed_as_torchvisions() -> None:
    """Where many tries fail, the first that fits decides, or the fallback: shares of widths, theirs and ours."""
    ours = rows_of(RandomResizedCrop(8, (0.3, 1.0), (0.5, 1.5)), 4000, 30, 12)
    theirs = Theirs(8, (0.3, 1.0), (0.5, 1.5))
    torch.manual_seed(0)
    made = torch.tensor([theirs.make_params([torch.empty(3, 30, 12)])["width"] for _ in range(2000)])
    assert_same_distribution(ours[:, 3], made)


@pytest.mark.parametrize("size", [(10, 40), (40, 10), (10, 10), (10, 13)])
def test_where_no_window_fits_it_is_the_one_in_the_middle(size: tuple[int, int]) -> None:
    """Ten tries that are all larger than the image."""
    [box] = rows_of(RandomResizedCrop(8, (9, 9)), 1, *size).tolist()
    theirs = Theirs(8, (9, 9)).make_params([torch.empty(3, *size)])
    assert box == [theirs[name] for name in ("top", "left", "height", "width")]


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
    assert torch.equal(cropped, crop._windows_on_device(images, corners, crop.fill))


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


# -- the specimen ---------------------------------------------------------------------------------------------------


def test_the_comparison_catches_a_crop_that_is_off_by_one() -> None:
    images = make(20, 8, 8)
    crop = RandomCrop(6, padding=1)
    corners = rows_for(crop, images)
    expected = one_by_one(images, lambda i, x: F.crop(F.pad(x, [1] * 4), *corners[i].tolist(), 6, 6))
    assert torch.equal(crop.apply(images, corners), expected)
    assert not torch.equal(crop.apply(images, (corners + 1).clamp(max=4)), expected)
