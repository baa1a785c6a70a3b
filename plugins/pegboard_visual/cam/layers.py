"""Which layer's maps are read, and reading them.

Dimension letters: B images, K maps, h x w a map, T tokens, D values a token, N classes.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pegboard import PegboardError
from pegboard.errors import did_you_mean
from pegboard_visual.cam.maps import finite
from pegboard_visual.cam.session import chosen, gradient, looking, scores

Reshape = Callable[[Tensor], Tensor]  # what a layer gives, e.g. (B, T, D), to maps (B, K, h, w)


class Place(NamedTuple):
    """A layer of a model.

    Args:
        name: as in ``named_modules``.
        reshape: makes maps of what it gives; None where it gives maps.
    """

    name: str
    module: nn.Module
    reshape: Reshape | None


class Read(NamedTuple):
    """What a layer gave for some images, and how the scores of the targets change with it.

    Args:
        maps: (B, K, h, w) float32.
        gradients: the same.
        logits: (B, N).
        targets: (B,) int64.
    """

    maps: Tensor
    gradients: Tensor
    logits: Tensor
    targets: Tensor


def default_layer(model: nn.Module, images: Tensor) -> str:
    """The name of the layer that is read unless another is named: the last one that gives maps of more than a pixel.

    Of torchvision's VisionTransformer it is the first norm of the last block: behind it, only the class token counts.

    Raises:
        PegboardError: there is none.
    """
    with looking(model, images) as (inner, images):
        return find(inner, images, None, None).name


def predict(model: nn.Module, images: Tensor) -> Tensor:
    """The model's scores in evaluation mode: images (B, C, H, W) -> (B, N) float32."""
    with looking(model, images) as (inner, images), torch.no_grad():
        return scores(inner, images).float()


def find(model: nn.Module, images: Tensor, layer: str | nn.Module | None, reshape: Reshape | None) -> Place:
    """The layer that a caller means.

    Args:
        model: unwrapped, in evaluation mode.

    Raises:
        PegboardError: the model has no such layer, or none with maps.
    """
    tokens = _tokens_of(model)
    if layer is None and tokens is None:
        if reshape is not None:
            raise PegboardError("reshape is for the output of a certain layer; say layer= too")
        name = _last_with_maps(model, images)
        return Place(name, model.get_submodule(name), None)
    if layer is None:
        blocks = [name for name, _ in model.named_modules() if name.startswith("encoder.layers.")]
        layer = next(name for name in reversed(blocks) if name.endswith(".ln_1"))
    known = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    known = {name.replace("_orig_mod.", ""): module for name, module in known.items()} | known
    for name, module in known.items():
        if layer is module or layer == name:
            return Place(name, module, reshape or tokens)
    if isinstance(layer, nn.Module):
        raise PegboardError(f"the layer, a {type(layer).__name__}, is no part of the {type(model).__name__}")
    last = f"; the last one with maps is {_last_with_maps(model, images)!r}"
    raise PegboardError(
        f"the {type(model).__name__} has no layer {layer!r}{did_you_mean(layer, known, otherwise=last)}"
    )


def read(
    model: nn.Module,
    images: Tensor,
    targets: int | Tensor | None,
    layer: str | nn.Module | None,
    reshape: Reshape | None,
) -> Read:
    """Run a model forward, and the targets' scores backward as far as the layer.

    What the layer gives is cut from the graph before it, so that gradients exist with frozen weights too, and what
    follows gets a copy, so that a ReLU in place cannot change what was read. Of a layer that is called several times
    in a forward, the last call counts.

    Raises:
        PegboardError: the layer gives no maps, or the scores do not depend on it.
    """
    with looking(model, images) as (inner, images):
        place = find(inner, images, layer, reshape)
        leaves: list[Tensor] = []

        def cut(module: nn.Module, inputs: Any, output: Any) -> Any:
            first = first_of(output)
            leaf = first.detach().requires_grad_()
            leaves.append(leaf)
            return leaf.clone() if output is first else type(output)([leaf.clone(), *output[1:]])

        handle = place.module.register_forward_hook(cut)
        try:
            logits = scores(inner, images)
        finally:
            handle.remove()
        if not leaves:
            raise PegboardError(f"layer {place.name!r} takes no part in the model's forward pass")
        maps = as_maps(leaves[-1], place)
        wanted = chosen(targets, logits)
        found = gradient(logits, wanted, leaves[-1])
        if found is None:
            raise PegboardError(f"the scores do not depend on what layer {place.name!r} gives, or not differentiably")
        what = f"layer {place.name!r}"
        return Read(finite(maps, what), finite(as_maps(found, place), what), logits.detach().float(), wanted)


def maps_of(model: nn.Module, images: Tensor, place: Place) -> tuple[Tensor, Tensor]:
    """What a layer gives, (B, K, h, w) float32, and the scores (B, N), without gradients."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        kept.append(first_of(output).detach().clone())  # a ReLU in place may follow

    handle = place.module.register_forward_hook(keep)
    try:
        with torch.no_grad():
            logits = scores(model, images)
    finally:
        handle.remove()
    if not kept:
        raise PegboardError(f"layer {place.name!r} takes no part in the model's forward pass")
    return finite(as_maps(kept[-1], place), f"layer {place.name!r}"), logits.float()


def as_maps(output: Tensor, place: Place) -> Tensor:
    """What a layer gives, as maps (B, K, h, w)."""
    if place.reshape is not None and output.ndim != 4:
        output = place.reshape(output)
    if output.ndim != 4:
        shape = tuple(output.shape)
        hint = "say reshape=, which makes (B, K, h, w) of it" if output.ndim == 3 else "name a layer before it"
        raise PegboardError(f"layer {place.name!r} gives {shape}, which are no maps (B, K, h, w); {hint}")
    return output


def _last_with_maps(model: nn.Module, images: Tensor) -> str:
    """The layer that ends last among those that give (B, K, h, w) with more than one pixel."""
    found: list[str] = []

    def note(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and output.shape[-2] * output.shape[-1] > 1:
                found.append(name)

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in model.named_modules() if name]
    try:
        with torch.no_grad():
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise PegboardError(
            f"the {type(model).__name__} has no layer that gives maps (B, K, h, w) of more than one pixel, so no CAM "
            "can be drawn of it; for tokens, say layer= and reshape="
        )
    return found[-1]


def _tokens_of(model: nn.Module) -> Reshape | None:
    """What makes maps of the tokens of torchvision's VisionTransformer; None for any other model."""
    home = sys.modules.get("torchvision.models.vision_transformer")
    if home is None or not isinstance(model, home.VisionTransformer):
        return None
    side = int(model.image_size) // int(model.patch_size)

    def without_class_token(tokens: Tensor) -> Tensor:
        return tokens[:, 1:].transpose(1, 2).reshape(len(tokens), -1, side, side)

    return without_class_token


def first_of(output: Any) -> Tensor:
    first = output[0] if isinstance(output, tuple | list) and output else output
    if not isinstance(first, Tensor):
        raise PegboardError(f"the layer gives a {type(output).__name__}, which holds no maps")
    return first
