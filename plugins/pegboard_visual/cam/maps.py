"""What is done to maps before they are shown.

Dimension letters: B images, h x w a map, H x W an image.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from pegboard import PegboardError


def upsample(maps: Tensor, size: int | Sequence[int]) -> Tensor:
    """Bring maps to the size of an image, bilinearly.

    Args:
        size: (H, W), or one side of a square.

    Shapes: (B, h, w) float -> (B, H, W), same dtype.
    """
    height, width = (size, size) if isinstance(size, int) else size
    return F.interpolate(maps[:, None], (int(height), int(width)), mode="bilinear", align_corners=False)[:, 0]


def scaled(maps: Tensor) -> Tensor:
    """Each map from 0, its smallest value, to 1, its largest; a flat one becomes 0 throughout, never NaN.

    Shapes: (B, ...) float -> the same, float32.
    """
    flat = maps.float().flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    span = torch.where(high > low, high - low, torch.ones_like(high))
    return ((flat - low) / span).reshape(maps.shape)


def is_flat(maps: Tensor) -> Tensor:
    """Which maps have one value throughout and so show nothing, e.g. behind a dead ReLU: (B, ...) -> (B,) bool."""
    return maps.flatten(1).amax(1) == maps.flatten(1).amin(1)


def finite(maps: Tensor, what: str) -> Tensor:
    """The maps as float32, apart from any graph.

    Raises:
        PegboardError: one of their values is nan or infinite.
    """
    maps = maps.detach().float()
    if not bool(torch.isfinite(maps).all()):
        raise PegboardError(f"{what} gives values that are nan or infinite; are the model's weights finite?")
    return maps
