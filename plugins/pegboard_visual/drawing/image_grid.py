"""Rows of images, each with lines under it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from pegboard_visual.drawing.compose import below, beside, blank, centred, fitting, page, text
from pegboard_visual.drawing.picture import Picture

WIDE, HIGH, GAP = 160, 148, 16  # pixels: an image at most, and between two
SMALL = 100  # an image with fewer pixels on each side is enlarged smoothly


@dataclass
class Cell:
    """An image and what stands under it: pairs of (text, colour)."""

    image: Picture
    lines: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Strip:
    """Images under one heading, in as many rows as they need."""

    heading: str
    cells: list[Cell]


def draw_grid(title: str, strips: Sequence[Strip], columns: int, notes: Sequence[str] = ()) -> Picture:
    """Strips one below the other.

    Args:
        columns: cells in a row; a shorter row stays short.
        notes: lines under the title.

    Returns:
        pixels, (H, W, 3) uint8.
    """
    parts = []
    for strip in strips:
        cells = [_drawn(cell) for cell in strip.cells]
        rows = [beside(cells[start : start + columns], GAP) for start in range(0, len(cells), columns)]
        parts.append(below([text(strip.heading, 16), *rows], gap=10))
    least = blank(1, columns * (WIDE + GAP) - GAP)  # a page is as wide as its rows may be, so that headings have room
    return page([*parts, least] if parts else [least], title, notes)


def _drawn(cell: Cell) -> Picture:
    image = Image.fromarray(cell.image)
    share = min(WIDE / image.width, HIGH / image.height)
    way = Image.Resampling.BICUBIC if max(image.size) < SMALL else Image.Resampling.LANCZOS
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    shown = np.asarray(image.resize(size, way))
    above = blank(HIGH - shown.shape[0], 1) if shown.shape[0] < HIGH else None
    lines = [centred(text(fitting(line, WIDE, 12), 12, colour), WIDE) for line, colour in cell.lines]
    framed = below([above, shown], gap=0) if above is not None else shown
    return below([centred(framed, WIDE), *lines], gap=1)
