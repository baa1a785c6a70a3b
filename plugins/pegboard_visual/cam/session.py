"""A model that is only looked at: put into evaluation mode for a moment, and given back as it was."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pegboard import PegboardError


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside DataParallel, DistributedDataParallel and torch.compile."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[nn.Module]:
    """The unwrapped model in evaluation mode, with gradients enabled and nothing compiled.

    Afterwards, also if something raised, each module is in the mode it was in, and the random generators, from which
    a careless forward draws, are where they were.

    Raises:
        PegboardError: the model was built under ``torch.inference_mode``.
    """
    inner = unwrapped(model)
    if any(parameter.is_inference() for parameter in inner.parameters()):
        raise PegboardError(
            "the model was built under torch.inference_mode, where no gradient passes; build it outside"
        )
    modes = [(module, module.training) for module in inner.modules()]
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in {p.device.type for p in inner.parameters()}:
            stack.enter_context(torch.autocast(kind, enabled=False))  # in full, also for a caller under autocast
        used = {p.device for p in inner.parameters() if p.device.type == "cuda"}
        stack.enter_context(torch.random.fork_rng([device.index or 0 for device in used]))
        if any(_is_compiled(module) for module, _ in modes):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        try:
            inner.eval()
            yield inner
        finally:
            for module, training in modes:
                module.training = training


@contextmanager
def looking(model: nn.Module, images: Tensor) -> Iterator[tuple[nn.Module, Tensor]]:
    """``undisturbed``, with a copy of the images that is fit for it: what every method begins with.

    Raises:
        PegboardError: as ``undisturbed`` and ``usable``.
    """
    with undisturbed(model) as inner:
        yield inner, usable(images)


def usable(images: Tensor) -> Tensor:
    """Images that autograd may save, also where the caller made them under ``torch.inference_mode``.

    Raises:
        PegboardError: they are no float images (B, C, H, W).
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or not images.is_floating_point() or not len(images):
        found = f"{tuple(images.shape)} {images.dtype}" if isinstance(images, Tensor) else type(images).__name__
        raise PegboardError(f"expected float images (B, C, H, W), at least one, preprocessed; got {found}")
    return images.detach().clone()


def scores(model: nn.Module, images: Tensor) -> Tensor:
    """The model's scores for each class, (B, K).

    Raises:
        PegboardError: it gives something else, or values that are not finite.
    """
    outputs: Any = model(images)
    if isinstance(outputs, Mapping):
        outputs = outputs.get("logits", outputs.get("out"))
    elif isinstance(outputs, tuple | list) and outputs:
        outputs = outputs[0]
    outputs = getattr(outputs, "logits", outputs)
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or len(outputs) != len(images):
        found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise PegboardError(f"the model gives {found} for {len(images)} images; a map needs scores (B, classes)")
    if not bool(torch.isfinite(outputs).all()):
        raise PegboardError("the model gives scores that are nan or infinite; are its weights finite?")
    return outputs


def chosen(targets: int | Tensor | None, logits: Tensor) -> Tensor:
    """Which class is explained for each image, (B,) int64; the predicted one where ``targets`` is None.

    Raises:
        PegboardError: there is no such class, or there are not as many targets as images.
    """
    if targets is None:
        return logits.detach().argmax(1)
    if isinstance(targets, bool) or not isinstance(targets, int | Tensor):
        raise PegboardError(f"targets must be None, an integer or a tensor (B,) of them, got {targets!r}")
    wanted = torch.as_tensor(targets)
    if wanted.is_floating_point() or wanted.dtype == torch.bool or wanted.ndim > 1:
        raise PegboardError(f"targets must be integers (B,), got {tuple(wanted.shape)} {wanted.dtype}")
    if wanted.ndim == 1 and len(wanted) != len(logits):
        raise PegboardError(f"there are {len(wanted)} targets for {len(logits)} images")
    classes = logits.shape[1]
    if bool((wanted < 0).any()) or bool((wanted >= classes).any()):
        wrong = next(t for t in wanted.flatten().tolist() if not 0 <= t < classes)
        raise PegboardError(f"there is no class {wrong}; the model has {classes}, 0 to {classes - 1}")
    return wanted.to(logits.device, torch.int64).expand(len(logits))


def gradient(logits: Tensor, targets: Tensor, at: Tensor) -> Tensor | None:
    """How the scores of the targets, (B,), grow with a tensor; None where they do not, or not differentiably."""
    if not logits.requires_grad:
        return None
    score = logits.gather(1, targets[:, None]).sum()
    (found,) = torch.autograd.grad(score, at, allow_unused=True)
    return found


def _is_compiled(module: nn.Module) -> bool:
    return getattr(module, "_compiled_call_impl", None) is not None or hasattr(module, "_orig_mod")
