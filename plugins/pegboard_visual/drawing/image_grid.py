"""Rows of small images, each with lines under it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from pegboard_visual.drawing.lettering import DPI, families, rendered
from pegboard_visual.drawing.picture import INK, Picture

WIDE, HIGH, LINE, HEAD = 1.6, 1.35, 0.18, 0.36  # inches: a cell, its image, a line of text, a row's heading


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


def draw_grid(title: str, strips: Sequence[Strip], columns: int) -> Picture:
    """Strips one below the other.

    Args:
        columns: cells in a row; a shorter row stays short.

    Returns:
        pixels, (H, W, 3) uint8.
    """
    from matplotlib.figure import Figure

    lines = max((len(cell.lines) for strip in strips for cell in strip.cells), default=0)
    row_height = HIGH + LINE * lines + 0.12
    rows = [-(-len(strip.cells) // columns) for strip in strips]
    width, height = columns * WIDE + 0.1, 0.5 + sum(HEAD + row_height * count for count in rows)
    figure = Figure(figsize=(width, height), dpi=DPI)
    style: dict[str, Any] = {"fontfamily": families(), "parse_math": False, "color": INK}
    figure.text(0.05 / width, 1 - 0.1 / height, title, fontsize=12.5, va="top", **style)
    top = height - 0.5  # inches from below
    for strip, count in zip(strips, rows, strict=True):
        figure.text(0.05 / width, (top - 0.08) / height, strip.heading, fontsize=10.5, va="top", **style)
        for place, cell in enumerate(strip.cells):
            left = place % columns * WIDE + 0.05
            above = top - HEAD - place // columns * row_height
            axes = figure.add_axes((left / width, (above - HIGH) / height, (WIDE - 0.1) / width, HIGH / height))
            small = max(cell.image.shape) < 100
            axes.imshow(_shrunk(cell.image), interpolation="bicubic" if small else "antialiased")
            axes.axis("off")
            for number, (text, colour) in enumerate(cell.lines):
                down = above - HIGH - LINE * number - 0.03
                where = (left + (WIDE - 0.1) / 2) / width
                figure.text(where, down / height, text, ha="center", va="top", fontsize=8, **style | {"color": colour})
        top -= HEAD + row_height * count
    return rendered(figure)


def _shrunk(image: Picture) -> Picture:
    small = Image.fromarray(image)
    small.thumbnail((320, 320))
    return np.asarray(small)
