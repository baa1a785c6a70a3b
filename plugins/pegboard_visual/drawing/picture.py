"""What a picture is here, the colours of its ink, and its file.

Dimension letters: C channels, H x W an image.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pegboard import PegboardError

Picture = NDArray[np.uint8]  # (H, W, 3) RGB

INK, GREY, BLUE, RED = "#222222", "#777777", "#9db7d5", "#d1495b"


def as_picture(pixels: Any) -> Picture:
    """A tensor (C, H, W): uint8 as it is, other numbers from their smallest (black) to their largest value (white).

    Raises:
        PegboardError: it is no image.
    """
    values = pixels.detach().cpu().numpy()
    if values.ndim != 3 or not values.size:
        raise PegboardError(f"a sample of shape {values.shape} is no image (C, H, W)")
    if len(values) != 3:
        values = np.repeat(values.mean(0, keepdims=True) if len(values) != 1 else values, 3, 0)
    if values.dtype != np.uint8:
        low, high = float(values.min()), float(values.max())
        values = np.rint((values.astype(np.float64) - low) * (255 / ((high - low) or 1.0))).astype(np.uint8)
    return np.ascontiguousarray(values.transpose(1, 2, 0))


def save(pixels: Picture, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    Image.fromarray(pixels).save(temporary, format="PNG")
    temporary.replace(path)
