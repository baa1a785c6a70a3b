"""Every transform of torchvision that takes one image runs under ``torchvision:NAME``, sample by sample."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pegboard import Transform
from pegboard.data.transform import Pipeline
from pegboard.registry import TRANSFORMS
from tests.images import make

# The fewest arguments of those that need some.
LEAST: dict[str, dict[str, Any]] = {
    "CenterCrop": {"size": 8},
    "ColorJitter": {"brightness": 0.5},
    "Compose": {"transforms": [{"type": "torchvision:RandomCrop", "size": 8}]},
    "ElasticTransform": {"sigma": 1.0},
    "GaussianBlur": {"kernel_size": 3},
    "JPEG": {"quality": 50},
    "LinearTransformation": {
        "transformation_matrix": torch.eye(3 * 16 * 16), "mean_vector": torch.zeros(3 * 16 * 16)
    },
    "Normalize": {"mean": [0.5] * 3, "std": [0.5] * 3},
    "Pad": {"padding": 2},
    "RandomAdjustSharpness": {"sharpness_factor": 2},
    "RandomAffine": {"degrees": 20},
    "RandomApply": {"transforms": [{"type": "torchvision:RandomRotation", "degrees": 20}]},
    "RandomChoice": {"transforms": [{"type": "torchvision:RandomRotation", "degrees": 20}]},
    "RandomCrop": {"size": 8},
    "RandomOrder": {"transforms": [{"type": "torchvision:RandomRotation", "degrees": 20}]},
    "RandomPosterize": {"bits": 3},
    "RandomResizedCrop": {"size": 8},
    "RandomRotation": {"degrees": 20},
    "RandomSolarize": {"threshold": 100},
    "Resize": {"size": 8},
    "ToDtype": {"dtype": torch.float32},
}  # fmt: skip
# What they take instead of one image, or give instead of one tensor of one shape.
OTHERS = {
    "ConvertBoundingBoxFormat": "boxes", "CutMix": "a batch", "FiveCrop": "gives five", "Lambda": "takes a function",
    "MixUp": "a batch", "PILToTensor": "a PIL image", "RandomIoUCrop": "boxes", "RandomResize": "gives any size",
    "RandomShortestSize": "gives any size", "RandomZoomOut": "gives any size", "SanitizeBoundingBoxes": "boxes",
    "SanitizeKeyPoints": "key points", "ScaleJitter": "gives any size", "SetClampingMode": "boxes",
    "TenCrop": "gives ten", "ToPILImage": "gives a PIL image", "ToTensor": "a PIL image",
    "UniformTemporalSubsample": "a video",
}  # fmt: skip
FLOATS = ("GaussianNoise", "LinearTransformation", "Normalize")
NAMES = sorted({entry.name for entry in TRANSFORMS.list("torchvision:*")} - OTHERS.keys())


def test_there_are_many() -> None:
    assert len(NAMES) > 35


@pytest.mark.parametrize("name", NAMES)
def test_it_gives_a_sample_what_it_would_get_alone(name: str) -> None:
    transform = TRANSFORMS.build({"type": f"torchvision:{name}", **LEAST.get(name, {})})
    assert not isinstance(transform, Transform)
    images = make(6, 16, 16, dtype=torch.float32 if name in FLOATS else torch.uint8)
    pipeline = Pipeline([transform], seed=3)

    def run(which: slice) -> Tensor:
        index = np.arange(6)[which]
        return pipeline(images[which], torch.zeros(len(index)), index, 0, index)[0]

    whole = run(slice(0, 6))
    assert whole.shape[0] == 6
    for i in range(6):
        assert torch.equal(run(slice(i, i + 1))[0], whole[i])
