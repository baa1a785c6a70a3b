"""CAM as it was first: the maps before a global average pool, weighted as the classifier weights their means.

Dimension letters: B images, K maps, h x w a map, N classes.
"""

from typing import Any

import torch
from torch import Tensor, nn

from pegboard import PegboardError
from pegboard_visual.cam.layers import find, maps_of
from pegboard_visual.cam.maps import finite
from pegboard_visual.cam.session import chosen, looking

CLOSE = 1e-4  # largest difference, relative to the largest value, at which two tensors are the same one


def cam(
    model: nn.Module,
    images: Tensor,
    targets: int | Tensor | None = None,
    layer: str | nn.Module | None = None,
) -> Tensor:
    """The sum of the maps, each times the classifier's weight between its mean and the target.

    It needs a model whose scores are a linear layer over the layer's maps, or their ReLU, averaged; or those averages
    themselves, where there is a map for each class. Whether that is so is seen in the forward pass.

    Args:
        targets: a class for all images, or one each, (B,); the predicted one if None.
        layer: a name or module; ``default_layer`` if None.

    Shapes: images (B, C, H, W) float -> (B, h, w) float32, of either sign, not scaled; their mean is the score less its
    bias.
    Raises:
        PegboardError: no such layer or class, or the model is built otherwise.
    Source: Zhou et al. 2016, arXiv:1512.04150, equation 2.
    """
    with looking(model, images) as (inner, images):
        place = find(inner, images, layer, None)
        linear: list[tuple[nn.Linear, Tensor, Tensor]] = []

        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            linear.append((module, inputs[0].detach().clone(), output.detach().clone()))  # type: ignore[arg-type]

        handles = [m.register_forward_hook(keep) for m in inner.modules() if isinstance(m, nn.Linear)]
        try:
            maps, logits = maps_of(inner, images, place)
        finally:
            for handle in handles:
                handle.remove()
        wanted = chosen(targets, logits)
        for pooled in (maps, maps.relu()):
            if _same(pooled.mean((2, 3)), logits):  # a map for each class, as in Network in Network
                return finite(pooled[torch.arange(len(pooled), device=pooled.device), wanted], "CAM")
            for module, features, output in reversed(linear):
                if _same(pooled.mean((2, 3)), features) and _same(output, logits):
                    return finite(torch.einsum("bk,bkhw->bhw", module.weight[wanted].float(), pooled), "CAM")
    raise PegboardError(
        f"CAM needs a global average pool between maps and one linear layer that gives the scores, and the "
        f"{type(inner).__name__} has none after layer {place.name!r}; Grad-CAM needs neither"
    )


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    largest = torch.maximum(one.abs().max(), other.abs().max())
    return bool((one.float() - other.float()).abs().max() <= CLOSE * largest)
