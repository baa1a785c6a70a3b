"""Mix each sample with its neighbour in the batch, labels included.

Dimension letters: B samples, C channels, H height, W width, K classes.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pegboard import DataError, Mask, PegboardError, Transform

GRID = 8192  # points of the table from which a Beta distribution is drawn


class _Mixing(Transform):
    """What MixUp and CutMix share: the share of each label, which is the last column of their parameters."""

    mixes_samples = True

    def __init__(self, *, alpha: float = 1.0, num_classes: int) -> None:
        owner = type(self).__name__
        if not alpha > 0:
            raise PegboardError(f"{owner}: alpha must be above 0, got {alpha!r}")
        if num_classes < 1:
            raise PegboardError(f"{owner}: num_classes must be at least 1, got {num_classes!r}")
        self.num_classes = num_classes
        self.alpha = alpha

    def apply_targets(self, targets: Any, rows: Tensor) -> Tensor:
        """Classes (B,) int64, or shares of classes (B, K), to shares (B, K) float32."""
        if isinstance(targets, Mask):
            raise DataError(f"{type(self).__name__} mixes the labels of images, and these have masks; leave it out")
        shares = targets.float() if targets.ndim == 2 else F.one_hot(targets, self.num_classes).float()
        if shares.ndim != 2 or shares.shape[1] != self.num_classes:
            found = tuple(targets.shape)
            raise DataError(f"{type(self).__name__} takes targets (B,) or (B, {self.num_classes}), not {found}")
        return blend(shares, rows[:, -1:])


class MixUp(_Mixing):
    """Blend each image with the one before it in the batch, and their labels alike.

    Args:
        num_classes: how many classes there are; the dataset's own unless given.
        alpha: the share of the image itself is drawn from Beta(alpha, alpha), for each sample its own.

    Shapes: images (B, C, H, W) float32 -> the same; targets (B,) int64 or (B, K) -> (B, K) float32.
    Raises:
        DataError: the images are still uint8, or the targets of another shape.
    Source: Zhang et al. 2017, arXiv:1710.09412; torchvision.transforms.v2.MixUp, which draws one share a batch.
    """

    uniforms = 1

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """The share of the image itself, (B, 1) float64."""
        return torch.from_numpy(beta_quantiles(u.numpy(), self.alpha))

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        if not images.is_floating_point():
            raise DataError("MixUp got uint8 images; put ToFloat before it")
        return blend(images, rows.view(-1, 1, 1, 1))


class CutMix(_Mixing):
    """Paste a rectangle of the image before it in the batch into each one, and mix their labels by area.

    Args:
        num_classes: how many classes there are; the dataset's own unless given.
        alpha: the share of the image itself is drawn from Beta(alpha, alpha), for each sample its own, before the
            rectangle is clipped at the border.

    Shapes: images (B, C, H, W) uint8 or float32 -> the same; targets (B,) int64 or (B, K) -> (B, K) float32.
    Raises:
        DataError: the targets are of another shape.
    Source: Yun et al. 2019, arXiv:1905.04899; torchvision.transforms.v2.CutMix, which draws one rectangle a batch.
    """

    uniforms = 3  # share, vertical and horizontal place of the middle

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """Top, left, bottom and right of the rectangle, and the share that is left of the image: (B, 5) float64."""
        share = torch.from_numpy(beta_quantiles(u[:, :1].numpy(), self.alpha))
        middle = (u[:, 1:] * sizes).floor()
        half = (0.5 * (1 - share).sqrt() * sizes).floor()
        start = (middle - half).clamp(min=0)
        end = torch.minimum(middle + half, sizes)
        left = 1 - (end - start).prod(1, keepdim=True) / sizes.prod(1, keepdim=True)
        return torch.cat([start, end, left], 1)

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        top, left, bottom, right = rows[:, :4].long().to(images.device).view(-1, 4, 1, 1, 1).unbind(1)
        down = torch.arange(images.shape[2], device=images.device).view(-1, 1)
        across = torch.arange(images.shape[3], device=images.device)
        inside = (down >= top) & (down < bottom) & (across >= left) & (across < right)  # (B, 1, H, W)
        return torch.where(inside, images.roll(1, 0), images)


def blend(values: Tensor, shares: Tensor) -> Tensor:
    """``shares`` (B, 1, ...) float64 of each of the ``values`` (B, ...), the rest of the one before it."""
    own, other = (part.to(values.dtype).to(values.device) for part in (shares, 1 - shares))
    return values.roll(1, 0).mul_(other).add_(values.mul(own))


def beta_quantiles(u: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """The numbers below which a Beta(alpha, alpha) variable lies with probabilities ``u``, to about 1e-6."""
    if alpha == 1:
        return u
    below, t, power = _beta_table(alpha)
    lower = np.interp(np.minimum(u, 1 - u), below, t) ** (1 / power)
    return np.where(u < 0.5, lower, 1 - lower)


@cache
def _beta_table(alpha: float) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """The probability below x = t ** (1 / power), t itself, and the power.

    The distribution is symmetric, so that x from 0 to 1/2 is enough. Where alpha < 1 its density is infinite at x = 0,
    but smooth in t = x ** alpha.
    """
    power = min(alpha, 1.0)
    t = np.linspace(0, 0.5**power, GRID)
    x = t ** (1 / power)
    density = x ** (alpha - power) * (1 - x) ** (alpha - 1)
    area = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return area / area[-1] / 2, t, power
