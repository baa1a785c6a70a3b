"""What is done to maps before they are shown.

Dimension letters: B images.
"""

import torch
from torch import Tensor

from pegboard import PegboardError

ROUNDING = 1e-6  # of the largest value: differences below are those of float32


def scaled(maps: Tensor) -> Tensor:
    """Each map from 0, its smallest value, to 1, its largest; a flat one becomes 0 throughout, never NaN or noise.

    Shapes: (B, ...) float -> the same, float32.
    """
    values = maps.float().flatten(1)
    low, high = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
    flat = is_flat(maps)[:, None]
    span = torch.where(flat, torch.ones_like(high), high - low)
    return torch.where(flat, torch.zeros_like(values), (values - low) / span).reshape(maps.shape)


def is_flat(maps: Tensor) -> Tensor:
    """Which maps have one value throughout, but for rounding, and so show nothing, e.g. behind a dead ReLU.

    Shapes: (B, ...) float -> (B,) bool.
    """
    values = maps.float().flatten(1)
    return values.amax(1) - values.amin(1) <= ROUNDING * values.abs().amax(1)


def finite(maps: Tensor, what: str) -> Tensor:
    """The maps as float32, apart from any graph.

    Raises:
        PegboardError: one of their values is nan or infinite.
    """
    maps = maps.detach().float()
    if not bool(torch.isfinite(maps).all()):
        raise PegboardError(f"{what} gives values that are nan or infinite; are the model's weights finite?")
    return maps
