"""Eigen-CAM: what a layer's maps have in common, without gradients and without a class.

Dimension letters: B images, K maps, h x w a map.
"""

import torch
from torch import Tensor, nn

from pegboard_visual.cam.layers import Reshape, find, maps_of
from pegboard_visual.cam.maps import finite
from pegboard_visual.cam.session import chosen, looking


def eigen_cam(
    model: nn.Module,
    images: Tensor,
    targets: int | Tensor | None = None,
    layer: str | nn.Module | None = None,
    reshape: Reshape | None = None,
) -> Tensor:
    """The maps projected onto their first right singular vector.

    That leaves the sign open; it is the one that makes the map's sum positive.

    Args:
        targets: checked, and without influence: the map is the same for every class.
        layer: a name or module; ``default_layer`` if None.
        reshape: makes maps (B, K, h, w) of a layer's output of another shape; found for torchvision's ViT.

    Shapes: images (B, C, H, W) float -> (B, h, w) float32, not scaled.
    Raises:
        PegboardError: no such layer or class, or the layer gives no maps.
    Source: Muhammad and Yeasin 2020, arXiv:2008.00299, equation 3; the maps are not centred, as there.
    """
    with looking(model, images) as (inner, images):
        maps, logits = maps_of(inner, images, find(inner, images, layer, reshape))
        chosen(targets, logits)
        pixels = maps.flatten(2).transpose(1, 2)  # (B, h * w, K)
        first = torch.linalg.svd(pixels, full_matrices=False).Vh[:, 0]  # (B, K)
        projected = (pixels @ first[:, :, None])[:, :, 0]
        projected = torch.where(projected.sum(1, keepdim=True) < 0, -projected, projected)
        return finite(projected.reshape(len(maps), *maps.shape[-2:]), "Eigen-CAM")
