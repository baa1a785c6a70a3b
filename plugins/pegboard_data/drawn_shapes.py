"""Ten kinds of drawn shape on textured grounds: a small image data set that needs no file and no network.

Dimension letters: B samples of a block, H = W = ``size`` pixels, P points of an outline, G knots of a texture's grid.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from pegboard.errors import DataError, did_you_mean

Split = Literal["train", "val", "test"]
Floats = NDArray[np.float32]
Points = NDArray[np.float64]

BLOCK = 100  # samples drawn together: textures are cheap by the block; a multiple of the number of classes
SUPERSAMPLE = 4  # outlines are filled at this many times the size, then averaged down: smooth edges
AREA = (0.07, 0.14)  # of an object, as a fraction of the image; its box is about twice as large
ROAM = 0.5  # how far an object strays from the middle: 0 not at all, 1 to the edges
TILT = 0.2  # greatest angle either way, in half turns
DARK = 0.6  # the brightest ground, per channel, where white is 1
CONTRAST = 0.15  # an object is brighter than its ground by this at least, in every channel
CLOUDS, STRIPES, GRAIN = 0.22, 0.15, 0.22  # how strong the textures are, in the same unit
KNOTS = 6  # a side of the grid that clouds are interpolated from


def _arc(radius: float, start: float, stop: float, points: int = 32) -> Points:
    """Points on a circle around the origin, (points, 2); start and stop are angles in turns."""
    angle = 2 * np.pi * np.linspace(start, stop, points)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _heart() -> Points:
    """The curve (16 sin^3 t, 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t), upright where y points down, (40, 2)."""
    t = 2 * np.pi * np.arange(40) / 40
    height = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, -height], axis=1)


def _unit_area(outline: ArrayLike) -> Points:
    """The outline (P, 2) scaled to enclose an area of 1, so that size tells nothing about the class."""
    points = np.asarray(outline, dtype=np.float64)
    x, y = points.T
    area = abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2  # the shoelace formula
    scaled: Points = points / np.sqrt(area)
    return scaled


_DRAWINGS: dict[str, ArrayLike] = {
    "arrow": [(-5, -1.2), (0, -1.2), (0, -4), (5, 0), (0, 4), (0, 1.2), (-5, 1.2)],
    "bowtie": [(-4, -3), (0, -0.8), (4, -3), (4, 3), (0, 0.8), (-4, 3)],
    "crescent": np.concatenate([_arc(1, 0.129, 0.871), _arc(0.75, 0.79, 0.21) + np.array([0.5, 0])]),
    "cross": np.stack([[1, 1, -1, -1, -3, -3, -1, -1, 1, 1, 3, 3], [1, 3, 3, 1, 1, -1, -1, -3, -3, -1, -1, 1]], axis=1),
    "disc": _arc(1, 0, 1),
    "heart": _heart(),
    "ring": np.concatenate([_arc(1, 0, 1), _arc(0.55, 1, 0)]),  # out, then back round the hole
    "square": [(1, 1), (-1, 1), (-1, -1), (1, -1)],
    "star": np.stack([_arc(1, 0, 0.8, 5), _arc(0.45, 0.1, 0.9, 5)], axis=1).reshape(10, 2),
    "triangle": _arc(1, 0, 2 / 3, 3),
}
# Each is its own mirror image, so flipping an image never turns one class into another.
OUTLINES: dict[str, Points] = {name: _unit_area(drawing) for name, drawing in _DRAWINGS.items()}


class DrawnShapes:
    """One of ten drawn shapes at a random place, size, angle and colour on a darker, textured ground.

    Sample ``i`` is a function of (seed, split, i) alone: a longer data set begins with the shorter one. The splits
    share no random numbers. Classes take turns, ``i % 10``; nothing but the outline tells them apart: area, place,
    angle and colours have the same distributions for all.

    Args:
        count: how many samples; any number from 1.
        split: which of three unrelated streams.
        size: side of the image in pixels, at least 16; objects scale with it.
        seed: from 0; another seed is another data set with the same statistics.

    Attributes:
        images: (count, 3, size, size) uint8, RGB.
        boxes: (count, 4) int64: left, top, right, bottom of the pixels that the object touches, right and bottom
            exclusive.
        targets: the class of each sample, 0 to 9.
        classes: the names of the classes.
        mean, std: per channel, of the first 20,000 training images at the default size and seed, scaled to 0..1.
        label, stand_in: what a summary calls this data, and whether it stands in for other data.

    Raises:
        DataError: an argument is out of its range.
    """

    mean: tuple[float, float, float] = (0.345, 0.344, 0.346)
    std: tuple[float, float, float] = (0.225, 0.224, 0.224)
    label: str = "drawn shapes"
    stand_in: bool = False

    def __init__(
        self, count: int = 20000, split: Literal["train", "val", "test"] = "train", size: int = 32, seed: int = 0
    ) -> None:
        check_choice("DrawnShapes: split", split, get_args(Split))
        for name, value, least in (("count", count, 1), ("size", size, 16), ("seed", seed, 0)):
            if value < least:
                raise DataError(f"DrawnShapes: {name}={value}; expected at least {least}")
        self.classes: list[str] = list(OUTLINES)
        self.num_classes: int = len(OUTLINES)
        stream = get_args(Split).index(split)
        blocks = [_draw_block(seed, stream, block, size) for block in range(-(-count // BLOCK))]
        self.images: Tensor = torch.from_numpy(np.concatenate([images for images, _ in blocks])[:count])
        self.boxes: NDArray[np.int64] = np.concatenate([boxes for _, boxes in blocks])[:count]
        self.targets: list[int] = [index % self.num_classes for index in range(count)]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Image (3, size, size) uint8 and class."""
        return self.images[index], self.targets[index]


def check_choice(what: str, value: object, choices: Sequence[str]) -> None:
    """Raise a DataError unless ``value`` is one of ``choices``; ``what`` opens the message."""
    if value not in choices:
        expected = ", ".join(map(repr, choices))
        raise DataError(f"{what}={value!r}; expected one of {expected}{did_you_mean(value, choices)}")


def _draw_block(seed: int, stream: int, block: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (B, 3, H, W) and boxes (B, 4) of samples ``block * B`` to ``block * B + B - 1`` of a stream."""
    random = np.random.default_rng([seed, stream, block])
    cover = _draw_objects(random, size)  # (B, H, W), 0 to 1
    ground_colour = DARK * random.random((BLOCK, 3, 1, 1), dtype=np.float32)
    # From CONTRAST above the ground up to white, much the same share of the way in all three channels: some are faint.
    share = random.random((BLOCK, 1, 1, 1), dtype=np.float32)
    tint = (1 + random.random((BLOCK, 3, 1, 1), dtype=np.float32)) / 2
    object_colour = ground_colour + CONTRAST + (1 - CONTRAST - ground_colour) * share * tint
    images = ground_colour + _texture(random, size)
    images += cover[:, None] * (object_colour - images)
    images += GRAIN * (random.random(images.shape, dtype=np.float32) - np.float32(0.5))
    pixels = np.clip(images * 255 + np.float32(0.5), 0, 255).astype(np.uint8)
    return pixels, _boxes(cover > 0)


def _draw_objects(random: np.random.Generator, size: int) -> Floats:
    """How much of each pixel the object covers, (B, H, W) in 0..1; each object lies wholly inside its image."""
    angle = np.pi * random.uniform(-TILT, TILT, BLOCK)
    side = size * np.sqrt(random.uniform(*AREA, BLOCK))  # pixels; the square root of the area
    place = 0.5 + ROAM * random.uniform(-0.5, 0.5, (BLOCK, 2))  # 0 is against the left or top edge, 1 the other
    turn = side * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])  # (2, 2, B)

    fine = SUPERSAMPLE * size
    sheet = Image.new("L", (fine, BLOCK * fine))  # one image above the other: a single reduction for all
    draw = ImageDraw.Draw(sheet)
    outlines = list(OUTLINES.values())
    for sample in range(BLOCK):
        points = outlines[sample % len(outlines)] @ turn[:, :, sample]  # (P, 2) x and y in pixels
        low, high = points.min(axis=0), points.max(axis=0)
        points += place[sample] * (size - (high - low)) - low
        points = points * SUPERSAMPLE - 0.5  # Pillow's whole numbers are centres of pixels
        points[:, 1] += sample * fine
        draw.polygon(points.ravel().tolist(), fill=255)
    cover = np.asarray(sheet.reduce(SUPERSAMPLE), dtype=np.float32).reshape(BLOCK, size, size)
    return cover / np.float32(255)


def _texture(random: np.random.Generator, size: int) -> Floats:
    """Soft clouds of colour and stripes of any direction and width, (B, 3, H, W) around 0."""
    knots = random.random((BLOCK, 3, KNOTS, KNOTS), dtype=np.float32) * 2 - 1
    at = np.linspace(0, KNOTS - 1, size, dtype=np.float32)[:, None]
    weights = np.maximum(0, 1 - np.abs(at - np.arange(KNOTS, dtype=np.float32)))  # (H, G): linear interpolation
    clouds: Floats = weights @ (knots @ weights.T)

    angle, phase, waves = random.random((3, BLOCK, 1, 1), dtype=np.float32)
    across = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    along = np.cos(2 * np.pi * angle) * across + np.sin(2 * np.pi * angle) * across[:, None]  # (B, H, W)
    stripes: Floats = np.sin(2 * np.pi * ((2 + 6 * waves) * along + phase))
    strength = random.random((BLOCK, 3, 1, 1), dtype=np.float32) * 2 - 1
    return CLOUDS * clouds + STRIPES * strength * stripes[:, None]


def _boxes(covered: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Smallest boxes (B, 4) around the true pixels of (B, H, W), each of which has some."""
    size = covered.shape[-1]
    columns: NDArray[np.bool_] = np.any(covered, axis=1)
    rows: NDArray[np.bool_] = np.any(covered, axis=2)
    left, top = columns.argmax(axis=1), rows.argmax(axis=1)
    right, bottom = size - columns[:, ::-1].argmax(axis=1), size - rows[:, ::-1].argmax(axis=1)
    return np.stack([left, top, right, bottom], axis=1)
