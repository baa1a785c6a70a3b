"""Images for the tests of transforms, the parameters that a loader would draw, and how often each should come."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pegboard import Transform
from pegboard.randomness import uniforms


def make(count: int, height: int, width: int, seed: int = 0, dtype: torch.dtype = torch.uint8) -> Tensor:
    """``count`` images of noise, (B, 3, H, W), from 0 to 255 or from 0 to 1."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (count, 3, height, width), generator=generator, dtype=torch.uint8)
    return images if dtype == torch.uint8 else images.to(dtype) / 255


def rows_for(transform: Transform, images: Tensor, seed: int = 0, epoch: int = 0) -> Tensor:
    """What the transform draws for these images, as samples 0, 1, ..."""
    return rows_of(transform, len(images), *images.shape[-2:], seed=seed, epoch=epoch)


def rows_of(
    transform: Transform, count: int, height: int = 32, width: int = 32, seed: int = 0, epoch: int = 0
) -> Tensor:
    """What the transform draws for ``count`` images of that size."""
    u = torch.from_numpy(uniforms(seed, epoch, 0, np.arange(count), transform.uniforms))
    return transform.params(u, epoch, torch.tensor([height, width]).expand(count, 2))


def one_by_one(images: Tensor, function: Callable[[int, Tensor], Any]) -> Tensor:
    return torch.stack([function(i, image) for i, image in enumerate(images)])


def assert_near(found: Tensor, expected: Tensor) -> None:
    """Within 1 / 255: one level of uint8."""
    assert found.dtype == expected.dtype and found.shape == expected.shape
    bound = 1 if found.dtype == torch.uint8 else 1 / 255
    assert (found.double() - expected.double()).abs().max() <= bound


def assert_chi_square(counts: Sequence[int], shares: Sequence[float] | None = None) -> None:
    """How often each case came is what its share (all alike unless given) lets expect; the draws are fixed."""
    found = np.asarray(counts, dtype=np.float64)
    expected = found.sum() * (np.full(len(found), 1 / len(found)) if shares is None else np.asarray(shares))
    freedom = len(found) - 1
    statistic = ((found - expected) ** 2 / expected).sum()
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5, f"{statistic:.1f} for {freedom} degrees: {found}, {expected}"


def assert_same_distribution(one: Tensor, other: Tensor) -> None:
    """Two samples of integers from 0 on that could come from one distribution."""
    bins = int(max(one.max(), other.max())) + 1
    counts = torch.stack([torch.bincount(values, minlength=bins) for values in (one, other)]).double()
    counts = counts[:, counts.sum(0) > 0]
    expected = counts.sum(1, keepdim=True) * counts.sum(0) / counts.sum()
    freedom = counts.shape[1] - 1
    assert freedom > 1
    statistic = float(((counts - expected) ** 2 / expected).sum())
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5, f"{statistic:.1f} for {freedom} degrees: {counts}"


def assert_uniform(values: Tensor, low: float, high: float, bins: int = 20) -> None:
    """Values spread evenly from ``low`` to ``high``."""
    values = values.flatten()
    assert values.min() >= low and values.max() <= high
    places = (values.double() - low) / (high - low) * bins
    assert_chi_square(torch.bincount(places.long().clamp(max=bins - 1), minlength=bins).tolist())
