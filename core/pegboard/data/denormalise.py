"""What a network gets, brought back to the colours of the images.

Dimension letters: B images, C channels, H x W an image.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


def denormalised(inputs: Tensor, transforms: Iterable[Any]) -> Tensor:
    """What a network gets, (B, C, H, W), with each Normalize among the transforms undone, the last one first.

    Args:
        transforms: those that made the inputs; what has ``mean`` and ``std`` for as many channels is undone, whatever
            library it is from.
    """
    images = inputs.detach().float().cpu()
    for transform in reversed(list(transforms)):
        mean, std = getattr(transform, "mean", None), getattr(transform, "std", None)
        if mean is None or std is None:
            continue
        centre, spread = (torch.as_tensor(each, dtype=torch.float32).reshape(-1, 1, 1).cpu() for each in (mean, std))
        if len(centre) in (1, images.shape[-3]):
            images = images * spread + centre
    return images
