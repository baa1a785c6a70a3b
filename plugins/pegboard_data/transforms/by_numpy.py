"""What numpy does several times faster than torch on a CPU: to put images, or parts of them, into their places.

A row of pixels is one element of many bytes here, since numpy copies an element in one go.

Dimension letters: B samples, C channels, H height, W width.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def takes(images: Tensor) -> bool:
    """Whether numpy can work on a tensor where it lies."""
    return images.device.type == "cpu" and images.dtype != torch.bfloat16


def mirrored(images: Tensor, chosen: Tensor, dim: int) -> Tensor:
    """Images (B, C, H, W) of which those that are ``chosen``, (B, 1) bool, are mirrored along ``dim``."""
    done = images.numpy().copy()
    which = np.flatnonzero(chosen.numpy())
    done[which] = torch.from_numpy(done[which]).flip(dim).numpy()  # numpy alone mirrors bytes one by one
    return torch.from_numpy(done)


def padded(images: Tensor, border: tuple[int, int, int, int], fill: Sequence[float]) -> Tensor:
    """Images (B, C, H, W) with (left, top, right, bottom) pixels added: ``fill``, one value or one a channel."""
    left, top, right, bottom = border
    pixels = np.ascontiguousarray(images.numpy())
    count, channels, height, width = pixels.shape
    shape = (count, channels, height + top + bottom, width + left + right)
    done = np.full(shape, np.reshape(fill, (-1, 1, 1)), pixels.dtype) if any(fill) else np.zeros(shape, pixels.dtype)
    rows = _rows(pixels, width)
    done[:, :, top : top + height, left : left + width].view(rows)[...] = pixels.view(rows)
    return torch.from_numpy(done)


def windows(images: Tensor, corners: Tensor, height: int, width: int) -> Tensor:
    """The window of each image (B, C, H, W) whose top left corner is given, (B, 2) int64 -> (B, C, height, width)."""
    pixels = np.ascontiguousarray(images.numpy())
    count, channels, full_height, full_width = pixels.shape
    of_image, of_channel, of_row, of_pixel = pixels.strides
    every = np.ndarray(  # all windows that there are
        (count, full_height - height + 1, full_width - width + 1, channels, height),
        _rows(pixels, width),
        pixels,
        strides=(of_image, of_row, of_pixel, of_channel, of_row),
    )
    top, left = corners.numpy().T
    chosen = every[np.arange(count), top, left]  # (B, C, height) of rows
    return torch.from_numpy(chosen.view(pixels.dtype).reshape(count, channels, height, width))


def _rows(pixels: NDArray[np.generic], width: int) -> np.dtype[np.void]:
    """The type of ``width`` pixels that follow each other."""
    return np.dtype((np.void, width * pixels.itemsize))
