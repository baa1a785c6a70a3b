"""From a dataset and transforms to batches, in memory where the images fit, by worker processes where not."""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pegboard.data.bad_samples import BadSamplePolicy, BadSamples
from pegboard.data.batch import Batch
from pegboard.data.denormalise import denormalised
from pegboard.data.engines import Collate, Engine, InMemory, Workers
from pegboard.data.one_copy import Beside
from pegboard.data.sampler import order_of
from pegboard.data.samples import Decoded, Relabel, Samples
from pegboard.data.share import Share
from pegboard.data.transform import Pipeline, Transform
from pegboard.errors import DataError
from pegboard.randomness import permutation

logger = logging.getLogger("pegboard")

MEMORY_BUDGET = 4 * 2**30  # bytes of decoded images that "auto" keeps in memory


class Loader:
    """Batches of a dataset, in an order and with augmentation that are functions of (seed, epoch, sample).

    Args:
        dataset: ``len()`` and ``[i]`` giving (PIL image or uint8 tensor (C, H, W), target); a target
            that is a ``Mask``, or a Pillow image of one number a pixel, moves with its image.
        transforms: applied in order; a ``Transform`` runs on whole batches, any other callable sample by sample.
        batch_size: samples a batch; may be changed between epochs.
        shuffle: a new order each epoch; without it the dataset's own.
        sampler: says instead which samples an epoch shows, and in what order: a ``Sampler`` or one of torch's.
        drop_last: leave out a last batch that is smaller.
        mode: ``"memory"`` decodes every image once and cuts batches by tensor operations; ``"workers"`` decodes
            sample by sample; ``"auto"`` chooses, and logs why.
        workers: processes of the worker engine; 0 loads in this process.
        cache: ``"memory"`` lets the worker engine decode every image once, into memory that its processes share.
        collate: makes (inputs, targets) of a list of transformed (image, target) pairs, where they cannot be stacked;
            only the worker engine can call it.
        target_transform: the new target of each old one, or of each pixel of a mask: a dict, a list (by old number),
            or a function.
        on_bad_sample: ``"error"`` ends the run at a sample that cannot be read; ``"skip"`` lets the next one stand in
            for it, at most for the share ``max_bad`` of all.
        seed: what order and augmentation are drawn from.
        device: where batches are wanted; the memory engine keeps its images there.
        what: name in log lines, e.g. ``"train"``.
    """

    def __init__(
        self,
        dataset: Any,
        transforms: Sequence[Transform | Callable[[Any], Any]] = (),
        batch_size: int = 1,
        shuffle: bool = False,
        sampler: Any = None,
        drop_last: bool = False,
        mode: Literal["auto", "memory", "workers"] = "auto",
        workers: int = 0,
        cache: Literal["memory"] | None = None,
        collate: Collate | None = None,
        target_transform: Relabel | None = None,
        on_bad_sample: BadSamplePolicy = "error",
        max_bad: float = 0.01,
        seed: int = 0,
        device: torch.device | str = "cpu",
        what: str = "data",
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.sampler = sampler
        self.drop_last = drop_last
        self.seed = seed
        self.device = torch.device(device)
        if not len(dataset):
            raise DataError("the dataset is empty")
        alone, self.together = Pipeline(transforms, seed).split_at_mixing()
        self.bad = BadSamples(on_bad_sample, max_bad, len(dataset), what)
        self.samples = Samples(dataset, target_transform, self.bad)
        self.mode, self.why = choose(self.samples, alone, mode, workers, collate is not None)
        self.beside: Beside | None = None  # ranks that build this loader's engine all at once, and share its memory
        self.what, self.alone, self.workers, self.cache, self.collate = what, alone, workers, cache, collate

    @cached_property
    def engine(self) -> Engine:
        """What makes the batches; decodes the images when first asked for, if they are kept in memory.

        Raises:
            DataError: they cannot be read, or differ in size.
        """
        logger.info("%s: %d samples, %s engine (%s)", self.what, len(self.dataset), self.mode, self.why)
        if self.mode == "memory":
            return InMemory(self.samples, self.alone, self.device, self.beside)
        source = Decoded(self.samples, self.beside) if self.cache == "memory" else self.samples
        return Workers(source, self.alone, self.device, self.workers, self.collate)

    @property
    def count(self) -> int:
        """How many an epoch has, those of a last batch that is left out among them."""
        return len(self.dataset) if self.sampler is None else len(self.sampler)

    def __len__(self) -> int:
        """Batches an epoch."""
        return self.batches_of(self.batch_size)

    def batches_of(self, size: int) -> int:
        """Batches that an epoch would have at another batch size."""
        return self.count // size if self.drop_last else -(-self.count // size)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Which sample stands at which place of an epoch, (N,) int64."""
        count = len(self.dataset)
        if self.sampler is not None:
            order = order_of(self.sampler, self.seed, epoch, count)
        else:
            order = permutation(self.seed, epoch, count) if self.shuffle else np.arange(count)
        return order[: len(self) * self.batch_size]

    def batches(
        self, epoch: int, start: int = 0, share: Share | None = None, order: NDArray[np.int64] | None = None
    ) -> Iterator[Batch]:
        """The batches of an epoch from number ``start`` on; what lies before is neither decoded nor drawn.

        Args:
            share: make only this part of each batch. Transforms that mix samples need all of it, and are given it.
            order: that of the epoch, where the caller has asked for it already: of a million samples it is 8 MB.
        """
        order = self.order(epoch) if order is None else order
        if not self.together.transforms:
            return self.engine.batches(order, epoch, start, self.batch_size, share)
        whole = self.engine.batches(order, epoch, start, self.batch_size, None)
        mixed = self._mixed(whole, epoch, start)
        return mixed if share is None else map(share.of, mixed)

    def batches_with(self, samples: Sequence[int]) -> Iterator[Batch]:
        """Batches of these samples alone, transformed as in the first epoch; those that mix samples are left out."""
        return self.engine.batches(np.asarray(samples, np.int64), 0, 0, self.batch_size, None)

    def denormalised(self, inputs: torch.Tensor) -> torch.Tensor:
        """The images of this loader, (B, C, H, W) as the network gets them, in their own colours, 0 to 1, on the CPU.

        Each Normalize among the transforms is undone; what lies outside 0 to 1 even so is clipped.
        """
        return denormalised(inputs, [*self.alone.transforms, *self.together.transforms]).clamp(0, 1)

    def _mixed(self, made: Iterator[Batch], epoch: int, start: int) -> Iterator[Batch]:
        begin = start * self.batch_size
        for inputs, targets, index in made:
            places = np.arange(begin, begin + len(index))
            yield Batch(*self.together(inputs, targets, index.numpy(), epoch, places), index)
            begin += len(index)


def choose(
    samples: Samples, pipeline: Pipeline, mode: str, workers: int, collates: bool
) -> tuple[Literal["memory", "workers"], str]:
    """Which engine, and the reason in words; what counts is the size of the images as they would be kept."""
    if mode == "memory":
        if collates:
            raise DataError("mode='memory' stacks all samples once and calls no collate function; set mode='workers'")
        return "memory", "as asked"
    if mode == "workers":
        return "workers", f"as asked, {workers} processes"
    if workers:
        return "workers", f"the config asks for {workers} workers"
    if collates:
        return "workers", "a collate function is named"
    first = pipeline.split(samples[0][0])[0]
    sizes = {tuple(first.once(*samples[i])[0].shape) for i in sorted({0, len(samples) // 2, len(samples) - 1})}
    if len(sizes) > 1:
        return "workers", "images differ in size"
    needed = int(np.prod(next(iter(sizes)))) * len(samples)
    size = f"{needed / 2**20:,.0f} MiB decoded"
    return ("memory", size) if needed <= MEMORY_BUDGET else ("workers", f"{size} is over the budget of 4 GiB")
