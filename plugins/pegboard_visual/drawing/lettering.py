"""Names of classes in any script that an installed font can show; a line of text, and a figure, as pixels.

Which font has a character is decided here alone, by ``families``, for figures and for pages of tiles alike.
"""

import io
import warnings
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING
from unicodedata import bidirectional

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 110
LEFT_TO_RIGHT = "\u200e"  # a mark without width
UNSHOWN = "[number]: a class whose name no installed font can show"
MORE_FONTS = (  # asked for what matplotlib's own font lacks, in this order, where they are installed
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR",
    "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "PingFang SC",
    "Hiragino Sans", "Apple SD Gothic Neo", "Arial Unicode MS", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic",
    "SimHei", "Noto Sans Devanagari", "Noto Sans Thai", "Noto Sans Bengali", "Noto Sans Tamil", "Unifont",
)  # fmt: skip


@cache
def families() -> list[str]:
    """matplotlib's own font, and those beside it that are installed, for ``fontfamily=``."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in MORE_FONTS if name in installed)]


@cache
def _shown_characters() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.ft2font import FT2Font

    files = {findfont(FontProperties(family=[name])) for name in families()}
    return frozenset(code for file in files for code in FT2Font(file).get_charmap())


def unshown(names: Sequence[str]) -> set[int]:
    """Places of the names that have characters of which no installed font has a shape."""
    shown = _shown_characters()
    return {place for place, name in enumerate(names) if not _line(name) or not shown.issuperset(map(ord, _line(name)))}


def printable(names: Sequence[str], longest: int = 24) -> list[str]:
    """Each name, shortened in its middle, or its number in brackets where it cannot be shown.

    One that is read from right to left keeps to its place: what stands after it in a line stays after it.
    """
    end, hidden = longest // 3, unshown(names)  # its end is often what tells a long name from others

    def cut(line: str) -> str:
        short = line if len(line) <= longest else f"{line[: longest - end - 1]}…{line[-end:]}"
        return f"{LEFT_TO_RIGHT}{short}{LEFT_TO_RIGHT}" if any(bidirectional(c) in ("R", "AL") for c in line) else short

    return [f"[{place}]" if place in hidden else cut(_line(name)) for place, name in enumerate(names)]


@lru_cache(256)
def written(line: str, size: int, colour: str, ascent: int, descent: int) -> NDArray[np.uint8]:
    """A line in any script, as matplotlib writes it: on white, ``ascent`` + ``descent`` pixels high, (H, W, 3) uint8.

    Args:
        size: of its letters, in pixels.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1), dpi=72, facecolor="white")  # a point is a pixel
    canvas = FigureCanvasAgg(figure)
    drawn = figure.text(0, 0, line, fontsize=size, color=colour, fontfamily=families(), parse_math=False)
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # a character that no font has
        width = int(np.ceil(drawn.get_window_extent(canvas.get_renderer()).width)) + 2  # type: ignore[no-untyped-call]
        figure.set_size_inches(width / 72, (ascent + descent) / 72)
        drawn.set_position((0, descent / (ascent + descent)))
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # type: ignore[no-untyped-call]
    return np.array(canvas.buffer_rgba(), dtype=np.uint8)[:, :, :3]  # type: ignore[no-untyped-call]


def _line(name: str) -> str:
    return " ".join(name.split())


def rendered(figure: "Figure") -> NDArray[np.uint8]:
    """The figure's pixels, (H, W, 3) uint8, with whatever stands beside its axes, and little more."""
    target = io.BytesIO()
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # a name in a script without glyphs
        figure.savefig(target, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.15, facecolor="white")
    with Image.open(target) as image:
        return np.asarray(image.convert("RGB"))
