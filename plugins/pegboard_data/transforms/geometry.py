"""Change the size of images: resize, crop, pad.

Dimension letters: B samples, C channels, H height, W width.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pegboard import DataError, Mask, PegboardError, Transform
from pegboard_data.transforms import by_numpy
from pegboard_data.transforms.arguments import choice, colour, interval, refuse, sides
from pegboard_data.transforms.boxes import DRAWS, first_that_fits, tries
from pegboard_data.transforms.resampling import (
    INTERPOLATIONS,
    Interpolation,
    nearest_windows,
    resized,
    resized_windows,
    whole,
)

PaddingMode = Literal["constant", "edge", "reflect", "symmetric"]
PADDING_MODES = ("constant", "edge", "reflect", "symmetric")
Border = tuple[int, int, int, int]  # pixels left, top, right, bottom


class Resize(Transform):
    """Resize every image to one size.

    Args:
        size: (height, width) in pixels, or an integer for the shorter side, the longer one following.
        interpolation: how new pixels are made of old ones.
        max_size: where ``size`` is an integer, the most that the longer side may have; the shorter one follows.
        antialias: smooth what is made smaller; without it pixels are skipped.

    Shapes: images (B, C, H, W) uint8 or float32 -> (B, C, *size), same dtype.
    Source: torchvision.transforms.v2.Resize, the same bits on the same device.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: Interpolation = "bilinear",
        max_size: int | None = None,
        antialias: bool = True,
    ) -> None:
        self.size = sides("Resize", "size", size)
        self.keeps_shape = isinstance(size, int) or len(size) == 1
        self.interpolation = choice("Resize", "interpolation", interpolation, INTERPOLATIONS)
        self.max_size = max_size
        self.antialias = antialias
        if max_size is not None and not (self.keeps_shape and max_size > self.size[0]):
            refuse("Resize", "max_size", max_size, f"above size, which must be one integer, not {size!r}")

    def new_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of what an image becomes."""
        if not self.keeps_shape:
            return self.size
        short, long = self.size[0], int(self.size[0] * max(height, width) / min(height, width))
        if self.max_size is not None and long > self.max_size:
            short, long = int(self.max_size * short / long), self.max_size
        return (long, short) if width <= height else (short, long)

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        return resized(images, self.new_size(height, width), self.interpolation, self.antialias)

    def apply_mask(self, mask: Mask, rows: Tensor) -> Mask:
        height, width = mask.pixels.shape[-2:]
        size = self.new_size(height, width)
        return Mask(nearest_windows(mask.pixels, whole(mask.pixels), size, self.interpolation), mask.ignore)


class CenterCrop(Transform):
    """Cut the window in the middle; an image that is smaller is padded with zeros.

    Args:
        size: side of the window, in pixels, or (height, width).

    Shapes: images (B, C, H, W), any dtype -> (B, C, *size).
    Source: torchvision.transforms.v2.CenterCrop.
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.height, self.width = sides("CenterCrop", "size", size)

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return self.window(images, 0)

    def apply_mask(self, mask: Mask, rows: Tensor) -> Mask:
        return mask.moved(lambda pixels: self.window(pixels, mask.ignore))

    def window(self, images: Tensor, fill: int) -> Tensor:
        """The middle of images (B, C, H, W); what lies outside them is ``fill``."""
        height, width = images.shape[-2:]
        down, right = max(0, self.height - height), max(0, self.width - width)
        images = pad(images, (right // 2, down // 2, right - right // 2, down - down // 2), (fill,), "constant")
        height, width = images.shape[-2:]
        top, left = round((height - self.height) / 2), round((width - self.width) / 2)
        return images[:, :, top : top + self.height, left : left + self.width]


class Pad(Transform):
    """Add pixels around the image.

    Args:
        padding: pixels on every side, or (left and right, top and bottom), or (left, top, right, bottom).
        fill: value of the added pixels where ``padding_mode`` is "constant", or one a channel, in the images' units.
        padding_mode: what the added pixels show, as in ``numpy.pad``.

    Shapes: images (B, C, H, W), any dtype -> (B, C, H + top + bottom, W + left + right).
    Source: torchvision.transforms.v2.Pad.
    """

    def __init__(
        self, padding: int | Sequence[int], fill: float | Sequence[float] = 0, padding_mode: PaddingMode = "constant"
    ) -> None:
        around = [padding] if isinstance(padding, int) else list(padding)
        if len(around) not in (1, 2, 4) or not all(isinstance(side, int) and side >= 0 for side in around):
            refuse("Pad", "padding", padding, "an integer of at least 0, two or four of them")
        left, top, right, bottom = (around * 4)[:4]
        self.border = (left, top, right, bottom)
        self.fill = colour("Pad", "fill", fill)
        self.padding_mode = choice("Pad", "padding_mode", padding_mode, PADDING_MODES)

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        if len(self.fill) not in (1, images.shape[1]):
            raise DataError(f"Pad has {len(self.fill)} fill values, the images {images.shape[1]} channels")
        return pad(images, self.border, self.fill, self.padding_mode)

    def apply_mask(self, mask: Mask, rows: Tensor) -> Mask:
        return mask.moved(lambda pixels: pad(pixels, self.border, (mask.ignore,), self.padding_mode))


class RandomCrop(Transform):
    """Cut a ``size`` x ``size`` window at a random place, after padding ``padding`` pixels on every side.

    Args:
        size: side of the window, in pixels, or (height, width).
        padding: pixels added on every side.
        fill: value of the added pixels where ``padding_mode`` is "constant".
        padding_mode: what the added pixels show, as in ``numpy.pad``.

    Shapes: images (B, C, H, W) uint8 or float32 -> (B, C, size, size), same dtype. Units: pixels.
    Raises:
        DataError: the padded image is smaller than ``size``.
    Source: He et al. 2015, arXiv:1512.03385, section 4.2 (pad 4, crop 32 on CIFAR-10).
    """

    uniforms = 2  # per sample: vertical and horizontal place

    def __init__(
        self, size: int | Sequence[int], padding: int = 0, fill: float = 0, padding_mode: PaddingMode = "constant"
    ) -> None:
        self.height, self.width = (size, size) if isinstance(size, int) else (size[0], size[1])
        if min(self.height, self.width) < 1 or padding < 0:
            raise PegboardError(f"RandomCrop: size must be at least 1 and padding at least 0, got {size} and {padding}")
        self.padding = padding
        self.border = (padding, padding, padding, padding)
        self.fill = fill
        self.padding_mode = choice("RandomCrop", "padding_mode", padding_mode, PADDING_MODES)

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """Top-left corners in the padded image, (B, 2) int64, from ``u`` (B, 2) in [0, 1) and ``sizes`` (B, 2)."""
        room = sizes + 2 * self.padding - torch.tensor([self.height, self.width])  # (B, 2)
        if len(room) and int(room.min()) < 0:
            height, width = (int(side) for side in sizes[0])
            raise DataError(
                f"RandomCrop: an image of {height} x {width} padded by {self.padding} is smaller than the crop, "
                f"{self.height} x {self.width}"
            )
        return (u * (room + 1)).floor().long()

    def apply(self, images: Tensor, corners: Tensor) -> Tensor:
        """Deterministic: the same images and corners give the same windows, one by one or as a batch."""
        return self.windows(images, corners, self.fill)

    def apply_mask(self, mask: Mask, corners: Tensor) -> Mask:
        return mask.moved(lambda pixels: self.windows(pixels, corners, mask.ignore))

    def windows(self, images: Tensor, corners: Tensor, fill: float) -> Tensor:
        """The window of each image; added pixels are ``fill`` where ``padding_mode`` is "constant"."""
        if not by_numpy.takes(images):
            return self._windows_on_device(images, corners.to(images.device), fill)
        padded = pad(images, self.border, (fill,), self.padding_mode)  # (B, C, H + 2p, W + 2p)
        return by_numpy.windows(padded, corners, self.height, self.width)

    def _windows_on_device(self, images: Tensor, corners: Tensor, fill: float) -> Tensor:
        images = pad_on_device(images, self.border, (fill,), self.padding_mode)
        rows = corners[:, :1] + torch.arange(self.height, device=images.device)  # (B, height)
        columns = corners[:, 1:] + torch.arange(self.width, device=images.device)  # (B, width)
        samples = torch.arange(len(images), device=images.device)
        return images[samples[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


class RandomResizedCrop(Transform):
    """Cut a window of random area and aspect ratio, and resize it.

    Ten windows are drawn, as torchvision does, and the first that lies in the image is taken; if there is none, the
    largest one in the middle whose ratio is allowed.

    Args:
        size: side of the new image, in pixels, or (height, width).
        scale: (min, max) of the window's area as a share of the image's.
        ratio: (min, max) of its width divided by its height; drawn uniformly in the logarithm.
        interpolation: how new pixels are made of old ones.
        antialias: smooth what is made smaller; without it pixels are skipped.

    Shapes: images (B, C, H, W) uint8 or float32 -> (B, C, *size), same dtype.
    Source: Szegedy et al. 2014, arXiv:1409.4842, section 6; torchvision.transforms.v2.RandomResizedCrop.
    """

    uniforms = DRAWS

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: Interpolation = "bilinear",
        antialias: bool = True,
    ) -> None:
        self.size = sides("RandomResizedCrop", "size", size)
        self.scale = interval("RandomResizedCrop", "scale", scale, 0, above=True)
        self.ratio = interval("RandomResizedCrop", "ratio", ratio, 0, above=True)
        self.interpolation = choice("RandomResizedCrop", "interpolation", interpolation, INTERPOLATIONS)
        self.antialias = antialias

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """Top, left, height and width of each window, (B, 4) int64, in pixels."""
        drawn = tries(u, sizes, self.scale, self.ratio)
        heights, widths = drawn.short, drawn.long
        fits = (heights > 0) & (heights <= sizes[:, :1]) & (widths > 0) & (widths <= sizes[:, 1:])
        boxes = first_that_fits(drawn, heights, widths, fits, sizes)
        return torch.where(fits.any(1, keepdim=True), boxes, self._in_the_middle(sizes))

    def _in_the_middle(self, sizes: Tensor) -> Tensor:
        height, width = sizes.unbind(1)
        heights = torch.minimum(height, (width / self.ratio[0]).round().long())  # lower than the lowest ratio asks
        widths = torch.minimum(width, (height * self.ratio[1]).round().long())
        return torch.stack([(height - heights) // 2, (width - widths) // 2, heights, widths], 1)

    def apply(self, images: Tensor, boxes: Tensor) -> Tensor:
        return resized_windows(images, boxes, self.size, self.interpolation, self.antialias)

    def apply_mask(self, mask: Mask, boxes: Tensor) -> Mask:
        return Mask(nearest_windows(mask.pixels, boxes, self.size, self.interpolation), mask.ignore)


def pad(images: Tensor, border: Border, fill: tuple[float, ...], mode: str) -> Tensor:
    """Images (B, C, H, W) with ``border`` pixels added: ``fill`` (one value, or one a channel), or as ``mode`` says."""
    if not by_numpy.takes(images):
        return pad_on_device(images, border, fill, mode)
    if not any(border):
        return images
    if mode != "constant":
        left, top, right, bottom = border
        around = ((0, 0), (0, 0), (top, bottom), (left, right))
        return torch.from_numpy(np.pad(images.numpy(), around, mode=mode))  # type: ignore[call-overload]
    return by_numpy.padded(images, border, fill)  # np.pad takes six times as long for a constant


def pad_on_device(images: Tensor, border: Border, fill: tuple[float, ...], mode: str) -> Tensor:
    """The same by tensor operations."""
    left, top, right, bottom = border
    if not any(border):
        return images
    if mode == "constant" and len(fill) == 1:
        return F.pad(images, (left, right, top, bottom), value=fill[0])
    if mode == "constant":
        value = torch.tensor(fill, device=images.device).to(images.dtype).view(-1, 1, 1)
        inside = F.pad(images.new_ones((1, *images.shape[-2:]), dtype=torch.bool), (left, right, top, bottom))
        return torch.where(inside, F.pad(images, (left, right, top, bottom)), value)
    rows, columns = (
        torch.from_numpy(np.pad(np.arange(side), around, mode=mode)).to(images.device)  # type: ignore[call-overload]
        for side, around in zip(images.shape[-2:], ((top, bottom), (left, right)), strict=True)
    )
    return images[:, :, rows][:, :, :, columns]
