"""Batches as the network gets them, while it trains."""

from typing import TYPE_CHECKING

from pegboard import PeriodicHook
from pegboard_visual.hooks.checks import check_counts

if TYPE_CHECKING:
    from pegboard import Batch, Runner


class Samples(PeriodicHook):
    """Draw the first images of a training batch, augmented, denormalised and with their labels, mixed ones too.

    Drawn of the first batch of the run and of the next one after each ``every``. It only looks: training is bit for
    bit the same without it.

    Args:
        images: how many.
        every: how often.
    """

    ranks = "first"

    def __init__(self, images: int = 24, every: str = "20 epochs") -> None:
        super().__init__(every)
        check_counts(self, most=256, images=images)
        self.images = images

    def before_train_iter(self, run: "Runner", batch: "Batch") -> None:
        if run.iteration and not self.is_due(run):
            return
        self.done(run)
        from pegboard_visual.pictures.samples import samples_shown

        samples_shown(batch, run.train_loader, self.images, run.builder.known, "train", run.epoch + 1).show(run)
