"""The mean and standard deviation of a set of images, exactly."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
from PIL import Image

from pegboard.errors import DataError

CHANNELS = ("red", "green", "blue")


class Tally:
    """How often each channel has each of its 256 values: all that mean and deviation depend on, in whole numbers.

    Memory does not grow with the images, and neither their order nor their number costs a digit.
    """

    def __init__(self) -> None:
        self.counts = [[0] * 256 for _ in CHANNELS]  # Python integers: no number of pixels is too large
        self.images = 0

    def add(self, image: Image.Image) -> None:
        """Count the pixels of an RGB image."""
        self.images += 1
        values = image.histogram()  # 256 counts of red, then of green, then of blue
        for channel, counts in enumerate(self.counts):
            own = values[256 * channel : 256 * (channel + 1)]
            self.counts[channel] = [before + more for before, more in zip(counts, own, strict=True)]

    def mean(self) -> list[float]:
        """Per channel, R, G, B, where the values are scaled to 0..1."""
        return [float(_mean(counts) / 255) for counts in self.counts]

    def std(self) -> list[float]:
        """Likewise the population's standard deviation: the root of the mean squared distance from the mean."""
        return [math.sqrt(_variance(counts)) / 255 for counts in self.counts]


def as_rgb_image(image: Any, index: int) -> Image.Image:
    """What a dataset gives, a PIL image or a uint8 tensor (C, H, W) of one or three channels, as an RGB image.

    Raises:
        DataError: it is something else.
    """
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[0] not in (1, 3):
        found = f"{type(image).__name__} {pixels.shape} of {pixels.dtype}"
        raise DataError(f"sample {index} is {found}; expected a PIL image or uint8 (3, H, W)")
    pixels = np.ascontiguousarray(np.broadcast_to(pixels, (3, *pixels.shape[1:])).transpose(1, 2, 0))
    return Image.fromarray(pixels)


def _mean(counts: list[int]) -> Fraction:
    return Fraction(sum(value * count for value, count in enumerate(counts)), sum(counts))


def _variance(counts: list[int]) -> Fraction:
    squares = sum(value * value * count for value, count in enumerate(counts))
    return Fraction(squares, sum(counts)) - _mean(counts) ** 2
