"""Which of torch's implementations of an optimizer runs: a loop over parameters, ``foreach``, or ``fused``.

Fused is chosen wherever a class has it and the parameters suit; torch by itself takes ``foreach`` on CUDA and the loop
on a CPU. There, microseconds a step of LeNet on one thread are, loop / foreach / fused: SGD with momentum 105 / 104 /
53, AdamW 404 / 420 / 173; milliseconds of ResNet-18: 9.0 / 10.8 / 6.3 and 41 / 44 / 8.7. Fused and loop differ in the
last bits at most; a config that says ``fused=False`` has the loop's. The choice stands in the parameter groups, and so
in every checkpoint, from which a resumed run takes it.

On a CPU torch's fused kernels walk through the memory of a parameter and of its gradient side by side, and do not look
how they lie there: where that differs they pair the wrong numbers, without a word. Here gradients are laid out as their
parameters before each such step, and a parameter with gaps in its memory is not stepped so.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

# Options with which a config chooses by itself.
STATED = ("foreach", "fused", "differentiable", "capturable")


def build(factory: Callable[..., Any], arguments: dict[str, Any], supply: Mapping[str, Any]) -> Any:
    """An optimizer of torch, fused where that is supported and the config says nothing else.

    Raises:
        ValueError: the config asks for a fused step of what it would spoil.
    """
    stated = any(option in options for options in (arguments, *_groups(arguments)) for option in STATED)
    if "fused" not in inspect.signature(factory).parameters:
        return factory(**arguments)
    if not stated and _suits(arguments, supply):
        arguments = {**arguments, "fused": True}
    optimizer = factory(**arguments)
    for parameter in _fused_on_cpu(optimizer):
        if not _without_gaps(parameter):
            shape = parameter.shape
            raise ValueError(f"fused=True on a CPU spoils a parameter with gaps in its memory, here one of {shape}")
    optimizer.register_step_pre_hook(lay_out_alike)  # also where a resume is what makes it fused
    return optimizer


def lay_out_alike(optimizer: Optimizer, args: Any = (), kwargs: Any = None) -> None:
    """Bring gradients that somebody made by hand into the order in memory that their parameters have."""
    for parameter in _fused_on_cpu(optimizer):
        gradient = parameter.grad
        if gradient is not None and not gradient.is_sparse and gradient.stride() != parameter.stride():
            parameter.grad = torch.empty_like(parameter).copy_(gradient)


def _fused_on_cpu(optimizer: Optimizer) -> list[Tensor]:
    groups = (group["params"] for group in optimizer.param_groups if group.get("fused"))
    return [parameter for group in groups for parameter in group if not parameter.is_cuda]


def _groups(arguments: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (group for group in arguments["params"] if isinstance(group, Mapping))


def _parameters(arguments: Mapping[str, Any]) -> Iterator[Tensor]:
    for item in arguments["params"]:
        yield from item["params"] if isinstance(item, Mapping) else (item,)


def _suits(arguments: Mapping[str, Any], supply: Mapping[str, Any]) -> bool:
    parameters = list(_parameters(arguments))
    model = supply.get("model")
    if not isinstance(model, nn.Module) or any(getattr(module, "sparse", False) for module in model.modules()):
        return False  # no fused kernel takes sparse gradients
    if supply.get("precision") == "fp16":  # after an overflow in the first step, SGD's would start from unset memory
        return False
    return all(
        parameter.is_floating_point()
        and (parameter.device.type == "cuda" or (parameter.device.type == "cpu" and _without_gaps(parameter)))
        for parameter in parameters
    )


def _without_gaps(parameter: Tensor) -> bool:
    """Whether a tensor fills its memory, each number in a place of its own; in what order does not matter."""
    filled: bool = torch.empty_like(parameter, device="meta").stride() == parameter.stride()
    return filled
