"""A transform turns uniform numbers into parameters, and applies them to whole batches.

Dimension letters: B samples, k numbers a sample, C channels, H height, W width.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pegboard.data.mask import Mask
from pegboard.data.mask import together as moved_together
from pegboard.errors import DataError
from pegboard.randomness import hashed, uniforms


class Transform:
    """One step between a dataset's uint8 image and the network's input.

    A subclass says how many uniform numbers a sample needs (``uniforms = k``), turns them into ``params``, and
    applies those in ``apply``. Both take whole batches, and must give each sample what it would get alone: then images
    depend neither on the batch size nor on the engine that loads them.

    Attributes:
        uniforms: numbers in [0, 1) that each sample gets; 0, and there is no chance in it.
        moves_pixels: False says that every pixel stays at its place, and so does every mask; else ``apply_mask`` says
            where a mask goes.
        per_epoch: False draws the same numbers for a sample in every epoch.
        mixes_samples: True draws the numbers by place in the epoch; it, and all that follow it, get whole batches.
    """

    uniforms: int = 0  #: numbers in [0, 1) that each sample gets; 0 means deterministic
    #: True draws the numbers by place in the epoch instead of by sample; it, and all that follow it, get whole batches
    mixes_samples: bool = False
    per_epoch: bool = True  #: False draws a sample the same numbers in every epoch
    #: False says that every pixel stays at its place, so that masks stay as they are; else ``apply_mask`` moves them
    moves_pixels: bool = True

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """What ``apply`` needs of each sample, (B, ...), from ``u`` (B, k) float64 and ``sizes`` (B, 2) as (H, W)."""
        return u

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        """Deterministic: images (B, C, H, W) and parameters (B, ...) to images."""
        raise NotImplementedError(f"{type(self).__name__} does not define apply(images, rows)")

    def apply_targets(self, targets: Any, rows: Tensor) -> Any:
        """The targets after this transform; masks move with their images, all else is unchanged unless a subclass
        says otherwise."""
        return self.apply_mask(targets, rows) if isinstance(targets, Mask) else targets

    def apply_mask(self, mask: Mask, rows: Tensor) -> Mask:
        """The masks (B, H, W) of a batch, moved as ``apply`` moves the images: each pixel of a mask is one of the old
        mask, and ``mask.ignore`` where there was none.

        Raises:
            DataError: the transform moves pixels, and does not say how.
        """
        if self.moves_pixels:
            raise DataError(
                f"{type(self).__name__} does not say what becomes of masks; define apply_mask(mask, rows), or set "
                "moves_pixels = False if every pixel stays at its place"
            )
        return mask

    def joined(self, following: "Transform") -> "Transform | None":
        """A transform that does at once what this and then ``following`` do, bit for bit, where there is a faster one.

        Neighbours are asked; what they give runs in the place of both. Neither may draw numbers.
        """
        return None


Step = Transform | Callable[[Any], Any]  # the latter takes one image


class Pipeline:
    """Transforms in their order, applied to a batch.

    Transforms of other libraries (any callable on one image) run sample by sample, each with torch's generator seeded
    from the same four numbers that pegboard's own are drawn from.
    """

    def __init__(self, transforms: Sequence[Step], seed: int) -> None:
        self.transforms = list(transforms)
        self.steps = _steps(self.transforms)
        self.seed = seed

    def split(self, image: Tensor) -> tuple["Pipeline", "Pipeline"]:
        """The leading deterministic steps that keep ``image`` (C, H, W) uint8, to be done once, and the rest."""
        count = 0
        for transform in self.transforms:
            if not isinstance(transform, Transform) or transform.uniforms:
                break
            image = transform.apply(image[None], torch.empty(1, 0))[0]
            if image.dtype != torch.uint8:
                break
            count += 1
        leading, rest = Pipeline(self.transforms[:count], self.seed), Pipeline(self.transforms[count:], self.seed)
        rest.first_place, rest.is_last = count, self.is_last
        return leading, rest

    def once(self, image: Tensor, target: Any) -> tuple[Tensor, Any]:
        """What deterministic steps make of one image (C, H, W) and its target."""
        rows = torch.empty(1, 0)
        for transform in self.transforms:
            image = transform.apply(image[None], rows)[0]  # type: ignore[union-attr]  # split gave these
            if isinstance(target, Mask) or type(transform).apply_targets is not Transform.apply_targets:  # type: ignore[union-attr]
                target = transform.apply_targets(stack_targets([target]), rows)[0]  # type: ignore[union-attr]
        return image, target

    def split_at_mixing(self) -> tuple["Pipeline", "Pipeline"]:
        """The steps that look at one sample at a time, and those from the first that mixes the samples of a batch."""
        places = [p for p, step in enumerate(self.transforms) if getattr(step, "mixes_samples", False)]
        first = places[0] if places else len(self.transforms)
        alone, together = Pipeline(self.transforms[:first], self.seed), Pipeline(self.transforms[first:], self.seed)
        together.first_place = first
        alone.is_last = not together.transforms
        return alone, together

    first_place = 0  # of the first transform in the whole list: numbers are drawn by place
    is_last = True  # nothing comes after it, so that masks become the plain targets of a batch

    def __call__(
        self, images: Tensor, targets: Any, index: NDArray[np.int64], epoch: int, places: NDArray[np.int64]
    ) -> tuple[Tensor, Any]:
        """Transform one batch.

        Args:
            images: (B, C, H, W) uint8.
            index: (B,) which sample each one is.
            places: (B,) which place in the epoch each one has.
        """
        for place, transform in self.steps:
            place += self.first_place
            if not isinstance(transform, Transform):
                images, targets = self._one_by_one(transform, images, targets, index, epoch, place)
                continue
            if transform.uniforms:
                drawn_in, drawn_for = epoch if transform.per_epoch else 0, places if transform.mixes_samples else index
                draws = uniforms(self.seed, drawn_in, place, drawn_for, transform.uniforms)
                sizes = torch.tensor(images.shape[-2:]).expand(len(images), 2)
                rows = transform.params(torch.from_numpy(draws), epoch, sizes)
            else:
                rows = torch.empty(len(images), 0)
            images = transform.apply(images, rows)
            targets = transform.apply_targets(targets, rows)
        return images, targets.classes() if isinstance(targets, Mask) and self.is_last else targets

    def _one_by_one(
        self,
        transform: Callable[[Any], Any],
        images: Tensor,
        targets: Any,
        index: NDArray[np.int64],
        epoch: int,
        place: int,
    ) -> tuple[Tensor, Any]:
        generator = torch.get_rng_state()
        masks = []
        try:
            done = []
            for number, sample in enumerate(index.tolist()):
                torch.default_generator.manual_seed(hashed(self.seed, epoch, place, sample))
                if isinstance(targets, Mask):
                    image, mask = moved_together(transform, images[number], targets[number])
                    masks.append(mask)
                else:
                    image = transform(images[number])
                done.append(image)
        finally:
            torch.set_rng_state(generator)
        for sample, image in zip(index.tolist(), done, strict=True):
            if not isinstance(image, Tensor) or image.shape != done[0].shape:
                found = f"shape {tuple(image.shape)}" if isinstance(image, Tensor) else type(image).__name__
                raise DataError(
                    f"{type(transform).__name__} gave {found} for sample {sample}; expected a tensor of shape "
                    f"{tuple(getattr(done[0], 'shape', ()))} like the others of its batch"
                )
        return torch.stack(done), Mask.stacked(masks) if masks else targets


def _steps(transforms: Sequence[Step]) -> list[tuple[int, Step]]:
    """What is run, and its place in the list; neighbours that can be joined are one step."""
    steps: list[tuple[int, Step]] = []
    for place, transform in enumerate(transforms):
        if steps and isinstance(transform, Transform):
            first, before = steps[-1]
            if isinstance(before, Transform) and (joined := before.joined(transform)):
                steps[-1] = first, joined
                continue
        steps.append((place, transform))
    return steps


def stack_targets(targets: list[Any]) -> Any:
    """Targets of several samples together, (B, ...): int64 from integers, float32 from Python floats."""
    if isinstance(targets[0], Tensor):
        return torch.stack(targets)
    if isinstance(targets[0], Mask):
        return Mask.stacked(targets)
    values = np.asarray(targets)
    return torch.from_numpy(values.astype(np.float32) if values.dtype == np.float64 else values)
