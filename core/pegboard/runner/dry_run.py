"""Before the first step: does a batch go through the model? If not, which layer stops it, and what did it get?"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import is_lazy

from pegboard.errors import ConfigError, Problem
from pegboard.runner.step import Step

# What torch and its layers raise that were given something they cannot take.
OF_TORCH = (RuntimeError,)
OF_A_LAYER = (RuntimeError, ValueError, IndexError, AssertionError, TypeError)


def dry_run(step: Step, inputs: Any, split: str = "train") -> Any:
    """Send inputs through the model in eval mode, without gradients; nothing of the model is changed by it, but that
    lazy layers (``LazyLinear`` and its like) take their shapes from them.

    A model with a ``training_step`` of its own is left alone: what it wants is its own affair. So is an error that its
    own code raises: the run meets it in a moment, and shows where it comes from.

    Args:
        split: whose inputs they are, for the message.

    Returns:
        the model's outputs; None where it was left alone, or failed for a reason of its own.
    Raises:
        ConfigError: a layer cannot take what it gets; it is named, with the expected and the received shapes.
    """
    if step.training_step is not None:
        return None
    model = step.model
    running: list[tuple[str, nn.Module, Any]] = []  # the layers that have begun and not ended, the innermost last
    with _unchanged(model), _followed(model, running), torch.no_grad(), step.autocast or nullcontext():
        try:
            model.eval()
            return model(inputs)
        except torch.OutOfMemoryError:
            return None  # the run itself says best what to do about it
        except Exception as error:
            name, module, given = running[-1] if running else ("", model, inputs)
            of_torch = type(module).__module__.startswith("torch.nn.")
            if isinstance(error, OF_A_LAYER if of_torch else OF_TORCH):
                message = ("" if split == "train" else f"with {split!r} data: ") + explain(name, module, given, error)
                raise ConfigError([Problem(message, "model")]) from error
            return None


@contextmanager
def same_randomness(generators: Sequence[torch.Generator]) -> Iterator[None]:
    """What is drawn inside is as if it had not been."""
    states = [generator.get_state() for generator in generators]
    of_python, of_numpy = random.getstate(), np.random.get_state()  # transforms may use them
    try:
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
        random.setstate(of_python)
        np.random.set_state(of_numpy)


def explain(name: str, module: nn.Module, given: Any, error: Exception) -> str:
    """One sentence about a layer that failed: what it expects and what it got."""
    layer = f"layer {name!r}, {type(module).__name__}," if name else f"{type(module).__name__}"
    what = given[0] if isinstance(given, tuple) and len(given) == 1 else given
    expected, argument, size = _expected(module, what)
    if argument:
        return f"{layer} expects {expected}, got {shapes(what)}; {argument}={size} would fit"
    if expected:
        return f"{layer} expects {expected}, got {shapes(what)}"
    hint = ""
    if isinstance(what, Tensor) and not what.is_floating_point() and not name.endswith("embedding"):
        hint = f"; it got {str(what.dtype).removeprefix('torch.')}: is ToFloat among the transforms?"
    reason = shorten(str(error), 300) or type(error).__name__
    return f"{layer} cannot take {shapes(what)}: {reason}{hint}"


def _expected(module: nn.Module, given: Any) -> tuple[str, str, int]:
    """(the shape that a layer takes, the argument that would make it fit, and its value); empty where it fits."""
    if not isinstance(given, Tensor) or given.dim() < 2:
        return "", "", 0
    if isinstance(module, nn.Linear) and given.shape[-1] != module.in_features:
        return f"(..., {module.in_features})", "in_features", given.shape[-1]
    if isinstance(module, _ConvNd):
        sides = ", ".join("DHW"[3 - len(module.kernel_size) :])
        wanted = f"(B, {module.in_channels}, {sides})"
        if given.dim() not in (len(module.kernel_size) + 1, len(module.kernel_size) + 2):
            return wanted, "", 0
        channels = given.shape[-len(module.kernel_size) - 1]
        return (wanted, "in_channels", channels) if channels != module.in_channels else ("", "", 0)
    if isinstance(module, _NormBase) and given.shape[1] != module.num_features:
        return f"(B, {module.num_features}, ...)", "num_features", given.shape[1]
    if isinstance(module, nn.LayerNorm) and given.shape[-len(module.normalized_shape) :] != module.normalized_shape:
        return f"(..., {', '.join(map(str, module.normalized_shape))})", "", 0
    return "", "", 0


def shapes(value: Any) -> str:
    """``"(2, 3, 32, 32)"``; of several tensors, one after the other."""
    if isinstance(value, Tensor):
        return str(tuple(value.shape))
    if isinstance(value, list | tuple):
        return " and ".join(map(shapes, value)) or "nothing"
    return type(value).__name__


@contextmanager
def _followed(model: nn.Module, running: list[tuple[str, nn.Module, Any]]) -> Iterator[None]:
    """Keep in ``running`` which layers are being computed."""
    handles = []

    def begin(name: str) -> Any:
        def hook(module: nn.Module, given: Any) -> None:
            running.append((name, module, given))

        return hook

    def end(module: nn.Module, given: Any, outputs: Any) -> None:
        running.pop()

    for name, module in model.named_modules():
        handles += [module.register_forward_pre_hook(begin(name)), module.register_forward_hook(end)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _unchanged(model: nn.Module) -> Iterator[None]:
    """Put every module's mode and every buffer back as they were."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, buffer, None if buffer is None else buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is None or not is_lazy(buffer)
    ]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for module, name, buffer, value in buffers:
            module._buffers[name] = buffer
            if buffer is not None and value is not None:
                buffer.copy_(value)
