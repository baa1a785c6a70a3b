"""The kernels of convolutions as pictures, each scaled by itself.

Dimension letters: O output maps, I input maps that each of them reads (of its group), h x w a kernel.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pegboard import PegboardError
from pegboard_visual.drawing.compose import (
    below,
    beside,
    each_scaled,
    factor_for,
    grid,
    in_grey,
    page,
    spread,
    text,
    titled,
)
from pegboard_visual.drawing.picture import GREY, Picture
from pegboard_visual.drawn import Drawn
from pegboard_visual.named import matching

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
MAPS = 64  # output maps, and input maps of each, that a picture shows unless told otherwise
SIDES = {4: 64, 16: 40, MAPS: 20}  # pixels of a kernel in a picture, about, where an output map has so many
COLOURS = ("colour", "red", "green", "blue")


class Kernels(NamedTuple):
    """Those of one layer.

    Args:
        layer: its name.
        weights: (O, I, h, w) float32.
        in_colour: they read the red, green and blue of images.
    """

    layer: str
    weights: NDArray[np.float32]
    in_colour: bool

    @property
    def size(self) -> str:
        """``"16 x 6 kernels of 5 x 5"``."""
        outputs, inputs, height, width = self.weights.shape
        return f"{outputs} x {inputs} kernels of {height} x {width}"


def kernels_of(model: nn.Module, layers: Sequence[str] = ()) -> list[Kernels]:
    """The kernels of a model's convolutions, transposed and grouped ones included, in the model's order.

    Args:
        layers: names or patterns; every convolution whose kernels have more than one pixel unless given.

    Raises:
        PegboardError: the model has none, or a pattern means none.
    """
    found = {name: module for name, module in model.named_modules() if isinstance(module, CONVOLUTIONS)}
    if not found:
        raise PegboardError(f"the {type(model).__name__} has no 2-D convolution, so there are no kernels to draw")
    chosen = matching(layers, list(found), "convolution") if layers else list(found)
    larger = [name for name in chosen if math.prod(found[name].kernel_size) > 1]
    if not larger:
        raise PegboardError(
            f"{', '.join(chosen[:3])}: kernels of 1 x 1 pixel have nothing to show; name a layer with larger ones"
        )
    first = next(iter(found))
    return [_of(name, found[name], name == first) for name in larger]


def split_in_channel(kernels: Kernels, most: int = MAPS) -> list[Picture]:
    """A grid for each output map, in their order: the kernels with which it reads its input maps.

    Kernels that read red, green and blue come in colour first.

    Args:
        most: output maps, and input maps of each, spread evenly over all.
    """
    return [_enlarged_grid(tiles, None) for tiles in _tiles(kernels, most)]


def split_page(kernels: Kernels, most: int = MAPS) -> Picture:
    """The grids of :func:`split_in_channel` on one page, each under the number of its output map."""
    numbers = spread(len(kernels.weights), most)
    grids = [titled(one, str(n), 11) for one, n in zip(split_in_channel(kernels, most), numbers, strict=True)]
    across = max(1, min(len(grids), math.ceil(math.sqrt(len(grids) * 1.6 * grids[0].shape[0] / grids[0].shape[1]))))
    rows = [beside(grids[start : start + across], gap=14) for start in range(0, len(grids), across)]
    return page(
        [below(rows, gap=12)], f"{kernels.layer}: {kernels.size}, one grid per output map", notes(kernels, most)
    )


def all_page(kernels: Kernels, most: int = MAPS) -> Picture:
    """All kernels on one page: one row per output map, one column per input map."""
    rows = [_enlarged_grid(tiles, len(tiles)) for tiles in _tiles(kernels, most)]
    numbers = spread(len(kernels.weights), most)
    labels = [text(str(number), 11, GREY) for number in numbers]
    widest = max(label.shape[1] for label in labels)
    numbered = [
        beside([np.pad(label, ((0, 0), (widest - label.shape[1], 0), (0, 0)), constant_values=255), row], 6, "middle")
        for label, row in zip(labels, rows, strict=True)
    ]
    height, width = numbered[0].shape[:2]
    blocks = max(1, round(math.sqrt(1.3 * len(numbered) * height / width)))  # side by side, of long and narrow ones
    length = math.ceil(len(numbered) / min(blocks, len(numbered)))
    columns = [below(numbered[start : start + length], gap=3) for start in range(0, len(numbered), length)]
    heading = f"{kernels.layer}: {kernels.size}, one row per output map"
    return page([beside(columns, gap=28)], heading, notes(kernels, most))


def all_shown(kernels: Kernels, most: int = MAPS) -> Drawn:
    """``<layer>_all``: :func:`all_page`."""
    caption = f"{kernels.layer}: {kernels.size}, one row per output map"
    return Drawn(f"{kernels.layer}_all", all_page(kernels, most), caption, _data(kernels))


def split_shown(kernels: Kernels, most: int = MAPS) -> Drawn:
    """``<layer>_split_in_channel``: :func:`split_page`, its grids as frames."""
    name, caption = f"{kernels.layer}_split_in_channel", f"{kernels.layer}: {kernels.size}, one grid per output map"
    frames = split_in_channel(kernels, most)
    return Drawn(name, split_page(kernels, most), caption, _data(kernels), frames=frames)


def _data(kernels: Kernels) -> dict[str, Any]:
    return {"kind": "kernels", "layer": kernels.layer, "shape": list(kernels.weights.shape)}


def notes(kernels: Kernels, most: int = MAPS) -> list[str]:
    """What a reader must know: how they are scaled, and what is left out."""
    lines = ["each kernel from its smallest value (black) to its largest (white)"]
    if kernels.in_colour:
        lines = [
            "each kernel in colour, then its red, green and blue part, each from its smallest to its largest value"
        ]
    outputs, inputs = kernels.weights.shape[:2]
    if outputs > most:
        lines.append(f"shown: {most} of {outputs} output maps, evenly spread")
    if inputs > most:
        lines.append(f"shown: {most} of {inputs} input maps, evenly spread")
    return lines


def _of(name: str, module: nn.Conv2d | nn.ConvTranspose2d, is_first: bool) -> Kernels:
    weight = module.weight.detach().float().cpu()
    if isinstance(module, nn.ConvTranspose2d):  # (all inputs, outputs of a group, h, w)
        inputs, outputs = weight.shape[0] // module.groups, weight.shape[1]
        apart = weight.reshape(module.groups, inputs, outputs, *weight.shape[2:])
        weight = apart.transpose(1, 2).reshape(module.groups * outputs, inputs, *weight.shape[2:])
    in_colour = is_first and weight.shape[1] == 3 and module.groups == 1
    return Kernels(name, np.ascontiguousarray(weight.numpy()), in_colour)


def _tiles(kernels: Kernels, most: int) -> list[NDArray[np.uint8]]:
    """For each output map that is shown, its kernels as pictures (n, h, w, 3)."""
    tiles = []
    for output in spread(len(kernels.weights), most):
        weights = kernels.weights[output]
        parts = in_grey(each_scaled(weights[spread(len(weights), most)]))
        if kernels.in_colour:
            colour = each_scaled(weights.transpose(1, 2, 0)[None])
            parts = np.concatenate([colour, parts])
        tiles.append(parts)
    return tiles


def _enlarged_grid(tiles: NDArray[np.uint8], columns: int | None) -> Picture:
    factor = factor_for(max(tiles.shape[1:3]), next((side for most, side in SIDES.items() if len(tiles) <= most), 16))
    large = np.repeat(np.repeat(tiles, factor, axis=1), factor, axis=2)
    return grid(large, columns, gap=2)
