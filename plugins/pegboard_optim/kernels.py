"""Which of torch's implementations of an optimizer runs: a loop over parameters, ``foreach``, or ``fused``.

On CUDA fused is chosen wherever a class has it and the parameters suit; torch by itself takes ``foreach`` there. On a
CPU the choice is left to torch, which takes the loop: fused is faster there too (LeNet on one thread, microseconds a
step of loop / foreach / fused: SGD with momentum 105 / 104 / 53, AdamW 404 / 420 / 173; ResNet-18, milliseconds: 9.0 /
10.8 / 6.3 and 41 / 44 / 8.7), but differs from the loop in the last bits, and a run on a CPU equals the class driven by
hand. A config that says ``fused=True`` has it. The choice stands in the parameter groups, and so in every checkpoint,
from which a resumed run takes it.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

# Options with which a config chooses by itself.
STATED = ("foreach", "fused", "differentiable", "capturable")


def build(factory: Callable[..., Any], arguments: dict[str, Any], supply: Mapping[str, Any]) -> Any:
    """An optimizer of torch, fused on CUDA where that is supported and the config says nothing else."""
    stated = any(option in options for options in (arguments, *_groups(arguments)) for option in STATED)
    if not stated and "fused" in inspect.signature(factory).parameters and _suits(arguments, supply):
        arguments = {**arguments, "fused": True}
    return factory(**arguments)


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
    return all(parameter.device.type == "cuda" and parameter.is_floating_point() for parameter in parameters)
