"""Random rectangles: ten tries each, as torchvision's RandomResizedCrop and RandomErasing make them.

Dimension letters: B samples.
"""

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

TRIES = 10  # torchvision draws until a rectangle fits, ten times at most
DRAWS = 4 * TRIES  # uniform numbers a sample: area, aspect ratio, vertical and horizontal place of each try


@dataclass
class Tries:
    """What each sample's tries drew.

    Args:
        long: (B, 10) int64, side that grows with the aspect ratio, in pixels.
        short: (B, 10) int64, side that shrinks with it.
        u: (B, 10, 2), where the rectangle lies in the room that it leaves, vertically and horizontally.
    """

    long: Tensor
    short: Tensor
    u: Tensor


def tries(u: Tensor, sizes: Tensor, scale: tuple[float, float], ratio: tuple[float, float]) -> Tries:
    """Areas uniform in ``scale`` times the image's, aspect ratios uniform in their logarithm.

    Shapes: u (B, 40) float64 in [0, 1), sizes (B, 2) as (H, W).
    """
    area, aspect, *place = u.view(-1, TRIES, 4).unbind(2)
    areas = (scale[0] + (scale[1] - scale[0]) * area) * sizes.prod(1, keepdim=True)
    ratios = torch.exp(log(ratio[0]) + (log(ratio[1]) - log(ratio[0])) * aspect)
    long, short = (areas * ratios).sqrt().round().long(), (areas / ratios).sqrt().round().long()
    return Tries(long, short, torch.stack(place, 2))


def first_that_fits(drawn: Tries, heights: Tensor, widths: Tensor, fits: Tensor, sizes: Tensor) -> Tensor:
    """Top, left, height and width of each sample's first try that ``fits``, or of its first one where none does.

    Shapes: heights, widths (B, 10) int64 and fits (B, 10) bool; -> (B, 4) int64.
    """
    first = fits.int().argmax(1, keepdim=True)  # the first of several
    sides = torch.stack([heights, widths], 2).gather(1, first[..., None].expand(-1, -1, 2))[:, 0]  # (B, 2)
    u = drawn.u.gather(1, first[..., None].expand(-1, -1, 2))[:, 0]
    corners = (u * (sizes - sides + 1)).floor().long()
    return torch.cat([corners, sides], 1)
