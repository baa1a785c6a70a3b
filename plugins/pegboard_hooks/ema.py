"""Averaged weights."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pegboard import CheckpointError, Hook, PegboardError
from pegboard.distributed import local
from pegboard_hooks import weights_file

if TYPE_CHECKING:
    from pegboard import Runner


class EMA(Hook):
    """Keep an exponential moving average of the weights, and validate with it.

    The weights after the first optimizer step begin the average. After each later one,
    ``average = decay_t * average + (1 - decay_t) * weights``, where ``decay_t`` is ``decay``, with warm-up
    ``min(decay, (1 + t) / (10 + t))``, and t counts the steps that are in the average already.

    Averaged is every floating-point parameter, a frozen one too. Buffers are not: those of the model hold for both,
    since batch norm's means and variances are averages over batches already, and a counter has no mean.

    Training is bit for bit the same as without it, but for what a scheduler or another hook makes of a validation:
    with ``evaluate=True`` its figures are those of the averages. They are part of every checkpoint as this hook's
    state; when training ends they are written to ``checkpoints/ema.pt``, for ``pegboard test RUN --checkpoint ema``
    (``pegboard test RUN`` takes the last weights as trained).

    Args:
        decay: share of the average that a step leaves, from 0 to less than 1.
        warmup: begin with a smaller decay, so that the first weights are soon forgotten.
        evaluate: validate with the averages, and test with them a run that was trained in this process.

    Raises:
        PegboardError: ``decay`` is out of its range.

    Source: Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging"; Tan and Le 2021,
    arXiv:2104.00298, section 5.1 (0.9999 on ImageNet); the warm-up is tf.train.ExponentialMovingAverage's.
    """

    essential = True  # one that fails between the two swaps would leave the averages to be trained on
    state = ("steps", "averages")

    def __init__(self, decay: float = 0.999, warmup: bool = True, evaluate: bool = True) -> None:
        if not 0 <= decay < 1:
            raise PegboardError(f"EMA: decay must be from 0 to less than 1, got {decay}")
        self.decay = decay
        self.warmup = warmup
        self.evaluate = evaluate
        self.steps = 0
        self.averages: dict[str, Tensor] = {}  # by parameter name; filled when training begins
        self._averages: list[Tensor] = []  # this rank's values of them, as torch._foreach wants them
        self._weights: list[Tensor] = []  # the model's, in the same order
        self._trained: list[Tensor] = []  # copies of the weights while the averages stand in for them

    def before_train(self, run: "Runner") -> None:
        named = {name: weight for name, weight in run.model.named_parameters() if _is_averaged(weight)}
        saved, self._weights = self.averages, [local(weight.detach()) for weight in named.values()]
        self.averages = {name: weight.detach().clone() for name, weight in named.items()}
        self._averages = [local(average) for average in self.averages.values()]
        if self.steps:  # resumed
            self._take_back(saved)

    def _take_back(self, saved: Mapping[str, Tensor]) -> None:
        if {name: tensor.shape for name, tensor in saved.items()} != {
            name: tensor.shape for name, tensor in self.averages.items()
        }:
            odd = sorted(saved.keys() ^ self.averages.keys()) or ["of another shape"]
            raise CheckpointError(f"the averages of EMA do not fit the model: {', '.join(odd[:5])}")
        torch._foreach_copy_(self._averages, [local(saved[name]) for name in self.averages])

    def after_optimizer_step(self, run: "Runner") -> None:
        with torch.no_grad():
            if self.steps:
                torch._foreach_lerp_(self._averages, self._weights, 1 - self.decay_after(self.steps))
            else:
                torch._foreach_copy_(self._averages, self._weights)
        self.steps += 1

    def decay_after(self, steps: int) -> float:
        """The decay of the next step, where the average holds ``steps``."""
        return min(self.decay, (1 + steps) / (10 + steps)) if self.warmup else self.decay

    # -- the averages in the place of the weights ----------------------------------------------------------------

    def before_val(self, run: "Runner") -> None:
        self._swap_in()

    def after_val(self, run: "Runner", metrics: Mapping[str, float]) -> None:
        self._swap_out()

    def before_test(self, run: "Runner") -> None:
        self._swap_in()

    def after_test(self, run: "Runner", metrics: Mapping[str, float]) -> None:
        self._swap_out()

    def before_checkpoint(self, run: "Runner", state: dict[str, Any]) -> None:
        if self._trained:  # an interrupted validation has no after_val
            self._swap_out()
            state["model"] = run.model.state_dict()

    def on_exception(self, run: "Runner", error: BaseException) -> None:
        self._swap_out()

    def after_train(self, run: "Runner") -> None:
        self._swap_out()

    def after_run(self, run: "Runner") -> None:
        if self.steps:  # after the run's own last checkpoint, which is worth more if the disk is full
            weights_file.write(run, "ema", self.averaged(run.model), decay=self.decay, steps=self.steps)

    def _swap_in(self) -> None:
        """In place, both ways: what holds on to a weight's memory (a compiled model, a state dict) sees it."""
        if not self.evaluate or not self.steps or self._trained:
            return
        with torch.no_grad():
            self._trained = [weight.detach().clone() for weight in self._weights]
            torch._foreach_copy_(self._weights, self._averages)

    def _swap_out(self) -> None:
        if self._trained:
            with torch.no_grad():
                torch._foreach_copy_(self._weights, self._trained)
            self._trained = []

    def averaged(self, model: nn.Module) -> dict[str, Any]:
        """The model's state dict with the averages in the place of its weights: for others to load."""
        weights: dict[str, Any] = model.state_dict()
        averages = {id(model.get_parameter(name)): average for name, average in self.averages.items()}
        for name, weight in model.named_parameters(remove_duplicate=False):  # tied ones have several names
            if id(weight) in averages:
                weights[name] = averages[id(weight)]
        return weights


def _is_averaged(weight: Tensor) -> bool:
    return weight.is_floating_point() or weight.is_complex()
