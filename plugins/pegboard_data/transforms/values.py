"""What the pixels' numbers mean: 0 to 255, 0 to 1, or centred and scaled.

Dimension letters: B samples, C channels, H height, W width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from pegboard import DataError, PegboardError, Transform


class ToFloat(Transform):
    """Turn uint8 images, 0 to 255, into float32, 0 to 1; float images stay as they are.

    Shapes: images (B, C, H, W) uint8 -> the same, float32.
    """

    moves_pixels = False

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return images if images.is_floating_point() else images.float().div_(255)

    def joined(self, following: Transform) -> Transform | None:
        both = type(self) is ToFloat and type(following) is Normalize
        return _ToFloatAndNormalize(following) if both else None  # type: ignore[arg-type]  # `both` says so


class Normalize(Transform):
    """Subtract each channel's mean and divide by its standard deviation.

    Args:
        mean: one number a channel, in the images' units (0 to 1 after ToFloat); the dataset's own unless given.
        std: likewise, above 0.

    Shapes: images (B, C, H, W) float32 -> the same.
    Raises:
        DataError: the images are still uint8, or have another number of channels.
    """

    moves_pixels = False

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        if len(mean) != len(std) or not all(value > 0 for value in std):
            raise PegboardError(f"Normalize: needs as many mean as std, each std above 0; got {mean} and {std}")
        self.mean = torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1)
        self.std = torch.tensor(std, dtype=torch.float32).view(-1, 1, 1)

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        if not images.is_floating_point():
            raise DataError("Normalize got uint8 images; put ToFloat before it")
        self.check(images)
        return images.sub(self.mean.to(images.device)).div_(self.std.to(images.device))

    def check(self, images: Tensor) -> None:
        """Raise a DataError if the images have another number of channels."""
        if images.shape[1] != len(self.mean):
            raise DataError(f"Normalize has {len(self.mean)} channels, the images {images.shape[1]}")


class _ToFloatAndNormalize(Transform):
    """ToFloat, then Normalize, in one tensor: a second one no longer fits into a processor's cache."""

    moves_pixels = False

    def __init__(self, normalize: Normalize) -> None:
        self.normalize = normalize

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        normalize = self.normalize
        if images.is_floating_point():
            return normalize.apply(images, rows)
        normalize.check(images)
        return images.float().div_(255).sub_(normalize.mean.to(images.device)).div_(normalize.std.to(images.device))


def denormalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """What Normalize was given, e.g. to show it: each channel times its standard deviation, plus its mean.

    Args:
        mean: one number a channel, as Normalize had it.
        std: likewise.

    Shapes: images (..., C, H, W) float32 -> the same.
    Raises:
        DataError: the images have another number of channels.
    """
    if not len(mean) == len(std) == images.shape[-3]:
        raise DataError(f"denormalize got {len(mean)} mean and {len(std)} std for {images.shape[-3]} channels")
    centre, spread = (
        torch.tensor(each, dtype=images.dtype, device=images.device).view(-1, 1, 1) for each in (mean, std)
    )
    return images.mul(spread).add_(centre)
