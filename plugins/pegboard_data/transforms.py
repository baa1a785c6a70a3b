"""The transforms of a CIFAR-10 recipe, each on whole batches.

Dimension letters: B samples, C channels, H height, W width.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pegboard import DataError, PegboardError, Transform

PaddingMode = Literal["constant", "edge", "reflect", "symmetric"]


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
        self.fill = fill
        self.padding_mode = padding_mode

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
        if images.device.type != "cpu":
            return self._apply_on_device(images, corners.to(images.device))
        padded = self._pad(images.numpy())  # (B, C, H + 2p, W + 2p)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (self.height, self.width), axis=(2, 3))
        top, left = corners.numpy().T
        return torch.from_numpy(windows[np.arange(len(padded)), :, top, left])

    def _pad(self, images: NDArray[Any]) -> NDArray[Any]:
        p = self.padding
        if not p:
            return images
        if self.padding_mode == "constant":  # np.pad takes three times as long
            count, channels, height, width = images.shape
            padded = np.full((count, channels, height + 2 * p, width + 2 * p), self.fill, images.dtype)
            padded[:, :, p:-p, p:-p] = images
            return padded
        return np.pad(images, ((0, 0), (0, 0), (p, p), (p, p)), mode=self.padding_mode)

    def _apply_on_device(self, images: Tensor, corners: Tensor) -> Tensor:
        p = self.padding
        if p and self.padding_mode == "constant":
            images = F.pad(images, (p, p, p, p), value=self.fill)
        elif p:
            rows, columns = (
                torch.from_numpy(np.pad(np.arange(side), p, mode=self.padding_mode)).to(images.device)
                for side in images.shape[-2:]
            )
            images = images[:, :, rows][:, :, :, columns]
        rows = corners[:, :1] + torch.arange(self.height, device=images.device)  # (B, height)
        columns = corners[:, 1:] + torch.arange(self.width, device=images.device)  # (B, width)
        samples = torch.arange(len(images), device=images.device)
        return images[samples[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


class RandomHorizontalFlip(Transform):
    """Mirror left and right with probability ``p``.

    Shapes: images (B, C, H, W), any dtype -> the same.
    Source: Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks", section 4.1.
    """

    uniforms = 1

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise PegboardError(f"RandomHorizontalFlip: p must be from 0 to 1, got {p}")
        self.p = p

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """Which samples are mirrored, (B, 1) bool."""
        return u < self.p

    def apply(self, images: Tensor, mirrored: Tensor) -> Tensor:
        if images.device.type != "cpu":
            return torch.where(mirrored.view(-1, 1, 1, 1).to(images.device), images.flip(3), images)
        chosen, pixels = mirrored.numpy()[:, 0], images.numpy()  # numpy mirrors uint8 three times as fast as torch
        done = pixels.copy()
        done[chosen] = pixels[chosen, :, :, ::-1]
        return torch.from_numpy(done)


class ToFloat(Transform):
    """Turn uint8 images, 0 to 255, into float32, 0 to 1; float images stay as they are.

    Shapes: images (B, C, H, W) uint8 -> the same, float32.
    """

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return images if images.is_floating_point() else images.float().div_(255)


class Normalize(Transform):
    """Subtract each channel's mean and divide by its standard deviation.

    Args:
        mean: one number a channel, in the images' units (0 to 1 after ToFloat); the dataset's own unless given.
        std: likewise, above 0.

    Shapes: images (B, C, H, W) float32 -> the same.
    Raises:
        DataError: the images are still uint8, or have another number of channels.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        if len(mean) != len(std) or not all(value > 0 for value in std):
            raise PegboardError(f"Normalize: needs as many mean as std, each std above 0; got {mean} and {std}")
        self.mean = torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1)
        self.std = torch.tensor(std, dtype=torch.float32).view(-1, 1, 1)

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        if not images.is_floating_point():
            raise DataError("Normalize got uint8 images; put ToFloat before it")
        if images.shape[1] != len(self.mean):
            raise DataError(f"Normalize has {len(self.mean)} channels, the images {images.shape[1]}")
        return images.sub(self.mean.to(images.device)).div_(self.std.to(images.device))
