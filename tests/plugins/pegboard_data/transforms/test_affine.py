"""Rotations and affine maps against torchvision's, image by image."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from pegboard import DataError
from pegboard_data.transforms import RandomAffine, RandomRotation
from tests.images import assert_chi_square, assert_near, assert_uniform, make, one_by_one, rows_for, rows_of

CASES = [
    pytest.param(dtype, size, interpolation, id=f"{dtype}-{size}-{interpolation}")
    for dtype in (torch.uint8, torch.float32)
    for size in ((16, 16), (9, 14))
    for interpolation in ("nearest", "bilinear")
]


@pytest.mark.parametrize(("dtype", "size", "interpolation"), CASES)
@pytest.mark.parametrize(("center", "fill"), [(None, 0), ((3.0, 5.5), 0.5), (None, (0.1, 0.2, 0.3))])
def test_random_affine_is_near_torchvisions(dtype: Any, size: Any, interpolation: Any, center: Any, fill: Any) -> None:
    images = make(40, *size, dtype=dtype)
    fill = fill if dtype == torch.float32 else 9 if isinstance(fill, float) else 0 if fill == 0 else (1, 2, 3)
    affine = RandomAffine(50, (0.2, 0.3), (0.7, 1.5), (-10, 20, -15, 5), interpolation, fill, center)
    rows = rows_for(affine, images)

    def expected(i: int, image: Tensor) -> Tensor:
        angle, right, down, scale, *shear = rows[i].tolist()
        return F.affine(
            image, angle, [int(right), int(down)], scale, shear, interpolation, list(fill) if center is None and fill
            else fill, list(center) if center else None,
        )  # fmt: skip

    assert_near(affine.apply(images, rows), one_by_one(images, expected))


@pytest.mark.parametrize(("dtype", "size", "interpolation"), CASES)
@pytest.mark.parametrize("center", [None, (3.0, 5.5)])
def test_random_rotation_is_near_torchvisions(dtype: Any, size: Any, interpolation: Any, center: Any) -> None:
    images = make(40, *size, dtype=dtype)
    rotation = RandomRotation((-170, 200), interpolation, center)
    rows = rows_for(rotation, images)

    def expected(i: int, image: Tensor) -> Tensor:
        return F.rotate(image, rows[i].item(), interpolation, False, list(center) if center else None, 0)

    done = rotation.apply(images, rows)
    assert_near(done, one_by_one(images, expected))
    assert all(not torch.equal(done[i], images[i]) for i in range(40))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("angle", [0.0, 90.0, 180.0, 270.0, -90.0, 360.0])
def test_quarter_turns_are_exact(interpolation: Any, angle: float) -> None:
    images = make(3, 8, 8)
    done = RandomRotation((angle, angle), interpolation).apply(images, torch.full((3, 1), angle, dtype=torch.float64))
    assert torch.equal(done, torch.rot90(images, int(angle // 90), dims=(2, 3)))


def test_amounts_are_distributed_as_described() -> None:
    rows = rows_of(RandomAffine(30, (0.5, 0.25), (0.5, 2), (-10, 20, 30, 40)), 20_000, 40, 20)
    angle, right, down, scale, shear_x, shear_y = rows.unbind(1)
    for values, low, high in ((angle, -30, 30), (scale, 0.5, 2), (shear_x, -10, 20), (shear_y, 30, 40)):
        assert_uniform(values, low, high)
    for values in (right, down):  # whole pixels from -10 to 10, of which the outer two have half a place
        places = torch.bincount((values + 10).long(), minlength=21)
        assert torch.equal(values, values.round())
        assert_chi_square(places.tolist(), [0.025, *[0.05] * 19, 0.025])
    assert_uniform(rows_of(RandomRotation((10, 30)), 20_000), 10, 30)


def test_what_is_not_given_does_not_change() -> None:
    rows = rows_of(RandomAffine(0), 5)
    assert rows.tolist() == [[0, 0, 0, 1, 0, 0]] * 5
    images = make(5, 8, 6)
    assert torch.equal(RandomAffine(0).apply(images, rows), images)


def test_another_number_of_fill_values_than_channels_is_refused() -> None:
    with pytest.raises(DataError, match="2 fill values for images of 3 channels"):
        RandomRotation(3, fill=(1, 2)).apply(make(1, 4, 4), torch.zeros(1, 1, dtype=torch.float64))
