"""Rotate, move, scale and shear images about a point.

Dimension letters: B samples, C channels, H height, W width.
"""

from collections.abc import Sequence
from math import cos, radians, sin, tan
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from pegboard import DataError, Mask, Transform
from pegboard_data.transforms.arguments import choice, colour, interval, refuse

Interpolation = Literal["nearest", "bilinear"]


class RandomAffine(Transform):
    """Rotate, move, scale and shear by random amounts; the image keeps its size.

    Args:
        degrees: (min, max) of the angle, clockwise; a number d means (-d, d).
        translate: (horizontal, vertical): the most that the image moves to either side, as a share of its width and
            height; it moves by whole pixels.
        scale: (min, max) of the factor by which it grows.
        shear: (min, max) of the angle along x, in degrees; a number d means (-d, d), four numbers add the one along y.
        interpolation: how new pixels are made of old ones.
        fill: value of the pixels that come from outside, or one a channel, in the images' units.
        center: (x, y) of the point that stays, in pixels from the top left corner; the middle unless given.

    Shapes: images (B, C, H, W) uint8 or float32 -> the same.
    Source: torchvision.transforms.v2.RandomAffine.
    """

    uniforms = 6  # angle, x, y, scale, shear along x and y

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: Interpolation = "nearest",
        fill: float | Sequence[float] = 0,
        center: Sequence[float] | None = None,
    ) -> None:
        owner = type(self).__name__
        self.degrees = angles(owner, "degrees", degrees)
        self.translate = (0.0, 0.0) if translate is None else tuple(translate)
        if len(self.translate) != 2 or not all(0 <= share <= 1 for share in self.translate):
            refuse(owner, "translate", translate, "(horizontal, vertical), each from 0 to 1")
        self.scale = (1.0, 1.0) if scale is None else interval(owner, "scale", scale, 0, above=True)
        self.shear_x = self.shear_y = (0.0, 0.0)
        if isinstance(shear, Sequence) and len(shear) == 4:
            self.shear_x, self.shear_y = angles(owner, "shear", shear[:2]), angles(owner, "shear", shear[2:])
        elif shear is not None:
            self.shear_x = angles(owner, "shear", shear)
        self.interpolation = choice(owner, "interpolation", interpolation, ("nearest", "bilinear"))
        self.fill = colour(owner, "fill", fill)
        if center is not None and len(center) != 2:
            refuse(owner, "center", center, "(x, y)")
        self.center = center

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """Angle in degrees, x and y in whole pixels, scale, shear along x and y in degrees: (B, 6) float64."""
        height, width = sizes.double().unbind(1)
        spans = (self.degrees, (-1.0, 1.0), (-1.0, 1.0), self.scale, self.shear_x, self.shear_y)
        low, high = torch.tensor(spans, dtype=torch.float64).unbind(1)
        rows = low + (high - low) * u
        rows[:, 1] = (rows[:, 1] * width * self.translate[0]).round()
        rows[:, 2] = (rows[:, 2] * height * self.translate[1]).round()
        return rows

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return warp(images, self.matrices(images, rows), self.interpolation, self.fill)

    def apply_mask(self, mask: Mask, rows: Tensor) -> Mask:
        return mask.moved(lambda pixels: warp(pixels, self.matrices(pixels, rows), "nearest", (mask.ignore,)))

    def matrices(self, images: Tensor, rows: Tensor) -> list[list[float]]:
        """From new places to old ones, of each sample."""
        height, width = images.shape[-2:]
        x, y = (0.0, 0.0) if self.center is None else (self.center[0] - 0.5 * width, self.center[1] - 0.5 * height)
        return [backwards(x, y, *row) for row in rows.tolist()]


class RandomRotation(RandomAffine):
    """Rotate by a random angle; the image keeps its size.

    Images of a batch have one size, so that there is no ``expand``; ``torchvision:RandomRotation`` has it.

    Args:
        degrees: (min, max) of the angle, anticlockwise; a number d means (-d, d).
        interpolation: how new pixels are made of old ones.
        center: (x, y) of the point that stays, in pixels from the top left corner; the middle unless given.
        fill: value of the pixels that come from outside, or one a channel, in the images' units.

    Shapes: images (B, C, H, W) uint8 or float32 -> the same.
    Source: torchvision.transforms.v2.RandomRotation.
    """

    uniforms = 1

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: Interpolation = "nearest",
        center: Sequence[float] | None = None,
        fill: float | Sequence[float] = 0,
    ) -> None:
        super().__init__(degrees, interpolation=interpolation, fill=fill, center=center)

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """Angles in degrees, (B, 1) float64."""
        return self.degrees[0] + (self.degrees[1] - self.degrees[0]) * u

    def matrices(self, images: Tensor, rows: Tensor) -> list[list[float]]:
        still = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]], dtype=rows.dtype)
        clockwise = -rows.remainder(360)  # as affine counts; torchvision takes the remainder, too
        return super().matrices(images, torch.cat([clockwise, still.expand(len(rows), 5)], 1))


def angles(owner: str, argument: str, value: float | Sequence[float]) -> tuple[float, float]:
    """(min, max) in degrees from a number d, meaning (-d, d), or from two."""
    if isinstance(value, int | float):
        value = (-value, value)
    return interval(owner, argument, value)


def backwards(
    x: float, y: float, angle: float, right: float, down: float, scale: float, shear_x: float, shear_y: float
) -> list[float]:
    """From a place in the new image to the one in the old that is seen there: two rows of three numbers.

    Places are measured from the middle of the image; (x, y) is the point that stays. Written in plain numbers, and in
    torchvision's order of operations: an interpolation to the nearest pixel hangs on the last bit.
    """
    turn, along_x, along_y = radians(angle), radians(shear_x), radians(shear_y)
    a = cos(turn - along_y) / cos(along_y)
    b = -(a * tan(along_x) + sin(turn))
    c = sin(turn - along_y) / cos(along_y)
    d = cos(turn) - c * tan(along_x)
    matrix = [d / scale, -b / scale, 0.0, -c / scale, a / scale, 0.0]
    matrix[2] += x - matrix[0] * (x + right) - matrix[1] * (y + down)
    matrix[5] += y - matrix[3] * (x + right) - matrix[4] * (y + down)
    return matrix


def warp(images: Tensor, matrices: list[list[float]], interpolation: str, fill: tuple[float, ...]) -> Tensor:
    """Images (B, C, H, W) seen through ``backwards`` matrices, one a sample; pixels from outside are ``fill``."""
    channels, height, width = images.shape[1:]
    if len(fill) not in (1, channels):
        raise DataError(f"{len(fill)} fill values for images of {channels} channels; give one, or one a channel")
    theta = torch.tensor(matrices, device=images.device).view(-1, 2, 3, 1, 1)
    theta = theta / torch.tensor([0.5 * width, 0.5 * height], device=images.device).view(2, 1, 1, 1)
    across = torch.arange(width, device=images.device) - (width - 1) / 2  # (W,)
    down = (torch.arange(height, device=images.device) - (height - 1) / 2).view(-1, 1)  # (H, 1)
    # One multiplication and one addition at a time: a matrix product's bits may depend on the size of the batch.
    grid = theta[:, :, 0] * across + theta[:, :, 1] * down + theta[:, :, 2]  # (B, 2, H, W)
    seen = torch.cat([images.float(), images.new_ones((len(images), 1, height, width), dtype=torch.float32)], 1)
    seen = F.grid_sample(seen, grid.permute(0, 2, 3, 1), mode=interpolation, padding_mode="zeros", align_corners=False)
    done, inside = seen[:, :-1], seen[:, -1:]  # inside: how much of a pixel comes from the image
    value = torch.tensor(fill, device=images.device).view(-1, 1, 1)
    nearest = interpolation == "nearest"
    done = torch.where(inside < 0.5, value, done) if nearest else (done - value) * inside + value
    return done if images.is_floating_point() else done.round_().to(images.dtype)
