"""What a network knows of an image before its last layer.

Dimension letters: B samples of a batch, N samples, D numbers a sample, C channels, T tokens, H x W a map.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pegboard import PegboardError
from pegboard.errors import did_you_mean
from pegboard_visual.cam.session import undisturbed
from pegboard_visual.outcomes import class_count

if TYPE_CHECKING:
    from pegboard import Batch


class Features(NamedTuple):
    """Of some samples, in the order in which they came.

    Args:
        values: (N, D) float32. sample: (N,) places in the dataset. target: (N,) classes.
        classes: how many, K.
        source: where the values come from, in words.
    """

    values: NDArray[np.float32]
    sample: NDArray[np.int64]
    target: NDArray[np.int64]
    classes: int
    source: str


class FeatureWatcher:
    """Takes the features of chosen samples as their batches pass.

    Each batch's chosen samples go through the model a second time, so that a model that is compiled or distributed is
    read as any other.

    Args:
        order: the samples of the pass, of which ``count`` are chosen, spread evenly.
        layer: as ``penultimate`` has it.
    """

    def __init__(self, order: NDArray[np.int64], count: int, layer: str | None) -> None:
        count = min(count, len(order))
        self.wanted = {int(order[place * len(order) // count]) for place in range(count)}
        self.layer = layer
        self.source, self.classes = "", 0
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, model: nn.Module, batch: "Batch", outputs: Any) -> None:
        """One batch.

        Raises:
            PegboardError: this is no classification, or the layer gives no numbers.
        """
        self.classes = class_count(outputs, batch.targets)
        chosen = [place for place, sample in enumerate(batch.index.tolist()) if sample in self.wanted]
        if not chosen:
            return
        places = torch.tensor(chosen)
        truth = batch.targets.argmax(1) if batch.targets.ndim == 2 else batch.targets
        values, self.source = penultimate(model, batch.inputs[places.to(batch.inputs.device)], self.layer)
        self._kept.append((values.cpu(), batch.index.cpu()[places], truth.cpu()[places]))

    def read(self) -> Features:
        """Everything so far.

        Raises:
            PegboardError: there is nothing, or a number that is nan or infinite.
        """
        if not self._kept:
            raise PegboardError("no sample has passed")
        values, sample, target = (torch.cat(parts).numpy() for parts in zip(*self._kept, strict=True))
        if not np.isfinite(values).all():
            raise PegboardError(f"{self.source} has values that are nan or infinite")
        inside = (target >= 0) & (target < self.classes)
        return Features(values[inside], sample[inside], target[inside], self.classes, self.source)


def penultimate(model: nn.Module, inputs: Tensor, layer: str | None = None) -> tuple[Tensor, str]:
    """What the last layer works with: the input of the Linear that the forward pass comes through last.

    Args:
        inputs: (B, ...), as the model takes them.
        layer: the output of this one instead, a name as in ``model.named_modules()``.

    Maps (B, C, H, W) and tokens (B, T, D) are averaged over their places.

    Returns:
        features (B, D) float32 on the inputs' device, and where they come from, in words.

    Raises:
        PegboardError: there is no such layer, or it gives no tensor for each sample.
    """
    seen: dict[str, Any] = {}

    def into(name: str) -> Any:
        def keep(module: nn.Module, given: tuple[Any, ...]) -> None:
            seen.clear()  # only the last one counts
            seen[name] = given[0] if given else None

        return keep

    def out_of(module: nn.Module, given: Any, output: Any) -> None:
        seen[layer or ""] = output

    with undisturbed(model) as inner, torch.no_grad():
        modules = dict(inner.named_modules(remove_duplicate=False))
        if layer is None:
            linear = {id(m): (name, m) for name, m in modules.items() if isinstance(m, nn.Linear)}.values()
            handles = [module.register_forward_pre_hook(into(name)) for name, module in linear]
        else:
            handles = [known_layer(inner, layer).register_forward_hook(out_of)]
        try:
            inner(inputs)
        finally:
            for handle in handles:
                handle.remove()
    if not seen:
        last = next(reversed([name for name in modules if name]), "")
        what = f"layer {layer!r} is not" if layer else "no Linear layer is"
        hint = "" if layer else f"; name the one whose output stands for an image, such as {last!r}"
        raise PegboardError(f"{what} part of the forward pass{hint}")
    [(name, values)] = seen.items()
    source = f"the output of {name}" if layer else f"the input of {name}"
    return _flat(values, len(inputs), channels_last=layer is None, source=source), source


def known_layer(model: nn.Module, layer: str) -> nn.Module:
    """The module of that name.

    Raises:
        PegboardError: there is none.
    """
    modules: dict[str, nn.Module] = dict(model.named_modules(remove_duplicate=False))
    if layer not in modules or not layer:
        names = [name for name in modules if name]
        hint = did_you_mean(layer, names, otherwise=f"; there are {', '.join(names[:10])}")
        raise PegboardError(f"the model has no layer {layer!r}{hint}")
    return modules[layer]


def _flat(values: Any, count: int, channels_last: bool, source: str) -> Tensor:
    if not isinstance(values, Tensor) or values.ndim < 2 or len(values) != count:
        what = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else f"a {type(values).__name__}"
        raise PegboardError(f"{source} is {what}; expected numbers for each of {count} samples")
    found: Tensor = values.detach().float()
    if found.ndim > 2:
        tokens = channels_last or found.ndim == 3  # what a Linear takes has its numbers last
        found = found.flatten(1, -2).mean(1) if tokens else found.flatten(2).mean(2)
    return found
