"""What a loader yields."""

from typing import Any, NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """Samples that go through the model together.

    Args:
        inputs: (B, C, H, W) images after all transforms; float32 unless a transform makes it something else.
        targets: (B,) int64 class indices for classification, (B, H, W) int64 for masks; what the dataset gives
            otherwise.
        index: (B,) int64, which sample of the dataset each one is.
    """

    inputs: Tensor
    targets: Any
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which nobody calls on a batch
