"""Batches as the network gets them, while it trains."""

from typing import TYPE_CHECKING

from pegboard import PeriodicHook
from pegboard_visual.hooks.arguments import check_arguments

if TYPE_CHECKING:
    from pegboard import Batch, Duration, Runner


class Samples(PeriodicHook):
    """Draw the first images of a training batch, augmented, denormalised and with their labels, mixed ones too.

    Drawn of the first batch of the run, of the next one after each ``every``, and of the last. It only looks: training
    is bit for bit the same without it.

    Args:
        images: how many.
        every: how often.
    """

    ranks = "first"

    def __init__(self, images: int = 24, every: "Duration | str" = "20 epochs") -> None:
        super().__init__(every)
        check_arguments(self, "Samples", images=images)
        self.images = images
        self.last: tuple[Batch, int] | None = None  # the one at hand, which the loop holds as well, and its epoch

    def before_train_iter(self, run: "Runner", batch: "Batch") -> None:
        self.last = (batch, run.epoch + 1)
        if run.iteration == 0 or self.is_due(run):
            self.done(run)
            self._draw(run)

    def at_end(self, run: "Runner") -> None:
        self._draw(run)

    def _draw(self, run: "Runner") -> None:
        """The batch at hand, unless it was drawn before."""
        from pegboard_visual.pictures.samples import samples_shown

        last, self.last = self.last, None
        if last is not None:
            batch, epoch = last
            samples_shown(batch, run.train_loader, self.images, run.facts, "train", epoch).show(run)
