"""Figures of the gradients."""

import logging
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pegboard import Duration, Hook

if TYPE_CHECKING:
    from pegboard import Runner

logger = logging.getLogger("pegboard")


class GradientStats(Hook):
    """Log how large the gradients are, as the optimizer gets them: after ``clip_grad``.

    ``grad/norm`` is the Euclidean norm of all of them together, ``grad/max`` the largest absolute element,
    ``grad/zeros`` the share of elements that are exactly 0, from 0 to 1. They are computed on the device and read
    with the next record, so that ``every`` should be a multiple of ``log_every``: of two between records the
    later stays.

    An optimizer that calls for the gradients itself, such as LBFGS, has none yet at this point, nor has a model that
    steps its optimizers itself: then nothing is logged.

    Args:
        every: how often, e.g. ``"50 iters"`` or ``"1 epoch"``.
    """

    def __init__(self, every: "Duration | str" = "50 iters") -> None:
        self.every = Duration.parse(every)
        self.period = 0  # the same in iterations
        self.none_yet = False  # at the point where they would be read

    def before_train(self, run: "Runner") -> None:
        self.period = self.every.iterations(run.per_epoch)
        self.none_yet = run.needs_closure or run.by_hand is not None
        if self.none_yet:
            who = type(run.optimizer if run.needs_closure else run.model).__name__
            logger.warning("GradientStats logs nothing: %s computes gradients itself", who)

    def before_optimizer_step(self, run: "Runner") -> None:
        if (run.iteration + 1) % self.period or self.none_yet:  # the iteration counts once its step is done
            return
        gradients = [weight.grad.detach() for weight in run.model.parameters() if weight.grad is not None]
        if gradients:
            norm = run.whole(torch.stack(torch._foreach_norm(gradients)).norm())
            largest = run.whole(torch.stack(torch._foreach_norm(gradients, float("inf"))).max())
            scale = _scale(run, norm)
            run.log("grad/norm", norm / scale)
            run.log("grad/max", largest / scale)
            run.log("grad/zeros", run.whole(_zeros(gradients)) / sum(gradient.numel() for gradient in gradients))


def _zeros(gradients: list[Tensor]) -> Tensor:
    """How many elements are 0."""
    return torch.stack([gradient.numel() - gradient.count_nonzero() for gradient in gradients]).sum()


def _scale(run: "Runner", like: Tensor) -> Tensor | float:
    """What fp16 gradients are still multiplied with; clipping divides them first. ``get_scale()`` would wait."""
    return 1.0 if run.scaler is None or run.clip else run.scaler.scale(torch.ones_like(like))
