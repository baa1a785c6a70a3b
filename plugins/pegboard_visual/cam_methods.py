"""The names of the methods in ``pegboard_visual.cam``, for those who must not import torch to check one."""

from typing import Literal

Method = Literal["gradcam", "gradcam++", "cam", "eigencam", "guided_backprop", "guided_gradcam"]
TITLES: dict[str, str] = {  # as the command and the hook call them, and as people do
    "gradcam": "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "cam": "CAM",
    "eigencam": "Eigen-CAM",
    "guided_backprop": "Guided backpropagation",
    "guided_gradcam": "Guided Grad-CAM",
}
