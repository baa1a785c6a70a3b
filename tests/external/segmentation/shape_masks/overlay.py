"""What is found, over the images.

Dimension letters: H height, W width, K classes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from pegboard import Batch, PegboardError, PeriodicHook, Runner

Pixels = NDArray[np.uint8]  # (H, W, 3)
GREY = (150, 150, 150)  # of pixels that count for no class
GAP = 6


class Overlay(PeriodicHook):
    """Draw a few validation images, beside them the true mask and the one that is found, in the classes' colours.

    A run that is stopped shows its last validation, too.

    Args:
        images: how many, spread evenly over the validation data.
        every: how often; drawn at the end of the validation that follows.
        share: of a colour where it lies over the image, from 0 to 1.
    """

    fleeting = ("rows", "epoch")  # a resumed run validates anew

    def __init__(self, images: int = 6, every: str = "5 epochs", share: float = 0.5) -> None:
        super().__init__(every)
        if images < 1 or not 0 < share <= 1:
            raise PegboardError(
                f"Overlay: images must be at least 1 and share above 0 and at most 1, got {images}, {share}"
            )
        self.images, self.share = images, share
        self.rows: dict[int, tuple[Tensor, Tensor, Tensor]] = {}  # of the last validation, until they are drawn
        self.epoch = 0  # of that validation

    def before_val(self, run: Runner) -> None:
        self.rows, self.epoch = {}, run.epoch_in_progress

    def after_val_iter(self, run: Runner, batch: Batch, outputs: Any) -> None:
        if run.val_loader is None:
            return
        if outputs.ndim != 4 or batch.targets.ndim != 3:
            shapes = f"{tuple(outputs.shape)} and {tuple(batch.targets.shape)}"
            raise PegboardError(f"Overlay takes outputs (B, K, H, W) and targets (B, H, W), not {shapes}")
        order = run.val_loader.order(0)
        wanted = {int(order[place * len(order) // self.images]) for place in range(self.images)}
        for place, sample in enumerate(batch.index.tolist()):
            if sample in wanted:
                found = outputs[place].argmax(0)
                self.rows[sample] = tuple(part.cpu() for part in (batch.inputs[place], batch.targets[place], found))  # type: ignore[assignment]

    def after_val(self, run: Runner, metrics: Mapping[str, float]) -> None:
        if self.is_due(run):
            self.done(run)
            self._draw(run)

    def at_end(self, run: Runner) -> None:
        self._draw(run)  # of a run that was stopped: its last validation

    def _draw(self, run: Runner) -> None:
        """What the last validation has shown, once."""
        if not self.rows or run.val_loader is None:
            return
        colours = np.asarray(getattr(run.val_loader.dataset, "colours", None) or _colours(len(run.classes)))
        cells = []
        for sample in sorted(self.rows):
            inputs, target, found = self.rows[sample]
            [own] = run.val_loader.denormalised(inputs[None])
            image = (own * 255).round().byte().permute(1, 2, 0).numpy()
            cells.append([image, self._over(image, target, colours), self._over(image, found, colours)])
        self.rows = {}
        caption = f"Validation images with their true masks and those found, epoch {self.epoch}"
        picture = _page(
            cells, ("image", "true", "found"), [*zip(map(str, run.classes), colours.tolist(), strict=False)]
        )
        run.show("Overlay", picture, caption)

    def _over(self, image: Pixels, mask: Tensor, colours: NDArray[np.int64]) -> Pixels:
        """The image under its mask; the first class, the ground, is left clear, what counts for none is grey."""
        classes = mask.numpy()
        palette = np.concatenate([colours, [GREY]])
        colour = palette[np.where(classes < len(colours), classes, len(colours))]
        mixed = (1 - self.share) * image + self.share * colour
        return np.where(classes[..., None] == 0, image, mixed).round().astype(np.uint8)


def _colours(count: int) -> list[tuple[int, int, int]]:
    """The colours that Pascal VOC gives its classes: the bits of the number, spread over the channels."""
    return [
        tuple(sum((number >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(3)) for channel in range(3))  # type: ignore[misc]
        for number in range(count)
    ]


def _page(rows: list[list[Pixels]], titles: tuple[str, ...], legend: list[tuple[str, list[int]]]) -> Image.Image:
    """The rows below their titles, each picture enlarged to about 144 pixels; two rows beside each other."""
    height, width = rows[0][0].shape[:2]
    factor = max(1, round(144 / max(height, width)))
    high, wide = height * factor + GAP, width * factor + GAP
    halves = 2 if len(rows) > 2 else 1
    each = -(-len(rows) // halves)
    across = len(titles) * wide
    page = Image.new("RGB", (GAP + halves * (across + 2 * GAP) - 2 * GAP, 44 + each * high), "white")
    draw = ImageDraw.Draw(page)
    x = GAP
    for name, colour in legend:
        draw.rectangle((x, 7, x + 10, 17), fill=tuple(colour), outline="black")
        draw.text((x + 15, 6), name, fill="black")
        x += 30 + int(draw.textlength(name))
    for number, cells in enumerate(rows):
        left, top = GAP + number // each * (across + 2 * GAP), 44 + number % each * high
        for place, (title, cell) in enumerate(zip(titles, cells, strict=True)):
            if number % each == 0:
                draw.text((left + place * wide, 27), title, fill="black")
            page.paste(Image.fromarray(cell).resize((width * factor, height * factor), 0), (left + place * wide, top))
    return page
