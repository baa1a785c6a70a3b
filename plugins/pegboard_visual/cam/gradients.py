"""Grad-CAM and Grad-CAM++: maps weighted by the gradients of a class's score.

Dimension letters: B images, K maps, h x w a map.
"""

import torch
from torch import Tensor, nn

from pegboard_visual.cam.layers import Reshape, read
from pegboard_visual.cam.maps import finite


def grad_cam(
    model: nn.Module,
    images: Tensor,
    targets: int | Tensor | None = None,
    layer: str | nn.Module | None = None,
    reshape: Reshape | None = None,
) -> Tensor:
    """Where the layer's maps raise the score of the target: ReLU of their sum, each times its mean gradient.

    Args:
        targets: a class for all images, or one each, (B,); the predicted one if None.
        layer: a name or module; ``default_layer`` if None.
        reshape: makes maps (B, K, h, w) of a layer's output of another shape; found for torchvision's ViT.

    Shapes: images (B, C, H, W) float -> (B, h, w) float32, not negative, not scaled.
    Raises:
        PegboardError: no such layer or class, the layer gives no maps, or the scores do not depend on it.
    Source: Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2.
    """
    maps, gradients, _, _ = read(model, images, targets, layer, reshape)
    weights = gradients.mean((2, 3), keepdim=True)  # (B, K, 1, 1)
    return finite((weights * maps).sum(1).relu(), "Grad-CAM")


def grad_cam_plus_plus(
    model: nn.Module,
    images: Tensor,
    targets: int | Tensor | None = None,
    layer: str | nn.Module | None = None,
    reshape: Reshape | None = None,
) -> Tensor:
    """Grad-CAM with weights that count each pixel's positive gradient by how much it alone explains.

    With g the gradient of the score S, whose exponential is what the paper differentiates, its coefficient
    g^2 / (2 g^2 + sum(A) g^3) is written 1 / (2 + sum(A) g) where g is not 0: the same without a constant against
    division by zero, which would outweigh small gradients. The factor exp(S) scales a map as a whole and is left out.

    Args:
        targets: a class for all images, or one each, (B,); the predicted one if None.
        layer: a name or module; ``default_layer`` if None.
        reshape: makes maps (B, K, h, w) of a layer's output of another shape; found for torchvision's ViT.

    Shapes: images (B, C, H, W) float -> (B, h, w) float32, not negative, not scaled.
    Raises:
        PegboardError: no such layer or class, the layer gives no maps, or the scores do not depend on it.
    Source: Chattopadhyay et al. 2018, arXiv:1710.11063, equations 5, 6 and 19.
    """
    maps, gradients, _, _ = read(model, images, targets, layer, reshape)
    below = 2 + maps.sum((2, 3), keepdim=True) * gradients
    counts = (gradients != 0) & (below != 0)
    alpha = torch.where(counts, 1 / torch.where(counts, below, 1), 0)
    weights = (alpha * gradients.relu()).sum((2, 3), keepdim=True)  # (B, K, 1, 1)
    return finite((weights * maps).sum(1).relu(), "Grad-CAM++")
