"""Maps as pictures: colours, an overlay on the image, and the contact sheet.

Dimension letters: H x W an image, h x w a map.
"""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pegboard import PegboardError
from pegboard_visual.cam.cells import Cells, upsample
from pegboard_visual.cam.maps import is_flat, scaled
from pegboard_visual.drawing.lettering import families, printable
from pegboard_visual.drawing.picture import BLUE, GREY, INK, RED, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Map = NDArray[np.float32]  # (h, w)

logger = logging.getLogger("pegboard")

SHARE = 0.5  # of the map's colours in an overlay
NOWHERE = 235  # the grey of a map's frame, where the layer has no cell
LONGEST = 640  # pixels of an image in a sheet: a photograph's millions would not show
DOTS = 110  # per inch of a sheet
HEAD, PITCH = 0.45, 2.95  # inches: the heading, and each row


@cache
def jet() -> Picture:
    """The 256 colours of JET, (256, 3): OpenCV's, or matplotlib's where OpenCV cannot be imported.

    Raises:
        PegboardError: neither can.
    """
    try:
        import cv2

        levels = np.arange(256, dtype=np.uint8)[:, None]
        colours = np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_JET), dtype=np.uint8)[:, 0, ::-1]
        return np.ascontiguousarray(colours)
    except ImportError as error:  # also a missing system library, such as libGL
        reason = str(error)
    try:
        from matplotlib import colormaps
    except ImportError as error:
        raise PegboardError(
            f"a map is coloured by OpenCV or matplotlib, and neither can be imported ({reason}; {error}); "
            "try `pip install opencv-python-headless`"
        ) from error
    logger.info("OpenCV cannot be imported (%s): maps are coloured by matplotlib", reason)
    return np.asarray(colormaps["jet"](np.arange(256), bytes=True)[:, :3], dtype=np.uint8)


def coloured(values: Map) -> Picture:
    """A map from 0 (blue) to 1 (red) in JET: (h, w) -> (h, w, 3) uint8."""
    levels = np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
    return np.asarray(jet()[levels], dtype=np.uint8)


def enlarged(values: Map, height: int, width: int) -> Map:
    """A map at another size, bilinearly: (h, w) -> (height, width)."""
    up = upsample(torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None], (height, width))[0]
    return np.asarray(up.numpy(), dtype=np.float32)


def overlay(image: Picture, values: Map, share: float = SHARE) -> Picture:
    """The map in colours over the image, at the image's size.

    Args:
        image: (H, W, 3) uint8.
        values: (h, w), scaled to 0 to 1 here; a flat one is blue throughout.
        share: of the colours; the rest is the image.
    """
    first = scaled(torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None])[0].numpy()
    up = enlarged(first, *image.shape[:2])  # scaled before: enlarging a flat map leaves rounding, which would be scaled
    mixed = share * coloured(up).astype(np.float32) + (1 - share) * image.astype(np.float32)
    return np.rint(mixed).astype(np.uint8)


def gradient_picture(gradient: NDArray[np.float32]) -> Picture:
    """Gradients at the pixels, (3, H, W) or (C, H, W), around middle grey: (H, W, 3) uint8.

    The 99.5th percentile of their sizes is the brightest, so that a single pixel does not darken the rest.
    """
    if len(gradient) != 3:
        gradient = np.repeat(gradient.mean(0, keepdims=True), 3, 0)
    largest = float(np.percentile(np.abs(gradient), 99.5)) or float(np.abs(gradient).max()) or 1.0
    values = np.clip(gradient / largest, -1, 1).transpose(1, 2, 0)
    return np.asarray(np.rint(127.5 * (1 + values)), dtype=np.uint8)


def placed(values: torch.Tensor, size: Sequence[int], cells: Cells | None) -> tuple[Picture, Map]:
    """What a method gave, as a picture of its cells or gradients, and how bright each pixel is in an overlay.

    Args:
        values: a map (h, w), or gradients at the pixels (C, H, W).
        size: (H, W) of what the network saw.
        cells: where the cells of a map lie on it; stretched over all of it if None.

    Returns:
        (H, W, 3) uint8, grey where no cell lies; and (H, W) float32 from 0 to 1.
    """
    if values.ndim == 3:
        return gradient_picture(values.numpy()), scaled(values.abs().amax(0)[None])[0].numpy()
    shown = scaled(values[None])
    middle = coloured(upsample(shown, size, cells, sharp=True)[0].numpy())
    middle[upsample(torch.ones_like(shown), size, cells, sharp=True)[0].numpy() == 0] = NOWHERE
    return middle, upsample(shown, size, cells)[0].numpy()


@dataclass
class Row:
    """One image and one class in a sheet.

    Args:
        image: (H, W, 3) uint8.
        middle: what the method gave, as a picture: a coloured map (h, w, 3), or gradients.
        overlay: (H, W, 3) uint8.
        name: of the image.
        target: the class that is explained.
        probabilities: one a class.
        note: what a reader must know of this map; empty if nothing.
        truth: the class that the data says; None where it says nothing.
    """

    image: Picture
    middle: Picture
    overlay: Picture
    name: str
    target: int
    probabilities: Sequence[float]
    note: str = ""
    truth: int | None = None


def explained(
    image: Picture,
    values: torch.Tensor,
    size: Sequence[int],
    cells: Cells | None,
    name: str,
    target: int,
    probabilities: Sequence[float],
    truth: int | None = None,
    window: Sequence[float] | None = None,
) -> Row:
    """A row of a sheet.

    Args:
        values, size, cells: as ``placed`` takes them.
        window: left, top, right and bottom of what the network saw, in pixels of ``image``; all of it if None.
    """
    middle, bright = placed(values, size, cells)
    whole = bright if window is None else in_window(bright, image.shape[:2], window)
    note = "flat map: no evidence here" if bool(is_flat(values[None])) else ""
    return Row(image, middle, overlay(image, whole), name, target, probabilities, note, truth)


def in_window(values: Map, size: Sequence[int], window: Sequence[float]) -> Map:
    """A map of what the network saw, (h, w), at its place in the whole image, (H, W); 0 where it saw nothing."""
    height, width = size
    left, top, right, bottom = (round(side) for side in window)
    seen = enlarged(values, max(1, bottom - top), max(1, right - left))
    whole = np.zeros((height, width), np.float32)
    rows, columns = slice(max(0, top), min(height, bottom)), slice(max(0, left), min(width, right))
    whole[rows, columns] = seen[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return whole


def sheet(rows: Sequence[Row], classes: Sequence[str], heading: str, middle: str = "map") -> Picture:
    """A contact sheet: each row an image, what the method gave, the overlay, and the five likeliest classes.

    Args:
        heading: one line above all, e.g. the method and the layer.
        middle: what the second column is called.

    Returns:
        the sheet's pixels, (H, W, 3) uint8.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = 12.4, HEAD + PITCH * len(rows)
    figure = Figure(figsize=(width, height), dpi=DOTS, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    style: dict[str, Any] = {"color": INK, "fontfamily": families(), "parse_math": False}
    figure.text(0.012, 1 - 0.14 / height, heading, va="top", fontsize=13, **style)
    classes = printable(classes)
    # Places in inches instead of a layout engine, which takes longer than all the drawing.
    axes = [
        [
            figure.add_axes((left / width, (PITCH * below + 0.1) / height, wide / width, (PITCH - 0.42) / height))
            for left, wide in ((0.1, 2.85), (3.05, 2.85), (6.0, 2.85), (10.55, 1.8))
        ]
        for below in reversed(range(len(rows)))
    ]
    for row, (first, second, third, bars) in zip(rows, axes, strict=True):
        target = shortened(classes[row.target])
        _show(first, row.image, shortened(row.name, 34))
        _show(second, row.middle, f"{middle} for {target}", crisp=True, like=row.image)
        _show(third, row.overlay, row.note or "overlay", RED if row.note else INK)
        _bars(bars, row, classes)
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # a class name in a script without glyphs
        canvas.draw()  # type: ignore[no-untyped-call]
    return np.array(canvas.buffer_rgba(), dtype=np.uint8)[:, :, :3]  # type: ignore[no-untyped-call]


def shortened(text: str, longest: int = 22) -> str:
    """The text, with an ellipsis in place of what is too much of it."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _show(
    axes: "Axes", picture: Picture, title: str, colour: str = INK, crisp: bool = False, like: Picture | None = None
) -> None:
    """Show a picture, in the proportions of another one where that is ``like``."""
    image = Image.fromarray(picture)
    image.thumbnail((LONGEST, LONGEST))
    small = max(image.size) < 200 and not crisp  # 32 x 32 pixels look better smooth; a map shows its true cells
    extent = None if like is None else (0, like.shape[1], like.shape[0], 0)
    way = "bicubic" if small else "nearest" if crisp else "antialiased"
    axes.imshow(np.asarray(image), interpolation=way, extent=extent)
    axes.set_anchor("N")  # titles of a row stand on one line, whatever the proportions
    axes.set_title(title, fontsize=10, color=colour, fontfamily=families(), parse_math=False)
    axes.axis("off")


def _bars(axes: "Axes", row: Row, classes: Sequence[str]) -> None:
    """Five classes, the likeliest on top; the explained one, in colour, and the true one are always among them."""
    ranked = [int(i) for i in np.argsort(row.probabilities, kind="stable")[::-1]]
    wanted = {row.target} if row.truth is None else {row.target, row.truth}
    others = [i for i in ranked if i not in wanted][: 5 - len(wanted)]
    order = [i for i in ranked if i in wanted or i in others]
    shares = [100 * float(row.probabilities[i]) for i in order]
    places = range(len(order))
    axes.barh(places, shares, height=0.62, color=[RED if i == row.target else BLUE for i in order])
    names = [shortened(classes[i], 13) + " (true)" if i == row.truth else shortened(classes[i], 20) for i in order]
    axes.set_yticks(places, names, fontsize=9.5, color=INK, fontfamily=families(), parse_math=False)
    for place, share in zip(places, shares, strict=True):
        axes.text(share + 2, place, percent(share), va="center", fontsize=9, color=INK)
    axes.set_xlim(0, 142)  # room for "100.0 %" beside a full bar
    axes.set_ylim(4.6, -0.6)  # the likeliest on top; the same height of bar where there are fewer than five
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(GREY)
    axes.set_title("probability", fontsize=10, color=INK, loc="left")


def percent(share: float) -> str:
    """A share of a hundred to a tenth: ``"87.3 %"``; what would round to nothing is ``"< 0.1 %"``."""
    return "< 0.1 %" if 0 < share < 0.05 else f"{share:.1f} %"
