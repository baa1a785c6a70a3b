"""Colours and blur against torchvision's, image by image."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from pegboard import DataError
from pegboard_data.transforms import ColorJitter, GaussianBlur, Grayscale, RandomGrayscale
from pegboard_data.transforms.color import ORDERS
from tests.images import assert_chi_square, assert_near, assert_uniform, make, one_by_one, rows_for, rows_of

DTYPES = [torch.uint8, torch.float32]
THEIRS = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)


def colours(dtype: torch.dtype, count: int, height: int, width: int) -> Tensor:
    """Noise, and some images of few shades: greys, pure colours, black."""
    images = make(count, height, width)
    images[::4] = images[::4] // 128 * 255
    images[1::4] = images[1::4, :1]
    images[2] = 0
    return images if dtype == torch.uint8 else images.float() / 255


def theirs(images: Tensor, rows: Tensor, spans: Any) -> Tensor:
    def expected(i: int, image: Tensor) -> Tensor:
        for change in ORDERS[int(rows[i, 4])].tolist():
            if spans[change] is not None:
                image = THEIRS[change](image, rows[i, change].item())
        return image

    return one_by_one(images, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(16, 16), (7, 9)])
@pytest.mark.parametrize("change", ["brightness", "contrast", "saturation", "hue"])
def test_one_change_is_near_torchvisions(dtype: Any, size: Any, change: str) -> None:
    images = colours(dtype, 80, *size)
    jitter = ColorJitter(**{change: 0.5 if change == "hue" else 0.9})
    rows = rows_for(jitter, images)
    expected = theirs(images, rows, jitter.spans)
    done = jitter.apply(images, rows)
    assert_near(done, expected)
    if dtype == torch.float32:
        assert (done - expected).abs().max() < 1e-5
    elif change == "brightness":
        assert torch.equal(done, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(16, 16), (7, 9)])
def test_all_changes_in_random_order_are_near_torchvisions(dtype: Any, size: Any) -> None:
    images = colours(dtype, 200, *size)
    jitter = ColorJitter(0.4, (0.5, 1.5), 0.4, 0.1)
    rows = rows_for(jitter, images)
    done, expected = jitter.apply(images, rows), theirs(images, rows, jitter.spans)
    assert_near(done, expected)
    assert (done != expected).float().mean() < 0.01 if dtype == torch.uint8 else True


def test_a_grey_image_of_one_channel_keeps_its_colour() -> None:
    images = make(20, 6, 6)[:, :1]
    jitter = ColorJitter(0.4, 0.4, 0.4, 0.1)
    rows = rows_for(jitter, images)
    assert_near(jitter.apply(images, rows), theirs(images, rows, jitter.spans))


def test_amounts_and_orders_are_distributed_as_described() -> None:
    rows = rows_of(ColorJitter(0.4, 1.5, (0.2, 0.8), 0.1), 20_000)
    for column, (low, high) in enumerate([(0.6, 1.4), (0, 2.5), (0.2, 0.8), (-0.1, 0.1)]):
        assert_uniform(rows[:, column], low, high)
    assert_chi_square(torch.bincount(rows[:, 4].long(), minlength=24).tolist())
    assert len({tuple(order) for order in ORDERS.tolist()}) == 24


def test_jitter_without_amounts_changes_nothing() -> None:
    images = make(4, 5, 5)
    jitter = ColorJitter(0, 0.0, None, 0)
    assert torch.equal(jitter.apply(images, rows_for(jitter, images)), images)


# -- grey -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 3])
def test_grayscale_is_near_torchvisions(dtype: Any, channels: int) -> None:
    for images in (colours(dtype, 8, 9, 7), colours(dtype, 8, 9, 7)[:, :1]):
        done = Grayscale(channels).apply(images, torch.empty(8, 0))
        assert_near(done, one_by_one(images, lambda _, image: F.rgb_to_grayscale(image, channels)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_random_grayscale_is_near_torchvisions(dtype: Any) -> None:
    images = make(40, 9, 7, dtype=dtype)
    transform = RandomGrayscale(0.5)
    chosen = rows_for(transform, images)
    assert 10 < chosen.sum() < 30
    expected = one_by_one(images, lambda i, image: F.rgb_to_grayscale(image, 3) if chosen[i] else image)
    assert_near(transform.apply(images, chosen), expected)
    share = rows_of(RandomGrayscale(), 20_000).sum().item()
    assert_chi_square([share, 20_000 - share], [0.1, 0.9])


@pytest.mark.parametrize("transform", [ColorJitter(0.1), Grayscale(), RandomGrayscale()])
def test_images_of_two_channels_are_refused(transform: Any) -> None:
    with pytest.raises(DataError, match="1 or 3 channels"):
        transform.apply(make(2, 4, 4)[:, :2], torch.zeros(2, 5))


# -- GaussianBlur ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(16, 16), (7, 9)])
@pytest.mark.parametrize("kernel_size", [1, 3, (5, 7), [9, 3]])
def test_gaussian_blur_is_near_torchvisions(dtype: Any, size: Any, kernel_size: Any) -> None:
    images = colours(dtype, 30, *size)
    blur = GaussianBlur(kernel_size)
    sigmas = rows_for(blur, images)
    wanted = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
    expected = one_by_one(images, lambda i, image: F.gaussian_blur(image, wanted, sigmas[i].tolist()))
    done = blur.apply(images, sigmas)
    assert_near(done, expected)
    if dtype == torch.float32:
        assert (done - expected).abs().max() < 1e-5


def test_widths_are_distributed_as_described() -> None:
    assert_uniform(rows_of(GaussianBlur(3), 20_000), 0.1, 2.0)
    assert set(rows_of(GaussianBlur(3, 0.7), 10).flatten().tolist()) == {0.7}


def test_a_window_that_is_too_large_is_refused() -> None:
    with pytest.raises(DataError, match="a window of 3 x 9 is too large for an image of 8 x 4"):
        GaussianBlur((9, 3)).apply(make(1, 8, 4), torch.ones(1, 1))
