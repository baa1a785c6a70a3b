"""A transform gives each sample what it would get alone, and the same each time."""

from itertools import product

import numpy as np
import torch
from torch import Tensor

from pegboard.data.mask import Mask
from pegboard.data.transform import Pipeline
from pegboard.errors import PegboardError
from pegboard.testing.contract import Part, expect

COUNT = 6
INDEX = np.array([9, 2, 30, 4, 0, 7])
EPOCH = 2
WIDTHS = (7, 8)  # of images that are 8 pixels high: one that takes no other may take squares


def samples(kind: torch.dtype, masks: bool, width: int) -> tuple[Tensor, Tensor]:
    """Images (6, 3, 8, W) with values 0 to 255, and classes (6,) or masks (6, 8, W), both int64 below 3."""
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(256, (COUNT, 3, 8, width), generator=generator, dtype=torch.uint8).to(kind)
    targets = torch.randint(3, (COUNT, 8, width), generator=generator) if masks else torch.arange(COUNT) % 3
    return images, targets


def one_by_one_is_batched(part: Part) -> None:
    """For uint8 and float images, with classes and with masks as targets; it need take only one of these."""
    refused: list[Exception] = []
    taken = any(_one_by_one_is_batched(part, width, refused) for width in WIDTHS)
    kinds = "uint8 or float images (6, 3, 8, 7) or (6, 3, 8, 8) with classes or masks"
    advice = "a size that fits stands in pegboard_examples"
    expect(taken, f"{part.name} takes none of what it is tried with, {kinds}: {refused[:1]}; {advice}")


def _one_by_one_is_batched(part: Part, width: int, refused: list[Exception]) -> bool:
    """Does it take images of this width?"""
    transform, taken = part.build(), False
    pipeline, places = Pipeline([transform], seed=1), np.arange(COUNT) + 3
    for kind, masks in product((torch.uint8, torch.float32), (False, True)):
        images, targets = samples(kind, masks, width)
        try:
            whole, its_targets = pipeline(images.clone(), targets.clone(), INDEX, EPOCH, places)
        except Exception as error:  # noqa: BLE001  # not every transform takes every kind; one that takes none is told
            refused.append(error)
            continue
        taken = True
        for i in range(COUNT):
            one = slice(None) if transform.mixes_samples else slice(i, i + 1)
            image, target = pipeline(images[one].clone(), targets[one].clone(), INDEX[one], EPOCH, places[one])
            got, expected = (image, whole) if transform.mixes_samples else (image[0], whole[i])
            what = f"{part.name} makes something else of {images.dtype} sample {i} "
            what += "a second time" if transform.mixes_samples else "alone than in its batch"
            advice = "; let params() make all that is random of its u, and apply() treat each sample by itself"
            equal = got.dtype == expected.dtype and torch.equal(got, expected)
            expect(equal, what + advice)
            got, expected = (target, its_targets) if transform.mixes_samples else (target[0], its_targets[i])
            expect(torch.equal(got, expected), f"{what} (its target)")
    return taken


def moves_masks(part: Part) -> None:
    """Each pixel of a mask is one of the old mask or ignored, and lies where that of the image does.

    A transform that cannot do so refuses masks: it mixes samples, or says nothing about masks.
    """
    transform, pipeline = part.build(), Pipeline([part.build()], seed=1)
    places = np.arange(COUNT)
    for width, kind in product(WIDTHS, (torch.uint8, torch.float32)):
        generator = torch.Generator().manual_seed(4)
        masks = torch.randint(1, 4, (COUNT, 8, width), generator=generator, dtype=torch.uint8)
        images = masks[:, None].expand(-1, 3, -1, -1).contiguous()
        try:
            done, moved = pipeline(images.to(kind), Mask(masks), INDEX, EPOCH, places)
            break
        except PegboardError:
            continue
    else:
        return  # it refuses
    fits = moved.dtype == torch.int64 and moved.shape == (COUNT, *done.shape[-2:])
    expect(fits, f"{part.name} gives masks {tuple(moved.shape)} {moved.dtype} beside images {tuple(done.shape)}")
    known = set(moved.unique().tolist()) <= {1, 2, 3, 255}
    expect(known, f"{part.name} makes classes that the mask did not have; take the nearest pixel, and 255 from outside")
    for i in range(COUNT):
        one = slice(i, i + 1)
        alone = pipeline(images[one].to(kind), Mask(masks[one]), INDEX[one], EPOCH, places[one])[1][0]
        expect(torch.equal(alone, moved[i]), f"{part.name} moves mask {i} otherwise alone than in a batch")
    if not transform.moves_pixels:
        expect(torch.equal(moved, masks.long()), f"{part.name} says moves_pixels = False, and moves masks")
    elif getattr(transform, "interpolation", "nearest").startswith("nearest"):  # smooth images have other values
        here = moved != 255
        same = torch.equal(done[:, 0][here].long(), moved[here])
        expect(same, f"the mask of {part.name} does not lie as the image does; let apply_mask() do what apply() does")
