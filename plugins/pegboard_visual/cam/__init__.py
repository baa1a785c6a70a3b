"""What in an image speaks for a class: class activation maps and guided gradients, as functions.

Each takes a model and images (B, C, H, W) float, and leaves the model as it was: its modes, gradients, hooks and
``requires_grad`` flags, and the state of the random generators. It may be called under ``torch.inference_mode``.
"""

from pegboard_visual.cam.cells import Axis, Cells, cells_of, upsample
from pegboard_visual.cam.eigen import eigen_cam
from pegboard_visual.cam.gradients import grad_cam, grad_cam_plus_plus
from pegboard_visual.cam.guided import guided_backprop, guided_grad_cam
from pegboard_visual.cam.layers import default_layer, predict
from pegboard_visual.cam.maps import is_flat, scaled
from pegboard_visual.cam.pooled import cam

METHODS = {
    "gradcam": grad_cam,
    "gradcam++": grad_cam_plus_plus,
    "cam": cam,
    "eigencam": eigen_cam,
    "guided_backprop": guided_backprop,
    "guided_gradcam": guided_grad_cam,
}

__all__ = [
    "METHODS",
    "Axis",
    "Cells",
    "cam",
    "cells_of",
    "default_layer",
    "eigen_cam",
    "grad_cam",
    "grad_cam_plus_plus",
    "guided_backprop",
    "guided_grad_cam",
    "is_flat",
    "predict",
    "scaled",
    "upsample",
]
