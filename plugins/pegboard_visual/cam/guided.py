"""Guided backpropagation: the gradient at the image, with what speaks against the class left out at every ReLU.

Dimension letters: B images, C channels, H x W an image.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from pegboard import PegboardError
from pegboard_visual.cam.cells import upsample
from pegboard_visual.cam.gradients import grad_cam
from pegboard_visual.cam.layers import Reshape
from pegboard_visual.cam.maps import finite
from pegboard_visual.cam.session import chosen, gradient, looking, scores


def guided_backprop(model: nn.Module, images: Tensor, targets: int | Tensor | None = None) -> Tensor:
    """How the target's score grows with each pixel, where only positive gradients pass a ReLU.

    Every ReLU counts, a module or a function, in place or not.

    Args:
        targets: a class for all images, or one each, (B,); the predicted one if None.

    Shapes: images (B, C, H, W) float -> the same shape, float32, of either sign.
    Raises:
        PegboardError: no such class, or the model has no ReLU: then this would be the plain gradient.
    Source: Springenberg et al. 2015, arXiv:1412.6806, section 3.4.
    """
    with looking(model, images) as (inner, images):
        leaf = images.requires_grad_()
        with _Guided() as guided:
            logits = scores(inner, leaf.clone())
        if not guided.count:
            raise PegboardError(
                f"guided backpropagation changes the gradient of ReLUs, and the {type(inner).__name__} has none; "
                "Grad-CAM needs none"
            )
        found = gradient(logits, chosen(targets, logits), leaf)
        if found is None:
            raise PegboardError("the scores do not depend on the images differentiably")
        return finite(found, "guided backpropagation")


def guided_grad_cam(
    model: nn.Module,
    images: Tensor,
    targets: int | Tensor | None = None,
    layer: str | nn.Module | None = None,
    reshape: Reshape | None = None,
) -> Tensor:
    """Guided backpropagation times Grad-CAM, stretched over the image: fine detail, of this class alone.

    Args:
        targets: a class for all images, or one each, (B,); the predicted one if None.
        layer: a name or module, for Grad-CAM; ``default_layer`` if None.
        reshape: makes maps of a layer's output of another shape; found for torchvision's ViT.

    Shapes: images (B, C, H, W) float -> the same shape, float32, of either sign.
    Raises:
        PegboardError: as Grad-CAM and guided backpropagation.
    Source: Selvaraju et al. 2017, arXiv:1610.02391, section 3.2.
    """
    maps = grad_cam(model, images, targets, layer, reshape)
    return guided_backprop(model, images, targets) * upsample(maps, images.shape[-2:])[:, None]


class _GuidedReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.relu()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        y: Tensor = ctx.saved_tensors[0]
        return gradient.relu() * (y > 0)


class _Guided(TorchFunctionMode):
    """While it is on, every ReLU is a guided one; ``count`` says how many were called."""

    count = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _RELUS:
            return func(*args, **kwargs)
        self.count += 1
        x = args[0] if args else kwargs["input"]
        in_place = func in _IN_PLACE or (args[1] if len(args) > 1 else kwargs.get("inplace", False))
        y = _GuidedReLU.apply(x)
        return x.copy_(y) if in_place else y  # in place: the caller may go on with x and drop what is returned


_IN_PLACE = {F.relu_, torch.relu_, Tensor.relu_}
_RELUS = {F.relu, torch.relu, Tensor.relu, *_IN_PLACE}
