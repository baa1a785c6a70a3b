"""Which classes are taken for which: the matrix, the figures of each class, and the pairs that are confused most.

Dimension letters: K classes.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pegboard_visual.drawing.image_grid import Cell, Strip, draw_grid
from pegboard_visual.drawing.lettering import DPI, UNSHOWN, families, printable, rendered, unshown
from pegboard_visual.drawing.picture import GREY, INK, as_picture
from pegboard_visual.drawn import Drawn
from pegboard_visual.outcomes import SPLITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pegboard_visual.outcomes import Outcome

RED = "#e0202a"
CELL, SMALLEST, LARGEST = 0.56, 3.2, 11.0  # inches: of a cell where there is room, and of the whole matrix
LETTERS = 6.0  # points: the smallest that can be read
ALL_ZEROS = 12  # classes up to which a cell without samples says 0

Counts = NDArray[np.int64]  # (K, K), rows true, columns predicted


@dataclass(frozen=True)
class ClassFigures:
    """One class; a figure that would be divided by zero is None.

    Args:
        count: its samples, the support. correct: those that are predicted right.
        recall: correct / count. precision: correct / all that are predicted to be of this class.
        f1: harmonic mean of both; 0 where both are.
    """

    name: str
    count: int
    correct: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Pair:
    """One class that is taken for another: how many times, and the share of the true class."""

    truth: int
    predicted: int
    count: int
    share: float


def class_figures(counts: Counts, classes: Sequence[str]) -> list[ClassFigures]:
    """The figures of each class, in order."""
    found = []
    for number, name in enumerate(classes):
        correct, count = int(counts[number, number]), int(counts[number].sum())
        predicted = int(counts[:, number].sum())
        # f1 = 2 p r / (p + r) without the two quotients
        f1 = 2 * correct / (count + predicted) if count + predicted else None
        found.append(ClassFigures(name, count, correct, _share(correct, predicted), _share(correct, count), f1))
    return found


def top1(counts: Counts) -> float | None:
    """Share of the samples that are predicted right; None without samples."""
    return _share(int(np.trace(counts)), int(counts.sum()))


def confused_pairs(counts: Counts, most: int) -> list[Pair]:
    """The pairs that are confused most often, at most so many; of two alike the one with the larger share first."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    totals = np.maximum(counts.sum(1), 1)
    pairs = [
        Pair(int(t), int(p), int(wrong[t, p]), float(wrong[t, p] / totals[t]))
        for t, p in zip(*np.nonzero(wrong), strict=True)
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.share, pair.truth, pair.predicted))[:most]


def confusion_data(counts: Counts, classes: Sequence[str], split: str) -> dict[str, Any]:
    """The numbers behind the picture, as JSON has them.

    Args:
        split: train, valid or test.
    """
    per_class = [asdict(row) for row in class_figures(counts, classes)]
    pairs = [asdict(pair) for pair in confused_pairs(counts, 20)]
    matrix = {"kind": "confusion", "split": split, "classes": list(classes), "counts": counts.tolist()}
    return {**matrix, "top1": top1(counts), "per_class": per_class, "confused": pairs}


def confusion_csv(counts: Counts, classes: Sequence[str]) -> str:
    """A table for a spreadsheet: a row a true class, its figures, then a column a predicted class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    figures = [field.name for field in fields(ClassFigures)[1:]]
    writer.writerow(["true class", *figures, *(f"predicted {name}" for name in classes)])
    for row, known in zip(counts.tolist(), class_figures(counts, classes), strict=True):
        values = ["n/a" if value is None else f"{value:.6g}" for value in astuple(known)[1:]]
        writer.writerow([known.name, *values, *row])
    return text.getvalue()


def matrix_shown(outcome: "Outcome", names: list[str], split: str, when: str) -> Drawn:
    """The matrix, with its table."""
    counts, name = outcome.counts(), f"Confusion_Matrix_{SPLITS[split]}"
    share = top1(counts)
    accuracy = "no samples" if share is None else f"top-1 {100 * share:.2f} %, {counts.sum():,} samples"
    caption = f"{accuracy}, {when}" + (f"; {outcome.left_out:,} of no class left out" if outcome.left_out else "")
    data = confusion_data(counts, names, SPLITS[split])
    return Drawn(name, draw_confusion(counts, names, name, caption), caption, data, confusion_csv(counts, names))


def pairs_shown(
    outcome: "Outcome", names: list[str], split: str, samples: Any, most: int, when: str, examples: int = 6
) -> Drawn | None:
    """The pairs confused most, with those examples of each that the model was surest of; None without any.

    Args:
        samples: ``[i]`` gives (tensor (C, H, W), target).
    """
    pairs = confused_pairs(outcome.counts(), most)
    if not pairs:
        return None
    short, strips, data = printable(names, 28), [], []
    for pair in pairs:
        of_pair = (outcome.truth == pair.truth) & (outcome.predicted == pair.predicted)
        ranked = of_pair.nonzero()[0]
        chosen = ranked[(-outcome.probability[ranked]).argsort(kind="stable")][:examples]
        cells = [
            Cell(as_picture(samples[int(sample)][0]), [(f"{100 * chance:.1f} %", GREY)])
            for sample, chance in zip(outcome.sample[chosen], outcome.probability[chosen], strict=True)
        ]
        which = f"{short[pair.truth]} taken for {short[pair.predicted]}"
        heading = f"{which}: {pair.count}, {100 * pair.share:.1f} % of all {short[pair.truth]}"
        strips.append(Strip(heading, cells))
        data.append({**asdict(pair), "samples": outcome.sample[chosen].tolist()})
    name = f"Confused_Pairs_{SPLITS[split]}"
    caption = f"the pairs confused most, and the examples that the model was surest of, {when}"
    values = {"kind": "confused_pairs", "split": SPLITS[split], "classes": names, "pairs": data}
    notes = [UNSHOWN] if unshown(names) else []
    return Drawn(name, draw_grid(name, strips, examples, notes), caption, values)


def draw_confusion(counts: Counts, classes: Sequence[str], title: str, below: str = "") -> NDArray[np.uint8]:
    """The matrix as a picture: shades are shares of a true class, red numbers are samples.

    Args:
        title: above it. below: a line under the title, such as the accuracy.

    Returns:
        pixels, (H, W, 3) uint8.
    """
    from matplotlib.figure import Figure

    number = len(classes)
    side = min(max(CELL * number, SMALLEST), LARGEST)
    cell = side / number * 72  # points
    figure = Figure(figsize=(side * 1.4, side * 1.4), dpi=DPI)
    axes = figure.add_axes((0.2, 0.2, side / (side * 1.4), side / (side * 1.4)))
    totals = counts.sum(1, keepdims=True)
    image = axes.imshow(counts / np.maximum(totals, 1), cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
    bar_axes = figure.add_axes((0.2 + 1 / 1.4 + 0.25 / (side * 1.4), 0.2, 0.2 / (side * 1.4), 1 / 1.4))
    bar = figure.colorbar(image, cax=bar_axes)
    bar.ax.tick_params(labelsize=9, colors=INK)
    bar.set_label("share of the true class", fontsize=10, color=INK)
    names = printable(classes)
    if unshown(classes):
        below = f"{below}\n{UNSHOWN}".lstrip()
    empty = [f"{name} (no samples)" if not total else name for name, total in zip(names, totals[:, 0], strict=True)]
    _name_ticks(axes, names, empty, cell)
    _numbers(axes, counts, cell)
    axes.set_xlabel("Predicted label", fontsize=12, color=INK)
    axes.set_ylabel("True label", fontsize=12, color=INK)
    heading = 13 if side > 4 else 11
    axes.set_title(
        title,
        fontsize=heading,
        color=INK,
        pad=10 + 13 * len(below.splitlines()),
        fontfamily=families(),
        parse_math=False,
    )
    middle: dict[str, Any] = {"xy": (0.5, 1), "xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(below, xytext=(0, 6), ha="center", va="bottom", fontsize=9, color=INK, **middle)
    if number <= 40:  # lines between the cells: an empty row is seen to be one
        axes.set_xticks(np.arange(number + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(number + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="#dddddd", linewidth=0.5)
        axes.tick_params(which="minor", length=0)
    return rendered(figure)


def _name_ticks(axes: "Axes", predicted: Sequence[str], true: Sequence[str], cell: float) -> None:
    """Names at the rows and, turned 60 degrees, at the columns; every second, third ... where there is no room."""
    size = min(10.0, max(LETTERS, cell * 0.7))
    # A line of text is 1.25 times as high as its letters; at 60 degrees columns are sin 60° of their width apart.
    down, across = (max(1, int(np.ceil(1.25 * size / room))) for room in (cell, cell * 0.866))
    places = range(0, len(true), down)
    style: dict[str, Any] = {"fontsize": size, "color": INK, "fontfamily": families(), "parse_math": False}
    axes.set_yticks(places, [true[place] for place in places], **style)
    places = range(0, len(predicted), across)
    turned = {**style, "rotation": 60, "ha": "right", "rotation_mode": "anchor", "va": "center"}
    axes.set_xticks(places, [predicted[place] for place in places], **turned)
    axes.tick_params(length=2.5 if cell > 8 else 1.5, color=INK, pad=2)


def _numbers(axes: "Axes", counts: Counts, cell: float) -> None:
    """The counts, where they can be read: a digit is 0.64 times as wide as it is high."""
    from matplotlib.patheffects import withStroke

    digits = len(str(counts.max()))
    size = min(11.0, 0.92 * cell / (0.64 * digits), 0.7 * cell)
    if size < LETTERS or cell < 2 * LETTERS:  # in smaller cells they hide the shade
        return
    every, totals = len(counts) <= ALL_ZEROS, counts.sum(1)
    outline = withStroke(linewidth=0.2 * size, foreground="white")  # red on dark grey alone is hard to read
    for (row, column), count in np.ndenumerate(counts):
        if count or every:
            text = axes.text(column, row, str(count), ha="center", va="center", fontsize=size, color=RED)
            if 4 * count > totals[row]:
                text.set_path_effects([outline])


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
