"""What layers give for an image, before and after the activation that follows, in the forward pass as it really is.

A forward hook sees what a layer gives, but no activation that is a function, as in ``F.relu(self.conv1(x))``, and
nothing between the two. So the functions of torch that the model calls are watched too: what a layer gave is followed
through pooling, normalisation and residual sums to the first activation, and ends at the next layer with weights.

Dimension letters: B images, C maps, h x w a map, T tokens, D values a token.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pegboard import PegboardError
from pegboard_visual.cam.session import looking
from pegboard_visual.drawing.compose import (
    FLAT,
    WHITE,
    beside,
    each_scaled,
    enlarged,
    factor_for,
    grid,
    page,
    spread,
    titled,
)
from pegboard_visual.drawing.picture import Picture
from pegboard_visual.drawn import Drawn
from pegboard_visual.named import matching

# Names of torch's functions, as functions, methods and modules alike call them, without the _ of those in place.
_ACTIVATIONS = """
    celu clamp clamp_min elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish prelu relu relu6
    rrelu selu sigmoid silu softplus softsign swish tanh threshold
"""
_FOLLOWED = """
    __add__ __iadd__ __radd__ add __mul__ __imul__ __rmul__ mul cat concat stack chunk
    batch_norm group_norm instance_norm layer_norm rms_norm local_response_norm
    dropout dropout1d dropout2d alpha_dropout feature_dropout stochastic_depth
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d avg_pool1d avg_pool2d max_pool1d
    max_pool2d lp_pool2d fractional_max_pool2d mean
    interpolate upsample pixel_shuffle channel_shuffle pad constant_pad_nd
    flatten unflatten view reshape permute transpose squeeze unsqueeze contiguous clone to float half bfloat16 type
"""
ACTIVATIONS = frozenset(_ACTIVATIONS.split())
FOLLOWED = frozenset(_FOLLOWED.split())
MAPS = 64  # of a layer that a picture shows unless told otherwise
INPUT, LARGEST_INPUT = 132, 400  # pixels of the image in a picture, about; and at most
WIDTH, LARGEST = 330, 900  # pixels of a grid of maps, about; and at most


@dataclass
class Given:
    """What one layer gave.

    Args:
        layer: its name; a layer that is called again has ``", 2nd call"`` behind it.
        before: what it gave, (B, C, h, w), (B, C) or whatever it is; of a layer that ends in an activation, what goes
            into that.
        after: the first activation of it; None where none follows.
        activation: its name, e.g. ``"relu"``; empty where none follows.
    """

    layer: str
    before: Tensor
    after: Tensor | None = None
    activation: str = ""


def feature_maps(model: nn.Module, inputs: Tensor, layers: Sequence[str] = ()) -> list[Given]:
    """What layers give for images, in the order in which they are called.

    Args:
        inputs: (B, C, H, W), preprocessed.
        layers: names or patterns; every convolution unless given. A layer that holds others gives what they make
            together; where that ends in an activation, ``before`` is what goes into it.

    Raises:
        PegboardError: a pattern means no layer, or no tensor comes out of those it means.
    """
    with looking(model, inputs) as (inner, inputs), torch.no_grad():
        modules = {name: module for name, module in inner.named_modules() if name}
        wanted = matching(layers, list(modules)) if layers else default_layers(inner)
        watch = _Watch()
        with watch, _hooked({name: modules[name] for name in wanted}, watch.left):
            inner(inputs)
    if not watch.given:
        raise PegboardError(f"{', '.join(wanted[:3])}: the forward pass takes no tensor out of such a layer")
    return watch.given


def default_layers(model: nn.Module) -> list[str]:
    """The names of its convolutions.

    Raises:
        PegboardError: there is none.
    """
    found = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
    if not found:
        names = ", ".join(name for name, _ in model.named_children())
        raise PegboardError(f"the {type(model).__name__} has no 2-D convolution; name its layers, e.g. of {names}")
    return found


class _Watch(TorchFunctionMode):
    """Sees every function of torch that a forward pass calls, and follows what layers gave.

    Attributes:
        given: what layers gave so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Given] = []
        self.calls: dict[str, int] = {}
        self.followed: dict[int, list[Given]] = {}  # by id of the tensor that they have become
        self.activated: dict[int, tuple[Tensor, str]] = {}  # by id of what an activation gave: its input, its name
        self.alive: list[Tensor] = []  # so that no id is given twice

    def left(self, name: str, output: Tensor) -> None:
        """A layer has given ``output``."""
        self.calls[name] = self.calls.get(name, 0) + 1
        shown = name if self.calls[name] == 1 else f"{name}, {_ordinal(self.calls[name])} call"
        if id(output) in self.activated:
            before, activation = self.activated[id(output)]
            self.given.append(Given(shown, before, _kept(output), activation))
            return
        self.given.append(Given(shown, _kept(output)))
        self.alive.append(output)
        self.followed.setdefault(id(output), []).append(self.given[-1])

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        name = name if name.startswith("__") else name.strip("_")
        if name not in ACTIVATIONS and name not in FOLLOWED:
            output = func(*args, **(kwargs or {}))
            if isinstance(output, Tensor):  # in place, or with weights: what it was before is gone
                self.followed.pop(id(output), None)
            return output
        sources = list(_tensors(args)) + list(_tensors(tuple((kwargs or {}).values())))
        reached = [given for source in sources for given in self.followed.get(id(source), [])]
        before = _kept(sources[0]) if name in ACTIVATIONS and sources else None
        output = func(*args, **(kwargs or {}))
        for result in _tensors(output):
            self.alive.append(result)
            self.activated.pop(id(result), None)  # changed in place
            if before is None:
                self.followed[id(result)] = list({id(given): given for given in reached}.values())
                continue
            self.followed.pop(id(result), None)
            self.activated[id(result)] = (before, name)
            for given in reached:
                if given.after is None:
                    given.after, given.activation = _kept(result), name
        return output


@contextmanager
def _hooked(modules: dict[str, nn.Module], left: Callable[[str, Tensor], None]) -> Iterator[None]:
    """While it is open, ``left(name, output)`` is called whenever one of the modules gives a tensor."""
    handles = []
    for name, module in modules.items():

        def leave(module: nn.Module, args: Any, output: Any, name: str = name) -> None:
            first = next(_tensors(output), None)
            if first is not None:
                left(name, first)

        handles.append(module.register_forward_hook(leave))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)


def _kept(tensor: Tensor) -> Tensor:
    """A copy: the next function may work in place."""
    with torch._C.DisableTorchFunction():
        return tensor.detach().float().cpu().clone()


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


# -- drawing ---------------------------------------------------------------------------------------------------------


def as_maps(given: Tensor) -> NDArray[np.float32]:
    """What a layer gave for one image, as maps (C, h, w).

    Tokens (T, D) are one map, a row each. A vector, or maps of one pixel each, are one map of some rows, the last one
    filled up with nan.
    """
    values = given.numpy()
    if values.ndim < 2 or values.shape[-2:] == (1, 1):
        flat = values.ravel()
        across = math.ceil(math.sqrt(4 * len(flat)))
        padded = np.full(math.ceil(len(flat) / across) * across, np.nan, np.float32)
        padded[: len(flat)] = flat
        values = padded.reshape(-1, across)
    return np.asarray(values.reshape(-1, *values.shape[-2:]), dtype=np.float32)


def maps_shown(given: Given, images: Sequence[Picture], titles: Sequence[str], when: str, most: int = MAPS) -> Drawn:
    """``Feature_Maps_<layer>``: :func:`page_of`."""
    data = {"kind": "feature_maps", "layer": given.layer, "activation": given.activation, "labels": list(titles)}
    caption = f"{given.layer}, {when}"
    return Drawn(f"Feature_Maps_{given.layer}", page_of(given, images, titles, caption, most), caption, data)


def page_of(given: Given, images: Sequence[Picture], titles: Sequence[str], heading: str, most: int = MAPS) -> Picture:
    """A page for one layer: each row an image, the maps before the activation, and those after it.

    Args:
        images, titles: one for each image that went through the network.
        most: maps of the layer that are shown, spread evenly over all.
    """
    lines = ["each map from its smallest value (dark) to its largest (bright); one that is the same everywhere is grey"]
    count = len(as_maps(given.before[0]))
    if count > most:
        lines.append(f"shown: {most} of {count} maps, evenly spread")
    rows = []
    for place, (image, title) in enumerate(zip(images, titles, strict=True)):
        step = math.ceil(max(image.shape[:2]) / LARGEST_INPUT)
        small = image[::step, ::step]
        row = [titled(enlarged(small, factor_for(max(small.shape[:2]), INPUT)), title)]
        row.append(_titled_grid(given.before[place], f"before {given.activation}, " if given.activation else "", most))
        if given.after is not None:
            row.append(_titled_grid(given.after[place], f"after {given.activation}, ", most))
        rows.append(beside(row, gap=22))
    return page(rows, heading, lines)


def _titled_grid(given: Tensor, what: str, most: int) -> Picture:
    """Its title says the size of a map, and how many are the same everywhere."""
    maps = as_maps(given)
    levels = each_scaled(maps)
    is_flat = np.ptp(levels.reshape(len(levels), -1), axis=1) == 0
    size = f"{maps.shape[1]} x {maps.shape[2]}" if given.ndim > 1 and maps.size == given.numel() else None
    size = f"{given.numel()} values" if given.shape[-2:] == (1, 1) or size is None else size
    flat = f", {int(is_flat.sum())} flat" if is_flat.any() else ""
    chosen = spread(len(maps), most)
    return titled(_grid_of(levels[chosen], is_flat[chosen], np.isfinite(maps[chosen])), f"{what}{size}{flat}")


def _grid_of(levels: NDArray[np.uint8], is_flat: NDArray[np.bool_], is_finite: NDArray[np.bool_]) -> Picture:
    from matplotlib import colormaps

    tiles = np.asarray(colormaps["viridis"](levels, bytes=True)[..., :3], dtype=np.uint8)
    tiles[is_flat] = FLAT
    tiles[~is_finite] = WHITE
    count, height, width = levels.shape
    across = max(1, math.ceil(math.sqrt(count * height / width)))
    step, factor = math.ceil(across * width / LARGEST), factor_for(across * width, WIDTH)
    return grid(np.stack([enlarged(tile[::step, ::step], factor) for tile in tiles]), across, gap=2)
