"""A look at the first batch of training: outputs that are not what a loss takes train badly, and silently.

Dimension letters: B batch, K classes.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pegboard import PegboardError


def watch(loss: nn.Module) -> None:
    """Let the first call of a loss in training end with an explanation if it is given what it does not take.

    The check takes itself away at that call. It reads the device once. A compiled step cannot be looked into; the run
    calls its loss once before.
    """
    look = next((look for kinds, look in LOOKS if isinstance(loss, kinds)), None)
    if look is None:
        return

    def once(module: nn.Module, given: tuple[Any, ...]) -> None:
        if torch.compiler.is_compiling() or not module.training:
            return
        handle.remove()
        if len(given) == 2 and all(isinstance(part, Tensor) and part.numel() for part in given):
            with torch.no_grad():
                look(module, *given)

    handle = loss.register_forward_pre_hook(once)


def _same_shape(loss: nn.Module, outputs: Tensor, targets: Tensor) -> None:
    """torch would spread the one over the other, and every output be compared with every target."""
    name = type(loss).__name__
    if outputs.shape != targets.shape:
        raise PegboardError(
            f"{name} compares number with number, but the outputs of the model are {tuple(outputs.shape)} and the "
            f"targets {tuple(targets.shape)}; for class numbers, make them one-hot with train.target_transform, or use "
            "CrossEntropyLoss"
        )
    if not targets.is_floating_point():
        raise PegboardError(f"{name} compares floats, but the targets are {targets.dtype}; make them float32")


def _log_probabilities(loss: nn.Module, outputs: Tensor, targets: Tensor) -> None:
    """NLLLoss and KLDivLoss only pick and average; they trust that the model ends with LogSoftmax."""
    if not outputs.is_floating_point() or torch.isnan(outputs).any():
        return
    highest = outputs.max().item()
    sums = [outputs.float().exp().sum(dim) for dim in _dimensions(loss, outputs)]
    if highest > _slack(outputs) or not any(_are_one(total) for total in sums):
        instead = "; or leave the model and use CrossEntropyLoss" if isinstance(loss, nn.NLLLoss) else ""
        raise PegboardError(
            f"{type(loss).__name__} takes log-probabilities, but the outputs of the model are none: the largest is "
            f"{highest:.3g} (none is above 0) and their exponentials sum up to {sums[0].flatten()[0].item():.3g} (1 is "
            f"right); end the model with LogSoftmax{instead}"
        )


def _divergence(loss: nn.KLDivLoss, outputs: Tensor, targets: Tensor) -> None:
    _same_shape(loss, outputs, targets)
    _log_probabilities(loss, outputs, targets)
    if not loss.log_target and targets.min() < 0:
        raise PegboardError(
            f"KLDivLoss takes probabilities as targets, but the smallest is {targets.min().item():.3g}; write "
            "log_target=True if they are log-probabilities"
        )


def _logits(loss: nn.Module, outputs: Tensor, targets: Tensor) -> None:
    """Softmax before CrossEntropyLoss, which has its own, leaves gradients that are small and never vanish."""
    dim = min(1, outputs.ndim - 1)
    if not outputs.is_floating_point() or outputs.shape[dim] < 2:
        return
    if outputs.min() >= 0 and outputs.max() <= 1 and _are_one(outputs.float().sum(dim), 1e-3):
        raise PegboardError(
            f"{type(loss).__name__} takes logits and applies LogSoftmax itself, but the outputs of the model are "
            "probabilities: all are in 0 to 1 and sum up to 1; leave out the model's last Softmax"
        )


def _dimensions(loss: nn.Module, outputs: Tensor) -> tuple[int, ...]:
    """Along which the classes may lie: the second of (B, K, ...); for KLDivLoss, which does not care, or the last."""
    second = min(1, outputs.ndim - 1)
    return (second, -1) if isinstance(loss, nn.KLDivLoss) else (second,)


def _slack(outputs: Tensor) -> float:
    return 0.05 if outputs.dtype in (torch.float16, torch.bfloat16) else 0.01


def _are_one(sums: Tensor, slack: float | None = None) -> bool:
    return bool(((sums - 1).abs() <= (0.05 if slack is None else slack)).all())


LOOKS: tuple[tuple[type[nn.Module] | tuple[type[nn.Module], ...], Callable[[Any, Tensor, Tensor], None]], ...] = (
    (nn.NLLLoss, _log_probabilities),
    (nn.KLDivLoss, _divergence),
    (nn.CrossEntropyLoss, _logits),
    ((nn.L1Loss, nn.MSELoss, nn.SmoothL1Loss, nn.HuberLoss), _same_shape),
)
