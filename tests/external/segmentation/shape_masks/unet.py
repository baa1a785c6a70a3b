"""A small U-Net.

Dimension letters: B batch, C channels, H height, W width, K classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pegboard import PegboardError


class UNet(nn.Module):
    """Down by halves, up again, and at each size what was seen on the way down beside what comes from below.

    Args:
        num_classes: K; the dataset's own unless given.
        width: channels at full size; twice as many at each smaller one.
        depth: how often the size is halved.

    Shapes: images (B, 3, H, W) float32, any H and W of at least 2 ** depth -> logits (B, K, H, W).
    Source: Ronneberger et al. 2015, arXiv:1505.04597; with batch normalisation, and padded, so that nothing is cut off.
    """

    def __init__(self, num_classes: int, width: int = 12, depth: int = 3) -> None:
        super().__init__()
        if min(num_classes, width, depth) < 1:
            raise PegboardError("UNet: num_classes, width and depth must be at least 1")
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(_block(a, b) for a, b in zip([3, *widths], widths, strict=False))
        self.up = nn.ModuleList(_block(a + b, a) for a, b in zip(widths[-2::-1], widths[:0:-1], strict=True))
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        seen = [self.down[0](images)]
        for block in self.down[1:]:
            seen.append(block(F.max_pool2d(seen[-1], 2)))
        features = seen.pop()
        for block in self.up:
            beside = seen.pop()
            above = F.interpolate(features, beside.shape[-2:], mode="nearest")
            features = block(torch.cat([beside, above], 1))
        logits: Tensor = self.head(features)
        return logits


def _block(inside: int, outside: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inside, outside):
        layers += [nn.Conv2d(channels, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()]
    return nn.Sequential(*layers)
