"""Erase a rectangle.

Dimension letters: B samples, C channels, H height, W width.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from pegboard import DataError, Transform
from pegboard_data.transforms.arguments import colour, interval, probability, refuse
from pegboard_data.transforms.boxes import DRAWS, first_that_fits, tries


class RandomErasing(Transform):
    """Fill a random rectangle with ``value``, with probability ``p``.

    Ten rectangles are drawn, as torchvision does, and the first that is smaller than the image is erased; if there is
    none, the image stays.

    Args:
        p: how probable it is, from 0 to 1.
        scale: (min, max) of the rectangle's area as a share of the image's.
        ratio: (min, max) of its height divided by its width; drawn uniformly in the logarithm.
        value: what the rectangle is filled with, in the images' units at this place (0 after Normalize is the mean
            colour): a number, one a channel, or "random" for standard normal noise, which needs float images.

    Shapes: images (B, C, H, W) uint8 or float32 -> the same.
    Raises:
        DataError: "random" for uint8 images, or another number of values than the images have channels.
    Source: Zhong et al. 2017, arXiv:1708.04896, algorithm 1.
    """

    moves_pixels = False
    uniforms = 2 + DRAWS  # whether, seed of the noise, rectangles

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | Sequence[float] | Literal["random"] = 0.0,
    ) -> None:
        self.p = probability("RandomErasing", p)
        self.scale = interval("RandomErasing", "scale", scale, 0, 1)
        self.ratio = interval("RandomErasing", "ratio", ratio, 0, above=True)
        self.value: tuple[float, ...] | None = None  # normal noise
        if isinstance(value, str):
            if value != "random":
                refuse("RandomErasing", "value", value, "a number, one number a channel or 'random'")
        else:
            self.value = colour("RandomErasing", "value", value)

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """Top, left, height and width of the rectangle (0 x 0 where nothing is erased) and a seed, (B, 5) int64."""
        drawn = tries(u[:, 2:], sizes, self.scale, self.ratio)
        fits = (drawn.long < sizes[:, :1]) & (drawn.short < sizes[:, 1:])
        boxes = first_that_fits(drawn, drawn.long, drawn.short, fits, sizes)
        boxes[~(fits.any(1) & (u[:, 0] < self.p))] = 0
        return torch.cat([boxes, (u[:, 1:2] * 2**53).long()], 1)

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        channels, height, width = images.shape[1:]
        top, left, tall, wide = rows[:, :4].to(images.device).view(-1, 4, 1, 1, 1).unbind(1)
        down = torch.arange(height, device=images.device).view(-1, 1)
        right = torch.arange(width, device=images.device)
        inside = (down >= top) & (down < top + tall) & (right >= left) & (right < left + wide)  # (B, 1, H, W)
        if self.value is None:
            return torch.where(inside, self._noise(images, rows), images)
        if len(self.value) not in (1, channels):
            raise DataError(f"RandomErasing has {len(self.value)} values, the images {channels} channels")
        value = torch.tensor(self.value, device=images.device).to(images.dtype).view(-1, 1, 1)
        return torch.where(inside, value, images)

    def _noise(self, images: Tensor, rows: Tensor) -> Tensor:
        """One generator a sample, on the CPU: a batched draw would depend on the batch and on the device."""
        if not images.is_floating_point():
            raise DataError("RandomErasing with value='random' got uint8 images; put ToFloat before it")
        noise = torch.zeros(images.shape, dtype=images.dtype)
        generator = torch.Generator()
        for of_sample, (_, _, tall, _, seed) in zip(noise, rows.tolist(), strict=True):
            if tall:
                torch.randn(of_sample.shape, generator=generator.manual_seed(seed), out=of_sample)
        return noise.to(images.device)
