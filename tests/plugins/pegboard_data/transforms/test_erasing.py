"""Erased rectangles against torchvision's, and how they are distributed."""

from typing import Any

import pytest
import torch
from torchvision.transforms.v2 import RandomErasing as Theirs
from torchvision.transforms.v2 import functional as F

from pegboard import DataError
from pegboard_data.transforms import RandomErasing
from tests.images import (
    assert_chi_square,
    assert_same_distribution,
    assert_uniform,
    make,
    one_by_one,
    rows_for,
    rows_of,
)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("size", [(32, 32), (9, 14)])
@pytest.mark.parametrize("value", [0, 1, (0.1, 0.5, 0.9), [3, 2, 1]])
def test_random_erasing_is_torchvisions(dtype: torch.dtype, size: tuple[int, int], value: Any) -> None:
    images = make(40, *size, dtype=dtype)
    erasing = RandomErasing(value=value)
    rows = rows_for(erasing, images)
    fill = torch.tensor(erasing.value)[:, None, None]

    def expected(i: int, image: torch.Tensor) -> torch.Tensor:
        return F.erase(image, *rows[i, :4].tolist(), fill)

    done = erasing.apply(images, rows)
    assert done.dtype == dtype
    assert torch.equal(done, one_by_one(images, expected))
    assert 10 < (done != images).flatten(1).any(1).sum() < 30  # p is 0.5


def test_noise_is_standard_normal_and_a_samples_own() -> None:
    images = torch.zeros(200, 3, 16, 16)
    erasing = RandomErasing(1, (0.3, 0.5), value="random")
    rows = rows_for(erasing, images)
    done = erasing.apply(images, rows)
    noise = done[done != 0]
    assert len(noise) > 30_000
    assert noise.mean().abs() < 0.02 and (noise.std() - 1).abs() < 0.02
    assert torch.equal(erasing.apply(images[7:8], rows[7:8])[0], done[7])
    assert len({round(image[image != 0][0].item(), 6) for image in done}) == 200


def test_noise_needs_floats() -> None:
    with pytest.raises(DataError, match="got uint8 images; put ToFloat before it"):
        RandomErasing(value="random").apply(make(1, 8, 8), torch.zeros(1, 5, dtype=torch.int64))


def test_another_number_of_values_than_channels_is_refused() -> None:
    with pytest.raises(DataError, match="has 2 values, the images 3 channels"):
        RandomErasing(value=[1, 2]).apply(make(1, 8, 8), torch.zeros(1, 5, dtype=torch.int64))


def test_rectangles_are_distributed_as_described() -> None:
    rows = rows_of(RandomErasing(p=0.25), 40_000, 200, 200)
    erased = rows[:, 2] > 0
    assert_chi_square([int(erased.sum()), int((~erased).sum())], [0.25, 0.75])
    top, left, height, width = rows[erased, :4].double().unbind(1)
    assert (height / width).min() > 0.29 and (height / width).max() < 3.4  # sides are whole pixels
    small = (height * width < 0.2 * 200**2) & (height * width > 0.03 * 200**2)  # these fit whatever their ratio
    assert_uniform((height * width / 200**2)[small], 0.03, 0.2)
    assert_uniform((top + 0.5)[small] / (201 - height)[small], 0, 1)
    assert_uniform((left + 0.5)[small] / (201 - width)[small], 0, 1)


def test_rectangles_are_distributed_as_torchvisions() -> None:
    """Where most tries fail, the first that fits decides: shares of erased height, theirs and ours."""
    rows = rows_of(RandomErasing(1, (0.2, 1.0), (0.2, 5.0)), 4000, 20, 12)
    theirs = Theirs(1, (0.2, 1.0), (0.2, 5.0))
    torch.manual_seed(0)
    made = torch.tensor([theirs.make_params([torch.empty(3, 20, 12)])["h"] for _ in range(2000)])
    bins = torch.tensor([4, 6, 8, 10, 12, 14, 16, 18])
    assert_same_distribution(torch.bucketize(rows[:, 2].clone(), bins), torch.bucketize(made % 20, bins))


def test_an_image_that_no_rectangle_fits_stays() -> None:
    images = make(5, 8, 8)
    erasing = RandomErasing(1, (1.0, 1.0), (1.0, 1.0))
    assert torch.equal(erasing.apply(images, rows_for(erasing, images)), images)
