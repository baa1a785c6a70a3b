"""Many numbers a sample brought to two, and drawn in the colours of the classes.

Dimension letters: N samples, D numbers a sample, K classes.
"""

import csv
import io
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pegboard import PegboardError
from pegboard_visual.drawing.lettering import DPI, families, printable, rendered
from pegboard_visual.drawing.picture import GREY, INK
from pegboard_visual.drawn import Drawn
from pegboard_visual.outcomes import SPLITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pegboard_visual.features import Features

Method = Literal["pca", "tsne"]
METHODS = {"pca": "PCA", "tsne": "t-SNE"}
LEGEND = 20  # classes that have a colour of their own; of more, each cloud bears its number
ROWS, COLUMNS = 40, 4  # of a list of numbers and names beside the picture

Values = NDArray[np.float32]
Points = NDArray[np.float64]


def pca(values: Values, count: int = 2) -> tuple[Points, NDArray[np.float64]]:
    """The directions in which the samples differ most.

    Args:
        values: (N, D), at least two samples.
        count: of directions; those beyond D are 0.

    Returns:
        (N, count), and the share of the variance that lies in each; 0 where there is none. Signs are chosen so that
        the largest weight of each direction is positive.

    Source: Jolliffe, "Principal Component Analysis" (2002), chapter 3.
    """
    _enough(values, 2, "PCA")
    centred = values.astype(np.float64) - values.mean(0, dtype=np.float64)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(1)])
    points = centred @ (directions * signs[:, None])[:count].T
    shares = sizes**2 / max(float((sizes**2).sum()), np.finfo(np.float64).tiny)
    missing = count - points.shape[1]
    return np.pad(points, ((0, 0), (0, max(0, missing)))), np.pad(shares[:count], (0, max(0, count - len(shares))))


def tsne(values: Values) -> Points:
    """Neighbours stay neighbours; distances between clouds, and their sizes, mean nothing.

    The same values give the same points: it starts from PCA, and first brings more than 50 numbers to 50 by it.

    Args:
        values: (N, D), at least four samples.

    Source: van der Maaten and Hinton 2008; scikit-learn's TSNE.
    """
    _enough(values, 4, "t-SNE")
    drawn = random.getstate()  # importing scikit-learn draws from it, which the training that is watched must not see
    from sklearn.manifold import TSNE

    random.setstate(drawn)
    start = pca(values)[0]
    start = start * (1e-4 / (start.std(0)[0] or 1.0))  # the size that van der Maaten starts from
    reduced = pca(values, 50)[0] if values.shape[1] > 50 else values.astype(np.float64)
    perplexity = min(30.0, (len(values) - 1) / 3)
    fitted = TSNE(perplexity=perplexity, init=start, learning_rate="auto", random_state=0).fit_transform(reduced)
    return np.asarray(fitted, dtype=np.float64)


def embedded(features: "Features", method: Method) -> tuple[Points, list[str]]:
    """Two numbers for each sample, (N, 2), and what the two axes are called."""
    if method == "tsne":
        return tsne(features.values), ["t-SNE 1", "t-SNE 2"]
    points, shares = pca(features.values)
    return points, [f"component {i}: {100 * share:.1f} % of the variance" for i, share in enumerate(shares, 1)]


def embedding_data(
    features: "Features", points: Points, classes: Sequence[str], split: str, method: Method
) -> dict[str, Any]:
    """The numbers behind the picture, as JSON has them."""
    return {
        "kind": "embedding",
        "split": split,
        "points": [[float(f"{x:.5g}"), float(f"{y:.5g}")] for x, y in points],
        "targets": features.target.tolist(),
        "samples": features.sample.tolist(),
        "classes": list(classes),
        "method": METHODS[method],
        "source": features.source,
    }


def embedding_csv(features: "Features", points: Points, classes: Sequence[str]) -> str:
    """A row a sample: its place in the dataset, the name of its class, and its two numbers."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sample", "class", "x", "y"])
    for sample, target, (x, y) in zip(features.sample, features.target, points, strict=True):
        writer.writerow([int(sample), classes[target], f"{x:.6g}", f"{y:.6g}"])
    return text.getvalue()


def embedding_shown(features: "Features", names: list[str], split: str, method: Method, when: str) -> Drawn:
    """The picture, with its table."""
    points, axes_names = embedded(features, method)
    name = f"Embedding_{SPLITS[split]}"
    count, width = features.values.shape
    caption = f"{METHODS[method]} of {features.source} ({width:,} numbers), {count:,} samples, {when}"
    picture = draw_embedding(points, features.target, names, name, caption, axes_names)
    data = embedding_data(features, points, names, SPLITS[split], method)
    return Drawn(name, picture, caption, data, embedding_csv(features, points, names))


def draw_embedding(
    points: Points,
    targets: NDArray[np.int64],
    classes: Sequence[str],
    title: str,
    below: str,
    axes_names: Sequence[str],
) -> NDArray[np.uint8]:
    """The points in the colours of their classes.

    Args:
        points: (N, 2). targets: (N,).
        title: above it. below: a line under the title.

    Returns:
        pixels, (H, W, 3) uint8.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), dpi=DPI)
    axes = figure.add_subplot()
    few = len(classes) <= LEGEND
    colours = _colours(len(classes))
    size = float(np.clip(20000 / max(1, len(points)), 5, 40))
    order = np.random.default_rng(0).permutation(len(points))  # no class lies on top of all others
    axes.scatter(points[order, 0], points[order, 1], s=size, c=colours[targets[order]], alpha=0.75, linewidths=0)
    names = printable(classes)
    if few:
        _legend(axes, names, colours, np.bincount(targets, minlength=len(classes)))
    else:
        _numbers(axes, points, targets, names)
    axes.set_xlabel(axes_names[0], color=INK)
    axes.set_ylabel(axes_names[1], color=INK)
    axes.tick_params(labelsize=8, colors=GREY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, fontsize=13, color=INK, pad=24)
    middle: dict[str, Any] = {"xy": (0.5, 1), "xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(below, xytext=(0, 8), ha="center", fontsize=9, color=INK, parse_math=False, **middle)
    return rendered(figure)


def _colours(count: int) -> NDArray[np.float64]:
    """(count, 4): colours that differ; of many classes neighbours in number do not look alike."""
    from matplotlib import colormaps

    if count <= LEGEND:
        colours = colormaps["tab10" if count <= 10 else "tab20"](np.arange(count))
    else:
        colours = colormaps["turbo"](np.arange(count) * 0.618034 % 1)  # golden section: always far from the last ones
    return np.asarray(colours, dtype=np.float64)


def _legend(axes: "Axes", names: Sequence[str], colours: NDArray[np.float64], counts: NDArray[np.int64]) -> None:
    from matplotlib.lines import Line2D

    style: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 6}
    handles = [Line2D([], [], color=tuple(colour), **style) for colour in colours]
    labels = [name if count else f"{name} (none)" for name, count in zip(names, counts, strict=True)]
    legend = axes.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_fontfamily(families())
        text.set_parse_math(False)


def _numbers(axes: "Axes", points: Points, targets: NDArray[np.int64], names: Sequence[str]) -> None:
    """Each class's number in the middle of its points, the largest classes first, where there is room; then a list."""
    from matplotlib.patheffects import withStroke

    low, span = points.min(0), np.maximum(np.ptp(points, axis=0), 1e-12)
    placed: list[NDArray[np.float64]] = []
    counts = np.bincount(targets, minlength=len(names))
    for number in np.argsort(-counts, kind="stable"):
        if not counts[number]:
            break
        where = np.median(points[targets == number], axis=0)
        share = (where - low) / span
        if any(abs(share[0] - x) < 0.035 and abs(share[1] - y) < 0.028 for x, y in placed):
            continue
        placed.append(share)
        text = axes.text(
            where[0], where[1], str(number), fontsize=9, weight="bold", ha="center", va="center", color=INK
        )
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    columns = -(-len(names) // ROWS)
    if columns > COLUMNS:
        return  # the CSV file beside the picture has the names
    for column in range(columns):
        lines = [f"{i} {names[i]}" for i in range(column * ROWS, min((column + 1) * ROWS, len(names)))]
        style: dict[str, Any] = {"fontfamily": families(), "parse_math": False, "color": INK}
        style |= {"transform": axes.transAxes, "va": "top", "fontsize": 7, "linespacing": 1.35}
        axes.text(1.02 + 0.27 * column, 1, "\n".join(lines), **style)


def _enough(values: Values, least: int, what: str) -> None:
    if len(values) < least:
        raise PegboardError(f"{what} needs at least {least} samples, got {len(values)}")
