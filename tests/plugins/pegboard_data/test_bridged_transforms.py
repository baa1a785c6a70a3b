"""Every transform of torchvision that takes one image runs under ``torchvision:NAME``, sample by sample."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from pegboard import Config, PegboardError, Transform
from pegboard.config import check
from pegboard.data.transform import Pipeline
from pegboard.registry import TRANSFORMS
from tests import runs
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


def brighter(image: Tensor) -> Tensor:
    return image + 1


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "ToDtype", "dtype": "float32", "scale": True}, v2.ToDtype(torch.float32, scale=True)),
        ({"type": "ToDtype", "dtype": "torch.float64"}, v2.ToDtype(torch.float64)),
        (
            {"type": "torchvision:Resize", "size": 8, "interpolation": "nearest"},
            v2.Resize(8, InterpolationMode.NEAREST),
        ),
        ({"type": "Lambda", "lambd": f"{__name__}:brighter"}, brighter),
    ],
)
def test_a_config_says_in_words_what_the_class_takes_as_an_object(
    part: dict[str, Any], expected: Any, boards: None
) -> None:
    runs.hang_up()
    assert not check(Config.from_values(runs.values(test={"dataset": {"type": "FakeData"}, "transforms": [part]})))
    image = make(1, 16, 16)[0]
    assert torch.equal(TRANSFORMS.build(part)(image), expected(image))


@pytest.mark.parametrize(
    ("part", "path", "message"),
    [
        ({"type": "torchvision:Resize", "size": 8, "interpolation": "nearst"}, "interpolation", "'nearest'?"),
        ({"type": "AutoAugment", "policy": "imagnet"}, "policy", "did you mean 'imagenet'?"),
        ({"type": "Lambda", "lambd": "math:sqrtt"}, "lambd", "there is no 'sqrtt' in math; did you mean 'sqrt'?"),
    ],
)
def test_a_word_that_means_nothing_is_a_problem(part: dict[str, Any], path: str, message: str, boards: None) -> None:
    runs.hang_up()
    config = Config.from_values(runs.values(test={"dataset": {"type": "FakeData"}, "transforms": [part]}))
    (problem,) = check(config)
    assert problem.path == f"test.transforms.0.{path}" and message in problem.message


def test_a_dtype_that_is_none_is_said() -> None:
    with pytest.raises(PegboardError, match="torch has no dtype 'flaot32'"):
        TRANSFORMS.build({"type": "ToDtype", "dtype": "flaot32"})
