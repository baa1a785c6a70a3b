"""Training images as the network gets them, augmented, with their labels.

Dimension letters: B images, C channels, H x W an image, K classes.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from pegboard_visual.drawing.compose import below, beside, enlarged, factor_for, fitting, page, text
from pegboard_visual.drawing.lettering import UNSHOWN, printable, unshown
from pegboard_visual.drawing.picture import GREY, Picture
from pegboard_visual.drawn import Drawn
from pegboard_visual.outcomes import SPLITS
from pegboard_visual.seen import as_pictures, name_of_class, transforms_of

if TYPE_CHECKING:
    from pegboard import Batch

SIDE = 112  # pixels of an image in the picture, about
LARGEST = 240  # a photograph's own pixels would not fit
SHARE = 0.005  # of a class; less of it is not worth a word
NAMED = 3  # classes of a mixed target


def samples_shown(batch: "Batch", loader: Any, images: int, known: Mapping[str, Any], split: str, epoch: int) -> Drawn:
    """The first images of a batch: ``Samples``, or ``Samples_valid`` and ``Samples_test``.

    Args:
        loader: from which the batch comes.
        known: what the data says of itself: ``classes`` or ``num_classes``.
        split: as the config calls it. epoch: from 1; only training images differ from one to the next.
    """
    count = min(images, len(batch.index))
    classes = list(known.get("classes") or range(known.get("num_classes") or 0))
    labels = labels_of(batch.targets[:count], count, classes)
    written = labels_of(batch.targets[:count], count, printable([str(name) for name in classes]))
    numbers = batch.index[:count].tolist()
    what = {"train": "Training", "val": "Validation", "test": "Test"}[split]
    caption = f"{what} images as the network gets them" + (f", epoch {epoch}" if split == "train" else "")
    notes = [UNSHOWN] if unshown([str(name) for name in classes]) else []
    picture = samples_page(batch.inputs[:count], written, numbers, transforms_of(loader), caption, notes)
    name = "Samples" if split == "train" else f"Samples_{SPLITS[split]}"
    return Drawn(name, picture, caption, {"kind": "samples", "samples": numbers, "labels": labels})


def samples_page(
    inputs: Tensor,
    labels: Sequence[str],
    numbers: Sequence[int],
    transforms: Iterable[Any],
    heading: str,
    notes: Sequence[str] = (),
) -> Picture:
    """A page of images, denormalised, each over its label.

    Args:
        inputs: (B, C, H, W), as the network gets them.
        numbers: of the samples in their dataset.
        transforms: those that made the inputs.
    """
    cells = []
    for image, label, number in zip(as_pictures(inputs, transforms), labels, numbers, strict=True):
        height, width = image.shape[:2]
        step = max(1, math.ceil(max(height, width) / LARGEST))
        large = enlarged(image[::step, ::step], factor_for(max(height, width) // step, SIDE))
        lines = [text(fitting(line, large.shape[1], 12), 12) for line in label.split("\n")]
        cells.append(below([large, *lines, text(f"sample {number}", 10, GREY)], gap=1))
    tallest, widest = (max(cell.shape[side] for cell in cells) for side in (0, 1))
    across = max(1, min(len(cells), math.ceil(math.sqrt(1.5 * len(cells) * tallest / widest))))
    padding = [((0, tallest - c.shape[0]), (0, widest - c.shape[1]), (0, 0)) for c in cells]
    cells = [np.pad(cell, pad, constant_values=255) for cell, pad in zip(cells, padding, strict=True)]
    rows = [beside(cells[start : start + across], gap=12) for start in range(0, len(cells), across)]
    return page([below(rows, gap=10)], heading, notes)


def labels_of(targets: Any, count: int, classes: Sequence[Any]) -> list[str]:
    """What to write under each image: its class, or the shares of a mixed target, ``"cat 70 %\\ndog 30 %"``.

    Args:
        targets: (B,) int64, shares of classes (B, K), or masks (B, H, W) int64, of which the largest shares of their
            pixels are named; of anything else, what it looks like.
    """
    if not isinstance(targets, Tensor):
        listed = list(targets) if isinstance(targets, list | tuple) else [targets] * count
        return [str(target).replace("\n", " ") for target in listed]
    if targets.ndim == 1 and not targets.is_floating_point():
        return [name_of_class(int(target), classes) for target in targets.tolist()]
    if targets.ndim == 2 and targets.shape[1] == len(classes):
        return [_shares(row, classes) for row in targets.tolist()]
    if targets.ndim == 3 and not targets.is_floating_point() and classes:
        return [_shares(_areas(mask, len(classes)), classes) for mask in targets]
    return [" ".join(f"{value:.3g}" for value in target.flatten()[:4].tolist()) for target in targets]


def _areas(mask: Tensor, count: int) -> list[float]:
    """Of a mask (H, W), the share of each class among the pixels that have one."""
    known = mask[(mask >= 0) & (mask < count)]
    return (known.bincount(minlength=count) / max(1, known.numel())).tolist()


def _shares(row: Sequence[float], classes: Sequence[Any]) -> str:
    ranked = sorted(range(len(row)), key=lambda number: -row[number])
    named = [number for number in ranked if row[number] > SHARE][:NAMED]
    if len(named) == 1 and row[named[0]] > 1 - SHARE:
        return str(classes[named[0]])
    return "\n".join(f"{classes[number]} {100 * row[number]:.0f} %" for number in named)
