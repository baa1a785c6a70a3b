"""The two ways to make batches: decode everything once, or sample by sample in worker processes.

Both give the same images, because both draw each sample's parameters from (seed, epoch, place, sample).
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from pegboard.data.batch import Batch
from pegboard.data.transform import Pipeline
from pegboard.errors import DataError

CHUNK = 512  # samples that are augmented together: large enough to amortise a call, small enough for the cache


class Engine(Protocol):
    """Makes the batches of an epoch whose order is given."""

    def batches(self, order: NDArray[np.int64], epoch: int, start: int, batch_size: int) -> Iterator[Batch]:
        """From batch number ``start`` on."""


class InMemory:
    """Every image decoded once into one uint8 tensor, on the training device; batches are cut by tensor operations."""

    def __init__(self, dataset: Any, pipeline: Pipeline, device: torch.device) -> None:
        first, self.pipeline = pipeline.split(decode(dataset, 0)[0])
        images: Tensor | None = None  # (N, C, H, W), made when the size of an image is known
        targets, nothing = [], torch.empty(1, 0)
        for index in range(len(dataset)):
            image, target = decode(dataset, index)
            for transform in first.transforms:
                image = transform.apply(image[None], nothing)[0]  # type: ignore[union-attr]  # split took Transforms only
            if images is None:
                images = image.new_empty((len(dataset), *image.shape))
            if image.shape != images.shape[1:]:
                raise DataError(
                    f"sample {index} is {_size(image)}, sample 0 is {_size(images)}; images in memory must be "
                    "of one size: begin the transforms with Resize, or set mode='workers'"
                )
            images[index] = image
            targets.append(target)
        if images is None:
            raise DataError("the dataset is empty")
        self.images = images.to(device)
        self.targets = collate(targets).to(device)  # (N, ...)
        self.on_cpu = device.type == "cpu"

    def batches(self, order: NDArray[np.int64], epoch: int, start: int, batch_size: int) -> Iterator[Batch]:
        """Augments a chunk of batches at once, then cuts it."""
        chunk = max(1, CHUNK // batch_size) * batch_size
        for begin in range(start * batch_size, len(order), chunk):
            index = order[begin : begin + chunk]
            places = np.arange(begin, begin + len(index))
            on_host = torch.from_numpy(index)
            where = on_host if self.on_cpu else on_host.to(self.images.device, non_blocking=True)
            chosen = self.images.index_select(0, where)  # twenty times faster than self.images[where] for uint8
            images, targets = self.pipeline(chosen, self.targets.index_select(0, where), index, epoch, places)
            parts = (tensor.split(batch_size) for tensor in (images, targets, on_host))
            yield from map(Batch._make, zip(*parts, strict=True))


class Workers:
    """Samples decoded and transformed one by one, in ``workers`` processes (0: in this one)."""

    def __init__(self, dataset: Any, pipeline: Pipeline, device: torch.device, workers: int) -> None:
        self.dataset = dataset
        self.pipeline = pipeline
        self.device = device
        self.workers = workers

    def batches(self, order: NDArray[np.int64], epoch: int, start: int, batch_size: int) -> Iterator[Batch]:
        """Batches go to the processes in turn and come back in order."""
        begins = range(start * batch_size, len(order), batch_size)
        tasks = [(begin, order[begin : begin + batch_size]) for begin in begins]
        source = _Tasks(self.dataset, self.pipeline, epoch, tasks)
        pinned = self.device.type == "cuda"
        for batch in DataLoader(source, batch_size=None, num_workers=min(self.workers, len(tasks)), pin_memory=pinned):
            inputs, targets = (part.to(self.device, non_blocking=pinned) for part in (batch.inputs, batch.targets))
            yield Batch(inputs, targets, batch.index)


class _Tasks(IterableDataset[Batch]):
    """One epoch's batches for a DataLoader; worker w of n makes those at w, w + n, ..."""

    def __init__(
        self, dataset: Any, pipeline: Pipeline, epoch: int, tasks: list[tuple[int, NDArray[np.int64]]]
    ) -> None:
        self.dataset, self.pipeline, self.epoch, self.tasks = dataset, pipeline, epoch, tasks

    def __iter__(self) -> Iterator[Batch]:
        worker = torch.utils.data.get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for begin, index in self.tasks[first::step]:
            images: list[Tensor] = []
            targets: list[Tensor] = []
            for place, sample in enumerate(index.tolist(), begin):
                image, target = decode(self.dataset, sample)
                one, places = np.array([sample]), np.array([place])
                done, its_target = self.pipeline(image[None], collate([target]), one, self.epoch, places)
                if images and done.shape[1:] != images[0].shape[1:]:
                    raise DataError(
                        f"sample {sample} is {_size(done[0])} after its transforms, others of its batch are "
                        f"{_size(images[0][0])}; begin the transforms with Resize or end them with a crop"
                    )
                images.append(done)
                targets.append(its_target)
            yield Batch(torch.cat(images), torch.cat(targets), torch.from_numpy(index))


def decode(dataset: Any, index: int) -> tuple[Tensor, Any]:
    """One sample as (uint8 tensor (C, H, W), target)."""
    sample = dataset[index]
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        found = type(sample).__name__
        raise DataError(f"sample {index} of {type(dataset).__name__} is no (image, target) pair but {found}")
    return as_uint8(sample[0], index), sample[1]


def as_uint8(image: Any, index: int) -> Tensor:
    """A PIL image, or a tensor that is taken as it is, as (C, H, W).

    Raises:
        DataError: it is neither.
    """
    if isinstance(image, Tensor):
        return image
    if hasattr(image, "convert"):  # a PIL image; Pillow is not imported where no image is
        pixels = np.asarray(image.convert("RGB"))
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    raise DataError(f"sample {index} is {type(image).__name__}; expected a PIL image or a uint8 tensor (C, H, W)")


def collate(targets: list[Any]) -> Tensor:
    """Targets of several samples as one tensor, (B, ...): int64 from integers, float32 from Python floats."""
    if isinstance(targets[0], Tensor):
        return torch.stack(targets)
    values = np.asarray(targets)
    return torch.from_numpy(values.astype(np.float32) if values.dtype == np.float64 else values)


def _size(image: Tensor) -> str:
    return " x ".join(str(size) for size in image.shape[-2:])
