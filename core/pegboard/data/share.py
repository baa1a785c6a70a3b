"""Which part of each batch one of several processes makes."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pegboard.data.batch import Batch


class Share(NamedTuple):
    """A contiguous part of every batch: those of all ranks, one after the other, are the batch.

    A batch of fewer samples than ranks leaves the last ranks none; such a rank borrows the whole small batch, to have
    something to go through the model, and what comes of it does not count.
    """

    rank: int
    world: int

    def counts(self, size: int) -> list[int]:
        """How many of a batch's samples each rank has."""
        ends = [-(-rank * size // self.world) for rank in range(self.world + 1)]
        return [end - begin for begin, end in pairwise(ends)]

    def span(self, begin: int, end: int) -> tuple[int, int]:
        """The places that this rank makes of a batch at places ``begin`` to ``end`` (excluded)."""
        size = end - begin
        low, high = -(-self.rank * size // self.world), -(-(self.rank + 1) * size // self.world)
        return (begin + low, begin + high) if high > low else (begin, end)

    def places(self, begin: int, end: int, batch_size: int) -> tuple[NDArray[np.int64], list[int]]:
        """The same of all batches between two places: the places, (M,) int64, and how many each batch has."""
        spans = [self.span(first, min(first + batch_size, end)) for first in range(begin, end, batch_size)]
        return np.concatenate([np.arange(*span) for span in spans]), [high - low for low, high in spans]

    def of(self, batch: Batch) -> Batch:
        """This rank's part of a batch that is there already."""
        low, high = self.span(0, len(batch.index))
        return Batch(batch.inputs[low:high], batch.targets[low:high], batch.index[low:high])
