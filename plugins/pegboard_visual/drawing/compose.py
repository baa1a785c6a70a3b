"""Pages of many small pictures, put together pixel by pixel: fast enough to be drawn while a network trains.

Dimension letters: N tiles, h x w one of them, H x W a picture.
"""

import math
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pegboard_visual.drawing.lettering import LEFT_TO_RIGHT, written
from pegboard_visual.drawing.picture import GREY, INK, Picture

WHITE = 255
FLAT = 128  # the grey of a kernel that is the same everywhere
BETWEEN = (196, 209, 228)  # between tiles: neither black nor white, which tiles are full of


@cache
def font(size: int) -> Any:
    """DejaVu Sans, where matplotlib is there to lend it; Pillow's own otherwise."""
    found = find_spec("matplotlib")  # not imported: that takes a quarter of a second
    file = Path(found.origin if found and found.origin else "").parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    if not file.is_file():
        return ImageFont.load_default(size)
    return ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.BASIC)  # three times as fast


def text(line: str, size: int = 13, colour: str = INK) -> Picture:
    """A line of text on white."""
    line = "".join(letter if letter.isprintable() or letter == LEFT_TO_RIGHT else " " for letter in line) or " "
    ascent, descent = font(size).getmetrics()
    if not _is_simple(line):
        return written(line, size, colour, ascent, descent)
    picture = Image.new("RGB", (math.ceil(font(size).getlength(line)) + 1, ascent + descent), "white")
    ImageDraw.Draw(picture).text((0, 0), line, font=font(size), fill=colour)
    return np.asarray(picture)


def _is_simple(line: str) -> bool:
    """Is it Latin, Greek or Cyrillic, with signs? Then one font has it all, and no letter changes beside another."""
    return all(code < 0x530 or 0x2010 <= code < 0x2200 for code in map(ord, line))


def length(line: str, size: int = 13) -> float:
    """How wide a line is, in pixels."""
    return float(font(size).getlength(line)) if _is_simple(line) else text(line, size).shape[1]


def wrapped(line: str, width: int, size: int = 13, colour: str = INK) -> Picture:
    """Words in as many lines as a width in pixels needs."""
    lines: list[str] = []
    for word in line.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and length(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return below([text(one, size, colour) for one in lines or [""]], gap=2)


def fitting(line: str, width: int, size: int = 13) -> str:
    """The text, with an ellipsis in place of what a width in pixels does not hold."""
    if length(line, size) <= width:
        return line
    kept = next((n for n in range(len(line) - 1, 0, -1) if length(f"{line[:n]}…", size) <= width), 1)
    return f"{line[:kept]}…"


def blank(height: int, width: int) -> Picture:
    """White paper."""
    return np.full((height, width, 3), WHITE, np.uint8)


def beside(pictures: Sequence[Picture], gap: int = 16, align: Literal["top", "middle"] = "top") -> Picture:
    """Pictures from left to right on white."""
    height = max(picture.shape[0] for picture in pictures)
    whole = blank(height, sum(picture.shape[1] for picture in pictures) + gap * (len(pictures) - 1))
    left = 0
    for picture in pictures:
        top = (height - picture.shape[0]) // 2 if align == "middle" else 0
        whole[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + gap
    return whole


def below(pictures: Sequence[Picture], gap: int = 8) -> Picture:
    """Pictures from top to bottom on white, at the left."""
    width = max(picture.shape[1] for picture in pictures)
    whole = blank(sum(picture.shape[0] for picture in pictures) + gap * (len(pictures) - 1), width)
    top = 0
    for picture in pictures:
        whole[top : top + picture.shape[0], : picture.shape[1]] = picture
        top += picture.shape[0] + gap
    return whole


def framed(picture: Picture, margin: int = 16) -> Picture:
    """White around a whole page."""
    whole = blank(picture.shape[0] + 2 * margin, picture.shape[1] + 2 * margin)
    whole[margin:-margin, margin:-margin] = picture
    return whole


def centred(picture: Picture, width: int) -> Picture:
    """White at both sides, up to a width."""
    left = max(0, width - picture.shape[1]) // 2
    right = max(0, width - picture.shape[1] - left)
    return np.pad(picture, ((0, 0), (left, right), (0, 0)), constant_values=WHITE)


def titled(picture: Picture, title: str, size: int = 13, colour: str = INK) -> Picture:
    """A title over a picture, no wider than it."""
    return below([text(fitting(title, max(picture.shape[1], 40), size), size, colour), picture], gap=3)


def page(parts: Sequence[Picture], heading: str, notes: Sequence[str] = ()) -> Picture:
    """A page: its heading, its notes in grey, its parts from top to bottom."""
    body = below(parts, gap=18)
    width = max(body.shape[1], 420)
    top = [wrapped(heading, width, 16), *(wrapped(note, width, 12, GREY) for note in notes)]
    return framed(below([below(top, gap=4), body], gap=14))


def enlarged(picture: Picture, factor: int) -> Picture:
    """Every pixel as a square of ``factor`` pixels, so that it can be seen."""
    return np.repeat(np.repeat(picture, factor, axis=0), factor, axis=1)


def factor_for(side: int, wanted: int) -> int:
    """How often a side is enlarged to come near to ``wanted`` pixels, at least once."""
    return max(1, round(wanted / side))


def each_scaled(maps: NDArray[Any], flat: int = FLAT) -> NDArray[np.uint8]:
    """Tiles, each from its own smallest value (0) to its largest (255): (N, ...) float -> (N, ...) uint8.

    Args:
        flat: the level of a tile that is the same everywhere. Values that are no numbers count as the smallest.
    """
    values = np.asarray(maps, dtype=np.float64).reshape(len(maps), -1)
    finite = np.isfinite(values)
    low = np.where(finite, values, np.inf).min(1, keepdims=True)
    high = np.where(finite, values, -np.inf).max(1, keepdims=True)
    span = np.where(finite.any(1, keepdims=True), high - low, 0.0)
    is_flat = ~(span > 1e-12 * np.maximum(np.abs(low), np.abs(high)))
    with np.errstate(invalid="ignore"):
        shares = np.where(finite, values - low, 0.0) / np.where(is_flat, 1.0, span)
    levels = np.where(is_flat, flat, np.rint(255 * np.clip(shares, 0, 1)))
    return levels.astype(np.uint8).reshape(maps.shape)


def in_grey(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, h, w) -> (N, h, w, 3)."""
    return np.repeat(levels[..., None], 3, axis=-1)


def grid(tiles: NDArray[np.uint8], columns: int | None = None, gap: int = 1) -> Picture:
    """Tiles (N, h, w, 3) in rows: (H, W, 3). As many columns as make it nearly square unless given."""
    count, height, width, _ = tiles.shape
    across = columns or max(1, math.ceil(math.sqrt(count * height / width)))
    rows = math.ceil(count / across)
    shape = (rows * (height + gap) - gap, across * (width + gap) - gap, 3)
    picture = np.full(shape, BETWEEN, np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // across * (height + gap), place % across * (width + gap)
        picture[top : top + height, left : left + width] = tile
    return picture


def spread(count: int, most: int) -> list[int]:
    """The numbers below ``count``, or ``most`` of them at even distances, the first among them."""
    return list(range(count)) if count <= most else [place * count // most for place in range(most)]
