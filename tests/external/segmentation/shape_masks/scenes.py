"""Drawn scenes, each with the class of its every pixel.

Dimension letters: H = W = ``size`` pixels.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pegboard import DataError, Mask

Split = Literal["train", "val", "test"]
FINE = 4  # drawn at so many times the size, then averaged down: smooth edges
GRAIN = 50  # levels of noise, of 256
CONTRAST = 60  # levels by which an object is brighter than the ground, at least


class ShapeMasks:
    """One to three discs, squares and triangles on a textured ground, and a mask that says which pixel is what.

    Sample ``i`` is a function of (seed, split, i) alone. As in Pascal VOC, the pixels along an outline, where object
    and ground are mixed, count for no class: 255.

    Args:
        count: how many samples.
        split: which of three unrelated streams.
        size: side of an image in pixels, at least 16.
        seed: another one is another data set with the same statistics.

    Attributes:
        classes: their names, by number. colours: RGB of each, for pictures.
        ignore_index: what a mask holds where a pixel counts for no class.
        mean, std: per channel, of the first 1,000 training images, scaled to 0..1.

    Raises:
        DataError: an argument is out of its range.
    """

    classes = ("background", "disc", "square", "triangle")
    colours = ((0, 0, 0), (230, 60, 50), (60, 180, 75), (60, 110, 230))
    ignore_index = 255
    mean = (0.423, 0.424, 0.423)
    std = (0.208, 0.208, 0.208)
    label = "drawn scenes"

    def __init__(
        self, count: int = 600, split: Literal["train", "val", "test"] = "train", size: int = 48, seed: int = 0
    ) -> None:
        if split not in get_args(Split):
            raise DataError(f"ShapeMasks: split={split!r}; expected one of {', '.join(map(repr, get_args(Split)))}")
        for name, value, least in (("count", count, 1), ("size", size, 16), ("seed", seed, 0)):
            if value < least:
                raise DataError(f"ShapeMasks: {name}={value}; expected at least {least}")
        self.count, self.size = count, size
        self.stream = (seed, get_args(Split).index(split))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Image.Image, Mask]:
        """An RGB image and its mask, (H, W)."""
        random = np.random.default_rng([*self.stream, index])
        objects = int(random.integers(1, 4))
        mask = Image.new("L", (self.size, self.size))
        pixels = _ground(random, self.size)
        for _ in range(objects):
            kind = int(random.integers(1, len(self.classes)))
            points = _outline(random, kind, self.size)
            cover = Image.new("L", (FINE * self.size, FINE * self.size))
            ImageDraw.Draw(cover).polygon([(FINE * x, FINE * y) for x, y in points], fill=255)
            share = np.asarray(cover.reduce(FINE), np.float32)[..., None] / 255
            pixels += share * (pixels.mean((0, 1)) + random.uniform(CONTRAST, 130, 3) - pixels)
            flat = [(x - 0.5, y - 0.5) for x, y in points]  # Pillow's whole numbers are centres of pixels
            ImageDraw.Draw(mask).polygon(flat, fill=kind, outline=self.ignore_index)
        pixels += random.uniform(-GRAIN / 2, GRAIN / 2, pixels.shape)
        return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), Mask(mask, self.ignore_index)


def _ground(random: np.random.Generator, size: int) -> NDArray[np.float32]:
    """Soft clouds of colour, (H, W, 3)."""
    knots = random.integers(20, 160, (5, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(knots).resize((size, size), Image.Resampling.BICUBIC), np.float32).copy()


def _outline(random: np.random.Generator, kind: int, size: int) -> list[tuple[float, float]]:
    """Corners of an object at a random place, size and angle, in pixels."""
    corners = {1: 40, 2: 4, 3: 3}[kind]
    radius = size * random.uniform(0.14, 0.24) * {1: 1.0, 2: 1.2, 3: 1.4}[kind]
    x, y = random.uniform(0.2 * size, 0.8 * size, 2)
    angles = random.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(corners) / corners
    return [(x + radius * np.cos(angle), y + radius * np.sin(angle)) for angle in angles.tolist()]
