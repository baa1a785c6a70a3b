"""Torchvision's transforms from what a config can say: words for its enumerations and dtypes, lists for its tensors."""

from collections.abc import Callable, Mapping
from typing import Any

from pegboard import PegboardError, address

# What a config says, where the class takes an object that no config holds.
TAKES = {
    "dtype": "str | dict | torch.dtype",
    "interpolation": "Literal['nearest', 'nearest-exact', 'bilinear', 'bicubic', 'box', 'hamming', 'lanczos'] | int",
    "policy": "Literal['imagenet', 'cifar10', 'svhn']",
    "transformation_matrix": "list[list[float]] | Tensor",
    "mean_vector": "list[float] | Tensor",
}


def build(factory: Callable[..., Any], arguments: dict[str, Any], supply: Mapping[str, Any]) -> Any:
    """A transform of torchvision.

    Functions are given as ``"module:function"``, dtypes as ``"float32"``, interpolations and policies by their value.

    Raises:
        PegboardError: there is no such dtype.
    """
    import torch
    from torchvision.transforms import AutoAugmentPolicy, InterpolationMode

    enumerations = {"interpolation": InterpolationMode, "policy": AutoAugmentPolicy}
    for name, value in arguments.items():
        if name in enumerations and isinstance(value, str):
            arguments[name] = enumerations[name](value)
        elif name == "dtype" and isinstance(value, str):
            arguments[name] = dtype(value)
        elif name == "lambd" and isinstance(value, str):
            arguments[name] = address.resolve(value)
        elif name in ("transformation_matrix", "mean_vector") and isinstance(value, list | tuple):
            arguments[name] = torch.tensor(value, dtype=torch.float32)
    return factory(**arguments)


def dtype(word: str) -> Any:
    """``"float32"`` or ``"torch.float32"`` as a torch.dtype.

    Raises:
        PegboardError: there is none of that name.
    """
    import torch

    found = getattr(torch, word.removeprefix("torch."), None)
    if not isinstance(found, torch.dtype):
        raise PegboardError(f"torch has no dtype {word!r}; there are float32, float16, bfloat16, uint8 and others")
    return found
