"""Masks: targets that lie over their images, pixel by pixel, and move with them.

Dimension letters: B samples, H height, W width.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pegboard.errors import DataError

IGNORE = 255  # what the field writes where a pixel counts for no class
OF_MASKS = ("1", "L", "P", "I", "I;16")  # modes of Pillow images that hold one number a pixel


class Mask:
    """The class of each pixel of an image, or of each image of a batch.

    A dataset for segmentation gives (image, Mask). Transforms get the masks of a batch together, as one Mask, in
    ``apply_mask``; models, losses, metrics and hooks get what is left of it: ``batch.targets``, (B, H, W) int64.

    Args:
        pixels: (H, W), or (B, H, W) for a batch: a tensor, an array or a Pillow image of whole numbers.
        ignore: the number of a pixel that counts for no class; pixels that a transform adds get it. Losses and
            metrics must know it too: let the dataset have it as ``ignore_index``, and each part that has an argument
            of that name gets it, if it is registered with ``supplied=("ignore_index",)``, as torch's losses are.

    Attributes:
        pixels: a tensor, uint8 where the numbers came so and ``ignore`` is one of them, else int64.

    Raises:
        DataError: the pixels are no whole numbers.
    """

    __slots__ = ("ignore", "pixels")

    def __init__(self, pixels: Any, ignore: int = IGNORE) -> None:
        if not isinstance(pixels, Tensor):
            array = np.array(pixels)  # a copy: Pillow's own memory cannot be written to
            if array.dtype.kind not in "iub":
                raise DataError(f"the pixels of a mask are class numbers, not {array.dtype}")
            pixels = torch.from_numpy(array if array.dtype in (np.uint8, np.bool_) else array.astype(np.int64))
        if pixels.is_floating_point() or pixels.is_complex():
            kind = str(pixels.dtype).removeprefix("torch.")
            raise DataError(f"the pixels of a mask are class numbers, not {kind}")
        small = pixels.dtype in (torch.uint8, torch.bool) and 0 <= ignore <= 255
        self.pixels: Tensor = pixels.to(torch.uint8 if small else torch.int64)
        self.ignore = ignore

    def __repr__(self) -> str:
        return f"Mask({' x '.join(map(str, self.pixels.shape))}, ignore={self.ignore})"

    def moved(self, function: Callable[[Tensor], Tensor]) -> "Mask":
        """What ``function``, from images (B, 1, H, W) to images, makes of a batch of masks."""
        return Mask(function(self.pixels[:, None])[:, 0], self.ignore)

    def classes(self) -> Tensor:
        """The class of each pixel as losses take it, int64."""
        return self.pixels.long()

    def renamed(self, new: Callable[[int], int]) -> "Mask":
        """Each class by its new number; pixels that count for none stay so."""
        known, where = torch.unique(self.pixels, return_inverse=True)
        numbers = [old if old == self.ignore else int(new(old)) for old in known.tolist()]
        return Mask(torch.tensor(numbers, dtype=torch.int64)[where].to(_dtype(numbers, self)), self.ignore)

    def __eq__(self, other: object) -> bool:
        """The same numbers at every place, and the same ``ignore``."""
        if not isinstance(other, Mask):
            return NotImplemented
        return self.ignore == other.ignore and torch.equal(self.pixels, other.pixels)

    __hash__ = None  # type: ignore[assignment]  # its pixels may be changed

    # What the engines do with a tensor of targets, they do with a batch of masks.

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, chosen: Any) -> "Mask":
        return Mask(self.pixels[chosen], self.ignore)

    def to(self, device: torch.device, non_blocking: bool = False) -> "Mask":
        return Mask(self.pixels.to(device, non_blocking=non_blocking), self.ignore)

    def index_select(self, dim: int, index: Tensor) -> "Mask":
        return Mask(self.pixels.index_select(dim, index), self.ignore)

    def split(self, size: int) -> "list[Mask]":
        return [Mask(part, self.ignore) for part in torch.split(self.pixels, size)]

    @staticmethod
    def stacked(masks: "list[Mask]") -> "Mask":
        """The masks of several samples, (H, W) each, as a batch."""
        return Mask(torch.stack([mask.pixels for mask in masks]), masks[0].ignore)


def _dtype(numbers: list[int], mask: Mask) -> torch.dtype:
    return torch.uint8 if mask.pixels.dtype == torch.uint8 and max(numbers, default=0) <= 255 else torch.int64


def as_mask(target: Any, ignore: int) -> Any:
    """A Pillow image of one number a pixel as a mask, as torchvision's datasets give them; what is none stays."""
    if hasattr(target, "getbands") and target.mode in OF_MASKS:
        return Mask(target, ignore)
    return target


def check_fits(mask: Mask, image: Tensor, what: str) -> None:
    """Raise a DataError unless the mask lies over the image, pixel by pixel."""
    if mask.pixels.shape != image.shape[-2:]:
        sizes = [" x ".join(map(str, shape)) for shape in (mask.pixels.shape, image.shape[-2:])]
        raise DataError(f"{what} has a mask of {sizes[0]} for an image of {sizes[1]}; expected one number a pixel")


def together(transform: Callable[..., Any], image: Tensor, mask: Mask) -> tuple[Tensor, Mask]:
    """One image (C, H, W) and its mask through a transform of another library.

    Those of torchvision's v2 take both; pixels that they add to a mask count for no class, whatever ``fill`` is.
    Another callable is given the image alone, and only if it says that it moves nothing: ``moves_pixels = False``.

    Raises:
        DataError: it does not say so.
    """
    name = type(transform).__name__
    if getattr(transform, "moves_pixels", True) is False:
        return transform(image), mask
    if not type(transform).__module__.startswith("torchvision.transforms.v2"):
        raise DataError(
            f"{name} gets the image alone and would leave its mask behind; write a Transform with apply_mask(mask, "
            "rows), or set moves_pixels = False on it if every pixel stays at its place"
        )
    from torchvision import tv_tensors

    beyond = 1000  # no fill value is so large, so that what a transform adds can be told
    known = torch.where(mask.pixels == mask.ignore, 0, mask.pixels.long() + beyond)
    image, moved = transform(image, tv_tensors.Mask(known))
    moved = moved.as_subclass(Tensor)
    return image, Mask(torch.where(moved < beyond, mask.ignore, moved - beyond).to(mask.pixels.dtype), mask.ignore)
