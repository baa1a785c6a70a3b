"""A transform turns uniform numbers into parameters, and applies them to whole batches.

Dimension letters: B samples, k numbers a sample, C channels, H height, W width.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pegboard.errors import DataError
from pegboard.randomness import hashed, uniforms


class Transform:
    """One step between a dataset's uint8 image and the network's input.

    A subclass says how many uniform numbers a sample needs (``uniforms = k``), turns them into ``params``, and
    applies those in ``apply``. Both take whole batches, and must give each sample what it would get alone: then images
    depend neither on the batch size nor on the engine that loads them.
    """

    uniforms: int = 0  #: numbers in [0, 1) that each sample gets; 0 means deterministic
    #: True draws the numbers by place in the epoch instead of by sample; it, and all that follow it, get whole batches
    mixes_samples: bool = False
    per_epoch: bool = True  #: False draws a sample the same numbers in every epoch

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """What ``apply`` needs of each sample, (B, ...), from ``u`` (B, k) float64 and ``sizes`` (B, 2) as (H, W)."""
        return u

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        """Deterministic: images (B, C, H, W) and parameters (B, ...) to images."""
        raise NotImplementedError(f"{type(self).__name__} does not define apply(images, rows)")

    def apply_targets(self, targets: Any, rows: Tensor) -> Any:
        """The targets after this transform; unchanged unless the subclass says otherwise."""
        return targets


class Pipeline:
    """Transforms in their order, applied to a batch.

    Transforms of other libraries (any callable on one image) run sample by sample, each with torch's generator seeded
    from the same four numbers that pegboard's own are drawn from.
    """

    def __init__(self, transforms: Sequence[Transform | Callable[[Any], Any]], seed: int) -> None:
        self.transforms = list(transforms)
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
        rest.first_place = count
        return leading, rest

    def once(self, image: Tensor) -> Tensor:
        """What deterministic steps make of one image (C, H, W)."""
        for transform in self.transforms:
            image = transform.apply(image[None], torch.empty(1, 0))[0]  # type: ignore[union-attr]  # split gave these
        return image

    def split_at_mixing(self) -> tuple["Pipeline", "Pipeline"]:
        """The steps that look at one sample at a time, and those from the first that mixes the samples of a batch."""
        places = [p for p, step in enumerate(self.transforms) if getattr(step, "mixes_samples", False)]
        first = places[0] if places else len(self.transforms)
        alone, together = Pipeline(self.transforms[:first], self.seed), Pipeline(self.transforms[first:], self.seed)
        together.first_place = first
        return alone, together

    first_place = 0  # of the first transform in the whole list: numbers are drawn by place

    def __call__(
        self, images: Tensor, targets: Any, index: NDArray[np.int64], epoch: int, places: NDArray[np.int64]
    ) -> tuple[Tensor, Any]:
        """Transform one batch.

        Args:
            images: (B, C, H, W) uint8.
            index: (B,) which sample each one is.
            places: (B,) which place in the epoch each one has.
        """
        for place, transform in enumerate(self.transforms, self.first_place):
            if not isinstance(transform, Transform):
                images = self._one_by_one(transform, images, index, epoch, place)
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
        return images, targets

    def _one_by_one(
        self, transform: Callable[[Any], Any], images: Tensor, index: NDArray[np.int64], epoch: int, place: int
    ) -> Tensor:
        generator = torch.get_rng_state()
        try:
            done = []
            for image, sample in zip(images, index.tolist(), strict=True):
                torch.default_generator.manual_seed(hashed(self.seed, epoch, place, sample))
                done.append(transform(image))
        finally:
            torch.set_rng_state(generator)
        for sample, image in zip(index.tolist(), done, strict=True):
            if not isinstance(image, Tensor) or image.shape != done[0].shape:
                found = f"shape {tuple(image.shape)}" if isinstance(image, Tensor) else type(image).__name__
                raise DataError(
                    f"{type(transform).__name__} gave {found} for sample {sample}; expected a tensor of shape "
                    f"{tuple(getattr(done[0], 'shape', ()))} like the others of its batch"
                )
        return torch.stack(done)
