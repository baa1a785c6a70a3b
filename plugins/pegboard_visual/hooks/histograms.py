"""Weights, gradients and updates over time."""

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pegboard import PeriodicHook, Pictures
from pegboard_visual.hooks.arguments import check_arguments

if TYPE_CHECKING:
    from torch import Tensor

    from pegboard import Batch, Duration, Runner
    from pegboard_visual.pictures.histograms import Read
    from pegboard_visual.pictures.histograms_page import Moment

logger = logging.getLogger("pegboard")


class Histograms(PeriodicHook):
    """Draw the weights, gradients and updates of every parameter, and say what is wrong with them.

    Taken at the last step of an epoch in which ``every`` passes, or at the step at which it does, and of the run's
    last epoch: gradients before clipping, weights after the step, and the update's size over that of the weights. Of a
    run that is stopped between two such steps its last weights are drawn. They are ``<parameter>_grad`` and
    ``<parameter>_data``; a parameter without gradient is named and has none. Vanishing and exploding gradients and dead
    units are said in words. It only looks: training is bit for bit the same without it.

    Args:
        every: how often.
        rows: parameters in the picture; of more, so many evenly spread. All are in TensorBoard and in the data.
    """

    ranks = "first"
    reads_model = True

    def __init__(self, every: "Duration | str" = "1 epoch", rows: int = 12) -> None:
        super().__init__(every)
        check_arguments(self, "Histograms", rows=rows)
        self.rows = rows
        self.moments: list[Moment] = []  # those drawn before
        self.said: set[tuple[str, str]] = set()  # of which parameter what was logged
        self.weights: dict[str, Tensor] = {}  # before the step that is looked at
        self.gradients: dict[str, Any] = {}  # of each: its summary, and its units without any gradient
        self.read: dict[str, Read] = {}

    def before_train(self, run: "Runner") -> None:
        """A resumed run goes on with what it drew, but for the last weights of the stop."""
        from pegboard_visual.pictures.histograms_page import Moment

        drawn = Pictures(run.folder / "figures").all() if run.iteration else []
        self.moments = [
            Moment(shown.epoch, shown.iteration, shown.data)
            for shown in drawn
            if shown.name == "Histograms" and shown.data["update_ratio"]
        ]

    def after_backward(self, run: "Runner") -> None:
        if not self._looks_at_this_step(run):
            return
        from pegboard_visual.pictures.histograms import summary, without_gradient

        scale = run.scaler.get_scale() if run.scaler is not None else 1.0
        for name, parameter in run.model.named_parameters():
            self.weights[name] = parameter.detach().clone()
            if parameter.grad is not None and not parameter.grad.is_sparse:
                dead = without_gradient(parameter.grad) if parameter.ndim > 1 else None
                self.gradients[name] = (summary(parameter.grad, scale), dead)

    def after_optimizer_step(self, run: "Runner") -> None:
        if not self.weights:
            return
        from pegboard_visual.pictures.histograms import Read, summary, update_ratio

        for name, parameter in run.model.named_parameters():
            gradient, dead = self.gradients.get(name, (None, None))
            ratio = update_ratio(self.weights[name], parameter.detach()) if gradient is not None else None
            self.read[name] = Read(summary(parameter), gradient, ratio, dead)
        self.weights, self.gradients = {}, {}

    def after_train_iter(self, run: "Runner", batch: "Batch", loss: "Tensor", outputs: Any) -> None:
        """Only now does the step count."""
        if not self.read:
            return
        read, self.read = self.read, {}
        self.periods = self._after_step(run, 0)
        self._draw(run, read)

    def after_train(self, run: "Runner") -> None:
        """A run that was stopped between two times has its last weights drawn; their gradients are gone."""
        if run.interrupted or run.iteration in (0, *(one.iteration for one in self.moments[-1:])):
            return  # interrupted: it may go on, as if nothing had been
        from pegboard_visual.pictures.histograms import Read, summary

        self._draw(run, {name: Read(summary(parameter)) for name, parameter in run.model.named_parameters()})

    def _draw(self, run: "Runner", read: Mapping[str, "Read"]) -> None:
        from pegboard_visual.pictures.histograms import data_of, notes_of
        from pegboard_visual.pictures.histograms_page import Moment, histograms_shown

        has_gradients = any(one.gradient is not None for one in read.values())
        notes = notes_of(read, has_gradients)
        for note in notes:
            if (kind := _kind(note)) not in self.said:
                logger.info("iteration %d: %s", run.iteration, note)
                self.said.add(kind)
        self.moments.append(Moment(run.epoch_in_progress, run.iteration, data_of(read, notes)))
        what = "Weights, gradients and updates" if has_gradients else "Weights"
        histograms_shown(self.moments, self.rows, what).show(run)

    def _looks_at_this_step(self, run: "Runner") -> bool:
        """Is it the last step of an epoch, or of the run, in which ``every`` passes; or the step at which it does?"""
        iteration = run.iteration + 1
        ends = run.position + 1 >= run.per_epoch or iteration >= run.phases[run.phase].end
        if not ends and self.every.unit == "epochs":
            return False
        return iteration >= run.total_iterations or self._after_step(run, 1) > self.periods

    def _after_step(self, run: "Runner", more: int) -> int:
        """How often ``every`` has passed once ``more`` steps are done; an epoch that ends with them counts."""
        if self.every.unit == "iters":
            return (run.iteration + more) // self.every.count
        ends = run.position + more >= run.per_epoch or run.iteration + more >= run.phases[run.phase].end
        return (run.epoch + ends) // self.every.count


def _kind(note: str) -> tuple[str, str]:
    """The parameter and what is said of it, without the figures: these change, and the picture has them."""
    name, _, words = note.partition(": ")
    return name, re.sub(r"\d[\d.e+-]*", "", words)
