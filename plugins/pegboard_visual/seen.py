"""Images as a network gets them, turned back into pictures.

Dimension letters: B images, C channels, H x W an image.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from pegboard.data.denormalise import denormalised
from pegboard_visual.drawing.picture import Picture, as_picture

NEARLY = 0.01  # how far rounding and interpolation may leave the range from 0 to 1


def as_pictures(inputs: Tensor, transforms: Iterable[Any]) -> list[Picture]:
    """A batch in its own colours, each (H, W, 3) uint8.

    Images that lie outside 0 to 1 even so are brought from their smallest to their largest value, each by itself.
    """
    images = denormalised(inputs, transforms)
    pictures = []
    for image in images:
        if image.shape[0] not in (1, 3) or not -NEARLY <= float(image.min()) <= float(image.max()) <= 1 + NEARLY:
            pictures.append(as_picture(image))
            continue
        levels = (image.clamp(0, 1) * 255).round().byte().expand(3, -1, -1)
        pictures.append(np.ascontiguousarray(levels.permute(1, 2, 0).numpy()))
    return pictures


def transforms_of(loader: Any) -> list[Any]:
    """All transforms of a loader, in their order."""
    return [*loader.alone.transforms, *loader.together.transforms]


def name_of_class(target: int | None, classes: Sequence[Any]) -> str:
    """Its name, or its number where it has none; "?" where there is no class."""
    if target is None:
        return "?"
    return str(classes[target]) if 0 <= target < len(classes) else str(target)
