"""Batches as the network gets them, while it trains."""

from typing import TYPE_CHECKING

from pegboard import PegboardError, PeriodicHook

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
        if isinstance(images, bool) or not isinstance(images, int) or not 1 <= images <= 256:
            raise PegboardError(f"Samples: images must be an integer from 1 to 256, got {images!r}")
        self.images = images

    def before_train_iter(self, run: "Runner", batch: "Batch") -> None:
        if run.iteration and not self.is_due(run):
            return
        self.done(run)
        from pegboard_visual.samples import labels_of, samples_page
        from pegboard_visual.seen import transforms_of

        count = min(self.images, len(batch.index))
        classes = run.builder.known.get("classes") or range(run.builder.known.get("num_classes") or 0)
        labels = labels_of(batch.targets[:count], count, list(classes))
        numbers = batch.index[:count].tolist()
        caption = f"Training images as the network gets them, epoch {run.epoch + 1}"
        picture = samples_page(batch.inputs[:count], labels, numbers, transforms_of(run.train_loader), caption)
        run.show("Samples", picture, caption, {"kind": "samples", "samples": numbers, "labels": labels})
