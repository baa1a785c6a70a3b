"""Images of every dtype and layout in memory, whether numpy can work on them or not."""

import pytest
import torch
from torch import Tensor

from pegboard_data.transforms import Pad, RandomCrop, RandomHorizontalFlip
from pegboard_data.transforms.by_numpy import takes
from tests.images import make, rows_for

DTYPES = [torch.uint8, torch.int16, torch.int64, torch.bool, torch.float16, torch.float32, torch.float64]
STEPS = [RandomHorizontalFlip(), RandomCrop((5, 6), padding=2), RandomCrop(4), Pad(1)]


def planes_last(images: Tensor) -> Tensor:
    return images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def every_other(images: Tensor) -> Tensor:
    return images.repeat_interleave(2, 3)[..., ::2]


def alike(images: Tensor) -> Tensor:
    return images[:1].expand(images.shape)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
@pytest.mark.parametrize("dtype", [*DTYPES, torch.bfloat16])
def test_every_dtype(step: RandomCrop, dtype: torch.dtype) -> None:
    """Whole numbers from 0 to 255 are the same in each, but for bool."""
    images = make(9, 7, 8) // (128 if dtype == torch.bool else 1)
    rows = rows_for(step, images)
    done = step.apply(images.to(dtype), rows)
    assert done.dtype == dtype
    assert torch.equal(done, step.apply(images, rows).to(dtype))


def test_numpy_lacks_bfloat16_alone() -> None:
    assert all(takes(torch.zeros(1, dtype=dtype)) for dtype in DTYPES)
    assert not takes(torch.zeros(1, dtype=torch.bfloat16))
    assert not takes(torch.zeros(1, device="meta"))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
@pytest.mark.parametrize("layout", [planes_last, every_other, alike])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_every_layout(step: RandomCrop, layout: object, dtype: torch.dtype) -> None:
    """Tensors whose pixels do not follow each other in memory, as a dataset may give them; they are left alone."""
    images = layout(make(9, 7, 8, dtype=dtype))  # type: ignore[operator]
    before = images.clone()
    rows = rows_for(step, images)
    expected = step.apply(before, rows)
    assert not images.is_contiguous()
    done = step.apply(images, rows)
    assert torch.equal(done, expected) and torch.equal(images, before)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_no_image_at_all(step: RandomCrop) -> None:
    images = make(0, 7, 8)
    assert len(step.apply(images, rows_for(step, images))) == 0
