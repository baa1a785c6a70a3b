"""What is found, over the images.

Dimension letters: H height, W width, K classes.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from pegboard import Kept, PegboardError, Runner, SampleHook

Pixels = NDArray[np.uint8]  # (H, W, 3)
WHITE = (255, 255, 255)  # pixels that count for no class
GAP = 6


class Overlay(SampleHook):
    """Draw a few validation images, beside them the true mask and the one that is found, in the classes' colours.

    Under a mask the image is grey, so that no colour of its own is taken for a class; the first class, the ground, is
    left clear, and what counts for none is white. A run that is stopped draws them at its end.

    Args:
        images: how many, from 1 to 64, spread evenly over the validation data.
        every: how often; drawn at the end of the validation that follows.
        share: of a colour where it lies over the image, from 0 to 1.
    """

    reads_model = True

    def __init__(self, images: int = 6, every: str = "5 epochs", share: float = 0.7) -> None:
        super().__init__(images, every)
        if not 0 < share <= 1:
            raise PegboardError(f"Overlay: share must be above 0 and at most 1, got {share}")
        self.share = share

    def draw(self, run: Runner, kept: list[Kept]) -> None:
        if run.val_loader is None:
            return
        inputs = torch.stack([one.inputs for one in kept])
        with torch.no_grad():
            outputs = run.model(inputs)
        masks = [one.target for one in kept if one.target is not None and one.target.ndim == 2]
        if outputs.ndim != 4 or len(masks) < len(kept):
            shapes = f"{tuple(outputs.shape)} and {tuple(getattr(kept[0].target, 'shape', ()))}"
            raise PegboardError(f"Overlay takes outputs (B, K, H, W) and masks (H, W), not {shapes}")
        colours = np.asarray(getattr(run.val_loader.dataset, "colours", None) or _colours(len(run.classes)))
        images = (run.val_loader.denormalised(inputs) * 255).round().byte().permute(0, 2, 3, 1).numpy()
        cells = [
            [image, self._over(image, true, colours), self._over(image, found, colours)]
            for image, true, found in zip(images, masks, outputs.argmax(1), strict=True)
        ]
        legend = [*zip(map(str, run.classes), colours.tolist(), strict=False)][1:]
        picture = _page(cells, ("image", "true", "found"), legend)
        run.show("Overlay", picture, f"Validation images with their true masks and those found, epoch {run.epoch}")

    def _over(self, image: Pixels, mask: Tensor, colours: NDArray[np.int64]) -> Pixels:
        """The image in grey under its mask."""
        classes = mask.cpu().numpy()
        grey = image.mean(2, keepdims=True)
        palette = np.concatenate([colours, [WHITE]])
        colour = palette[np.where(classes < len(colours), classes, len(colours))]
        mixed = (1 - self.share) * grey + self.share * colour
        return np.where(classes[..., None] == 0, grey, mixed).round().astype(np.uint8)


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
