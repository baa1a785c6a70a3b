"""From a dataset and transforms to batches, in memory where the images fit, by worker processes where not."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pegboard.data.batch import Batch
from pegboard.data.engines import Engine, InMemory, Workers, decode
from pegboard.data.transform import Pipeline, Transform
from pegboard.errors import DataError
from pegboard.randomness import permutation

logger = logging.getLogger("pegboard")

MEMORY_BUDGET = 4 * 2**30  # bytes of decoded images that "auto" keeps in memory


class Loader:
    """Batches of a dataset, in an order and with augmentation that are functions of (seed, epoch, sample).

    Args:
        dataset: ``len()`` and ``[i]`` giving (PIL image or uint8 tensor (C, H, W), target).
        transforms: applied in order; a ``Transform`` runs on whole batches, any other callable sample by sample.
        batch_size: samples a batch.
        shuffle: a new order each epoch; without it the dataset's own.
        drop_last: leave out a last batch that is smaller.
        mode: ``"memory"`` decodes every image once and cuts batches by tensor operations; ``"workers"`` decodes
            sample by sample; ``"auto"`` chooses, and logs why.
        workers: processes of the worker engine; 0 loads in this process.
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
        drop_last: bool = False,
        mode: Literal["auto", "memory", "workers"] = "auto",
        workers: int = 0,
        seed: int = 0,
        device: torch.device | str = "cpu",
        what: str = "data",
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = seed
        self.device = torch.device(device)
        if not len(dataset):
            raise DataError("the dataset is empty")
        pipeline = Pipeline(transforms, seed)
        engine, why = choose(dataset, mode, workers)
        logger.info("%s: %d samples, %s engine (%s)", what, len(dataset), engine, why)
        self.mode = engine
        self.engine: Engine = (
            InMemory(dataset, pipeline, self.device)
            if engine == "memory"
            else Workers(dataset, pipeline, self.device, workers)
        )

    def __len__(self) -> int:
        """Batches an epoch."""
        count = len(self.dataset)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Which sample stands at which place of an epoch, (N,) int64."""
        count = len(self.dataset)
        order = permutation(self.seed, epoch, count) if self.shuffle else np.arange(count)
        return order[: len(self) * self.batch_size]

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number ``start`` on; what lies before is neither decoded nor drawn."""
        return self.engine.batches(self.order(epoch), epoch, start, self.batch_size)


def choose(dataset: Any, mode: str, workers: int) -> tuple[Literal["memory", "workers"], str]:
    """Which engine, and the reason in words."""
    if mode == "memory":
        return "memory", "as the config asks"
    if mode == "workers":
        return "workers", f"as the config asks, {workers} processes"
    if workers:
        return "workers", f"the config asks for {workers} workers"
    sizes = {tuple(_peek(dataset, i).shape) for i in sorted({0, len(dataset) // 2, len(dataset) - 1})}
    if len(sizes) > 1:
        return "workers", "images differ in size"
    needed = int(np.prod(next(iter(sizes)))) * len(dataset)
    size = f"{needed / 2**20:,.0f} MiB decoded"
    return ("memory", size) if needed <= MEMORY_BUDGET else ("workers", f"{size} is over the budget of 4 GiB")


def _peek(dataset: Any, index: int) -> Tensor:
    return decode(dataset, index)[0]
