"""A dataset several times over."""

from typing import Any

import numpy as np

from pegboard.errors import DataError
from pegboard_data.view import View


class Repeat(View):
    """Another dataset ``times`` times over: an epoch of it is as many passes.

    Each pass augments anew, since augmentation depends on the sample's number. The memory engine keeps every pass; a
    longer ``train_for`` costs nothing.

    Args:
        dataset: the other one.
        times: how often, at least once.

    Raises:
        DataError: ``times`` is below 1.
    """

    def __init__(self, dataset: Any, times: int) -> None:
        super().__init__(dataset)
        if times < 1:
            raise DataError(f"Repeat: times={times}; expected at least 1")
        self.indices = np.tile(np.arange(len(dataset)), times)
