"""A page of histograms: each parameter's weights and gradients now, and how they came there.

It is drawn at twice its size and halved, which smooths its lines: many times faster than a plot of as many axes.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from pegboard_visual.drawing.compose import fitting, font, page
from pegboard_visual.drawing.picture import BLUE, GREY, INK, RED, Picture
from pegboard_visual.drawn import Drawn, moment

ROWS = 12  # parameters on a page; all are in the data beside it
NAME, PANEL, HEIGHT, GAP, HEAD = 170, 168, 56, 26, 24  # pixels
LIGHT, MIDDLE, PAPER = "#dbe6f2", "#a9c4e0", "#f5f7fa"
WARM = ("#f6dde0", "#e3a0aa", "#b3354a")
COLD = (LIGHT, MIDDLE, "#2f5d8c")
RATIOS = (-6.0, 0.0)  # powers of ten between which update ratios are drawn
GOOD = -3.0


class Moment(NamedTuple):
    """The histograms of one time.

    Args:
        data: as ``pegboard_visual.pictures.histograms.data_of`` gives it.
    """

    epoch: int
    iteration: int
    data: Mapping[str, Any]


def histograms_shown(moments: Sequence[Moment], rows: int, what: str, name: str = "Histograms") -> Drawn:
    """:func:`histograms_page`; ``what`` begins its caption."""
    last = moments[-1]
    caption = f"{what}, {moment(last.epoch, last.iteration)}"
    return Drawn(name, histograms_page(moments, caption, rows), caption, last.data)


def histograms_page(moments: Sequence[Moment], heading: str, rows: int = ROWS) -> Picture:
    """A row for each parameter: histograms of the last moment, quantiles and update ratios of all of them.

    Args:
        moments: at least one, in the order of time.
        rows: parameters that are shown; of more, so many from the first to the last, the larger half of those called
            weight before the others.
    """
    now = moments[-1].data
    names = [name.removesuffix("_data") for name in now["tensors"] if name.endswith("_data")]
    shown = _chosen({name: sum(now["tensors"][f"{name}_data"]["counts"]) for name in names}, rows)
    lines = [f"shown: {len(shown)} of {len(names)} parameters"] if len(shown) < len(names) else []
    has_gradients = any(name.endswith("_grad") for one in moments for name in one.data["tensors"])
    has_ratios = any(one.data["update_ratio"] for one in moments)
    columns = ["weights"] + ["gradient"] * has_gradients
    if len(moments) > 1:
        columns += ["weights over time"] + ["gradient over time"] * has_gradients
        columns += ["update / weights over time"] * has_ratios
        lines.append("over time: the median, and between which values the middle 50 % and 90 % lie")
    size = (NAME + len(columns) * (PANEL + GAP), HEAD + len(shown) * (HEIGHT + GAP))
    sheet = _Sheet(*size)
    for column, title in enumerate(columns):
        sheet.write(NAME + column * (PANEL + GAP), 0, title, 12)
    for row, name in enumerate(shown):
        top = HEAD + row * (HEIGHT + GAP)
        sheet.write(0, top + 4, fitting(name, NAME - 12, 12), 12)
        if (ratio := now["update_ratio"].get(name)) is not None:
            sheet.write(0, top + 22, f"update / weights {ratio:.1e}", 10, GREY)
        for column, title in enumerate(columns):
            panel = _Panel(sheet, NAME + column * (PANEL + GAP), top)
            key = f"{name}_grad" if title.startswith("gradient") else f"{name}_data"
            colours = WARM if title.startswith("gradient") else COLD
            if title.startswith("update"):
                panel.ratios([(m.iteration, m.data["update_ratio"].get(name)) for m in moments])
            elif title.endswith("time"):
                panel.quantiles([(m.iteration, m.data["tensors"].get(key)) for m in moments], colours)
            else:
                panel.histogram(now["tensors"].get(key), colours)
    return page([sheet.picture()], heading, [*now["notes"], *lines])


def _chosen(sizes: Mapping[str, int], most: int) -> list[str]:
    """Which parameters are shown.

    Args:
        sizes: how many values each of them has.
    """
    names = list(sizes)
    if len(names) <= most:
        return names
    weights = [name for name in names if name.rpartition(".")[2] == "weight"]
    usual = median(sizes[name] for name in weights) if weights else 0
    large = [name for name in weights if sizes[name] >= usual]  # of convolutions rather than of their norms
    pool = next(some for some in (large, weights, names) if len(some) >= most)
    return [pool[round(place)] for place in np.linspace(0, len(pool) - 1, most)]


class _Sheet:
    """Twice as large as it will be; its words are written at the end, in their own size, where they are sharp."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (2 * width, 2 * height), "white")
        self.draw = ImageDraw.Draw(self.image)
        self.words: list[tuple[float, float, str, int, str]] = []

    def write(self, x: float, y: float, line: str, size: int, colour: str = INK) -> None:
        self.words.append((x, y, line, size, colour))

    def picture(self) -> Picture:
        half = self.image.reduce(2)
        draw = ImageDraw.Draw(half)
        for x, y, line, size, colour in self.words:
            draw.text((x, y), line, font=font(size), fill=colour)
        return np.asarray(half)


class _Panel:
    """One small diagram; its methods take positions from 0 to 1, from the left and from below."""

    def __init__(self, sheet: _Sheet, left: int, top: int) -> None:
        self.sheet, self.draw, self.left, self.top = sheet, sheet.draw, left, top
        self.draw.rectangle((2 * left, 2 * top, 2 * (left + PANEL) - 1, 2 * (top + HEIGHT) - 1), fill=PAPER)

    def at(self, x: float, y: float) -> tuple[float, float]:
        return 2 * (self.left + x * PANEL), 2 * (self.top + 2 + (1 - y) * (HEIGHT - 4))

    def label(self, left: str, right: str = "", top: str = "") -> None:
        """What the axes begin and end with."""
        self.sheet.write(self.left, self.top + HEIGHT + 2, left, 10, GREY)
        if right:
            x = self.left + PANEL - font(10).getlength(right)
            self.sheet.write(x, self.top + HEIGHT + 2, right, 10, GREY)
        if top:
            self.sheet.write(self.left + 3, self.top + 1, top, 10, GREY)

    def nothing(self) -> None:
        self.sheet.write(self.left + 6, self.top + 8, "none", 10, GREY)

    def histogram(self, record: Mapping[str, Any] | None, colours: Sequence[str]) -> None:
        """Bars, lines at the quantiles, and the values at both ends."""
        if record is None or not sum(record["counts"]):
            return self.nothing()
        edges, counts = record["edges"], record["counts"]
        low, span, tallest = edges[0], edges[-1] - edges[0], max(counts)
        for start, end, count in zip(edges[:-1], edges[1:], counts, strict=True):
            if count:
                bar = (*self.at((start - low) / span, count / tallest), *self.at((end - low) / span, 0))
                self.draw.rectangle(bar, fill=colours[1])
        for share, value in record["quantiles"].items():
            x = (value - low) / span
            wide = 4 if share == "0.5" else 1
            self.draw.line((*self.at(x, 1), *self.at(x, 0)), fill=colours[2], width=wide)
        self.label(f"{low:.2g}", f"{edges[-1]:.2g}")
        return None

    def quantiles(self, course: Sequence[tuple[int, Mapping[str, Any] | None]], colours: Sequence[str]) -> None:
        """The middle 90 % and 50 % as bands, the median as a line."""
        known = [(when, record["quantiles"]) for when, record in course if record and record["quantiles"]]
        if len(known) < 2:
            return self.nothing()
        values = [value for _, quantiles in known for value in quantiles.values()]
        low, high = min(values), max(values)
        span, begin, length = (high - low) or 1.0, course[0][0], (course[-1][0] - course[0][0]) or 1

        def points(share: str) -> list[tuple[float, float]]:
            return [self.at((when - begin) / length, (q[share] - low) / span) for when, q in known]

        for colour, lower, upper in ((colours[0], "0.05", "0.95"), (colours[1], "0.25", "0.75")):
            self.draw.polygon([*points(lower), *reversed(points(upper))], fill=colour)
        self.draw.line(points("0.5"), fill=colours[2], width=4, joint="curve")
        self.label(f"{low:.2g}", f"to iteration {course[-1][0]:,}", f"{high:.2g}")
        return None

    def ratios(self, course: Sequence[tuple[int, float | None]]) -> None:
        """Powers of ten, with a line at 1e-3."""
        known = [(when, ratio) for when, ratio in course if ratio is not None and ratio > 0 and math.isfinite(ratio)]
        low, span = RATIOS[0], RATIOS[1] - RATIOS[0]
        y = (GOOD - low) / span
        self.draw.line((*self.at(0, y), *self.at(1, y)), fill=BLUE, width=2)
        self.sheet.write(self.left + PANEL - 30, self.top + 2 + (1 - y) * (HEIGHT - 4) - 13, "1e-3", 10, GREY)
        if len(known) < 2:
            return self.nothing()
        begin, length = course[0][0], (course[-1][0] - course[0][0]) or 1
        heights = [min(1.0, max(0.0, (math.log10(ratio) - low) / span)) for _, ratio in known]
        line = [self.at((when - begin) / length, height) for (when, _), height in zip(known, heights, strict=True)]
        self.draw.line(line, fill=RED, width=4, joint="curve")
        self.label("1e-6", f"to iteration {course[-1][0]:,}", "1")
        return None
