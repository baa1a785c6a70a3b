"""Models without values: memory is reserved for their weights, and none of it is taken before something is written."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

OWN = ("_parameters", "_buffers", "_modules")  # of every module


def hollow(build: Callable[[], nn.Module]) -> nn.Module | None:
    """The model on the CPU, its parameters and buffers without values; None where it has to be built whole.

    That is where the constructor looks at values, where it keeps tensors that are neither parameters nor buffers, and
    where layers are lazy, which a batch must give their shapes.
    """
    try:
        with torch.device("meta"):
            model = build()
    except (RuntimeError, NotImplementedError, TypeError, ValueError):  # whole, it works or says what is wrong
        return None
    if not isinstance(model, nn.Module):
        return None
    for module in model.modules():
        others = tree_leaves({name: value for name, value in vars(module).items() if name not in OWN})
        if any(isinstance(value, Tensor) and value.is_meta for value in others):
            return None
    if any(map(is_lazy, model.parameters())):
        return None
    given: dict[int, Tensor] = {}  # weights that are tied stay so
    for module in model.modules():
        for store in (module._parameters, module._buffers):
            for name, tensor in store.items():
                if tensor is not None and tensor.is_meta:
                    store[name] = given.setdefault(id(tensor), _reserved(tensor))  # type: ignore[assignment]
    return model


def _reserved(tensor: Tensor) -> Tensor:
    new = torch.empty_like(tensor, device="cpu")
    return nn.Parameter(new, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else new
