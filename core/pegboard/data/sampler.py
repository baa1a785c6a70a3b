"""Which samples an epoch shows, and in what order."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pegboard.errors import DataError
from pegboard.randomness import hashed


class Sampler:
    """A function from (seed, epoch) to indices: what came before does not matter, so a resume needs no history.

    A subclass defines ``__len__``, how many samples an epoch shows (the same in every epoch), and ``order``.
    """

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not define __len__()")

    def order(self, seed: int, epoch: int) -> NDArray[np.int64]:
        """The sample at each place of the epoch, (len(self),) int64; one may appear twice or not at all."""
        raise NotImplementedError(f"{type(self).__name__} does not define order(seed, epoch)")


def order_of(sampler: Any, seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """An epoch's order from a sampler, ours or one of ``torch.utils.data``.

    The latter draws from torch's generator, which is seeded from (seed, epoch) for it and put back afterwards.

    Raises:
        DataError: it names a sample that the dataset of ``count`` samples does not have, or not as many as it says.
    """
    if hasattr(sampler, "order"):
        order = np.asarray(sampler.order(seed, epoch), dtype=np.int64)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(hashed(seed, epoch, -2))
            order = np.fromiter(iter(sampler), dtype=np.int64)
    if len(order) != len(sampler):
        raise DataError(f"{type(sampler).__name__} gave {len(order)} samples for an epoch of {len(sampler)}")
    if len(order) and not 0 <= order.min() <= order.max() < count:
        wrong = int(order.max() if order.max() >= count else order.min())
        raise DataError(f"{type(sampler).__name__} asks for sample {wrong} of {count}")
    return order
