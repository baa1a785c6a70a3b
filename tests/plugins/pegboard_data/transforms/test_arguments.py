"""Arguments that cannot be are refused in one sentence that names the transform and the argument."""

from typing import Any

import pytest

from pegboard import PegboardError
from pegboard_data import transforms


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("Resize", {"size": 0}, "Resize: size must be an integer of at least 1 or two of them, got 0"),
        ("Resize", {"size": (1, 2, 3)}, "size must be an integer of at least 1 or two of them"),
        ("Resize", {"size": 8, "interpolation": "linear"}, "interpolation must be one of 'nearest', .*got 'linear'"),
        ("Resize", {"size": 8, "max_size": 8}, "max_size must be above size"),
        ("Resize", {"size": (8, 9), "max_size": 20}, r"max_size must be above size.* not \(8, 9\), got 20"),
        ("CenterCrop", {"size": 1.5}, "CenterCrop: size"),
        ("Pad", {"padding": -1}, "Pad: padding must be an integer of at least 0"),
        ("Pad", {"padding": (1, 2, 3)}, "Pad: padding"),
        ("Pad", {"padding": 1, "fill": "red"}, "Pad: fill must be a number or one number a channel, got 'red'"),
        ("Pad", {"padding": 1, "padding_mode": "wrap"}, "padding_mode must be one of"),
        ("RandomCrop", {"size": 8, "padding_mode": "wrap"}, "padding_mode must be one of"),
        (
            "RandomResizedCrop",
            {"size": 8, "scale": (0.5, 0.1)},
            "scale must be .min, max. with min <= max from 0, abov",
        ),
        ("RandomResizedCrop", {"size": 8, "ratio": 1.0}, "ratio must be"),
        ("RandomResizedCrop", {"size": 8, "scale": (0, 1)}, "scale must be .* above 0"),
        ("RandomVerticalFlip", {"p": 2}, "RandomVerticalFlip: p must be from 0 to 1, got 2"),
        ("RandomRotation", {"degrees": -3}, "RandomRotation: degrees must be"),
        ("RandomRotation", {"degrees": (3, 2)}, "RandomRotation: degrees must be"),
        ("RandomRotation", {"degrees": 3, "center": (1, 2, 3)}, r"center must be \(x, y\)"),
        (
            "RandomAffine",
            {"degrees": 3, "translate": (0.1, 2)},
            "translate must be .horizontal, vertical., each from 0",
        ),
        ("RandomAffine", {"degrees": 3, "translate": ()}, "translate must be"),
        ("RandomAffine", {"degrees": 3, "scale": (0, 2)}, "scale must be"),
        ("RandomAffine", {"degrees": 3, "shear": (1, 2, 3)}, "shear must be"),
        ("RandomAffine", {"degrees": 3, "interpolation": "bicubic"}, "interpolation must be one of 'nearest', 'bili"),
        ("ColorJitter", {"brightness": -0.1}, "ColorJitter: brightness must be at least 0, got -0.1"),
        ("ColorJitter", {"contrast": (2, 1)}, "contrast must be"),
        ("ColorJitter", {"hue": 0.6}, "hue must be .min, max. with min <= max from -0.5 to 0.5"),
        ("Grayscale", {"num_output_channels": 2}, "num_output_channels must be 1 or 3, got 2"),
        ("RandomGrayscale", {"p": -1}, "RandomGrayscale: p"),
        ("GaussianBlur", {"kernel_size": 4}, "kernel_size must be odd, got 4"),
        ("GaussianBlur", {"kernel_size": 3, "sigma": 0}, "sigma must be"),
        ("RandomErasing", {"scale": (0, 2)}, "scale must be .min, max. with min <= max from 0 to 1"),
        ("RandomErasing", {"value": "noise"}, "value must be a number, one number a channel or 'random', got 'noise'"),
        ("MixUp", {"alpha": 0, "num_classes": 3}, "MixUp: alpha must be above 0, got 0"),
        ("CutMix", {"num_classes": 0}, "CutMix: num_classes must be at least 1, got 0"),
    ],
)
def test_an_argument_that_cannot_be_is_refused(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PegboardError, match=message) as refused:
        getattr(transforms, name)(**arguments)
    assert str(refused.value).startswith(f"{name}: ") and "\n" not in str(refused.value)
