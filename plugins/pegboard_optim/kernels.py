"""Which of torch's implementations of an optimizer runs: a loop over parameters, ``foreach``, or ``fused``.

Fused is chosen wherever a class has it and the parameters suit; torch by itself takes ``foreach`` on CUDA and the loop
on a CPU. There, microseconds a step of LeNet on one thread are, loop / foreach / fused: SGD with momentum 105 / 104 /
53, AdamW 404 / 420 / 173; milliseconds of ResNet-18: 9.0 / 10.8 / 6.3 and 41 / 44 / 8.7. Fused and loop differ in the
last bits at most; a config that says ``fused=False`` has the loop's. The choice stands in the parameter groups, and so
in every checkpoint, from which a resumed run takes it.

On a CPU torch's fused kernels walk through the memory of a parameter and of its gradient side by side, and do not look
how they lie there: where that differs they pair the wrong numbers, without a word. Here gradients are laid out as their
parameters before each such step, and a parameter with gaps in its memory is not stepped so. Nor can torch's fused SGD
go on with some momentum where other parameters, frozen until then, have none: they are given what makes their first
step what it is anywhere.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

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
    for parameter in (
        parameter for group in optimizer.param_groups if group.get("fused") for parameter in group["params"]
    ):
        if parameter.device.type == "cpu" and not _without_gaps(parameter):
            shape = parameter.shape
            raise ValueError(f"fused=True on a CPU spoils a parameter with gaps in its memory, here one of {shape}")
    optimizer.register_step_pre_hook(make_ready)  # also where a resume is what makes it fused
    return optimizer


def make_ready(optimizer: Optimizer, args: Any = (), kwargs: Any = None) -> None:
    """Give a fused step what torch's kernels take for granted."""
    for group in optimizer.param_groups:
        if not group.get("fused"):
            continue
        learning = [parameter for parameter in group["params"] if parameter.grad is not None]
        for parameter in learning:
            gradient = parameter.grad
            if not gradient.is_sparse and not gradient.is_cuda and gradient.stride() != parameter.stride():
                parameter.grad = torch.empty_like(parameter).copy_(gradient)
        if isinstance(optimizer, SGD) and group["momentum"]:
            _begin_momentum(optimizer, group, learning)


def _begin_momentum(optimizer: SGD, group: Mapping[str, Any], learning: Sequence[Tensor]) -> None:
    """Of parameters without momentum among others that have some: so that their first step is the gradient itself."""
    late = [parameter for parameter in learning if optimizer.state[parameter].get("momentum_buffer") is None]
    if len(late) == len(learning):  # the first step of all, which torch takes right
        return
    # The kernel makes momentum * before + (1 - dampening) * gradient of it, the gradient with decay.
    share = group["dampening"] / group["momentum"]
    sign = -1.0 if group["maximize"] else 1.0
    for parameter in late:
        before = torch.zeros_like(parameter).add_(parameter.detach(), alpha=share * group["weight_decay"])
        before.add_(parameter.grad, alpha=share * sign)  # type: ignore[arg-type]  # those that learn have one
        optimizer.state[parameter]["momentum_buffer"] = before


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
    if any(hasattr(parameter, "to_local") for parameter in parameters):  # sharded over ranks: SGD's cannot
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
