"""How well areas are met.

Dimension letters: B batch, K classes, H height, W width.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class MeanIoU:
    """Mean over the classes of intersection over union, 0 to 1, over all pixels of a pass together.

    A class that neither occurs nor is predicted counts for nothing.

    Args:
        num_classes: K; the dataset's own unless given.
        ignore_index: targets that count for no class; the dataset's own unless given.

    Shapes: outputs (B, K, H, W) logits, targets (B, H, W) int64.
    Source: Everingham et al. 2010, "The Pascal Visual Object Classes (VOC) challenge".
    """

    higher_is_better = True

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        self.num_classes, self.ignore_index = num_classes, ignore_index
        self.reset()

    def reset(self) -> None:
        """Forget all pixels."""
        self.counts: Tensor | None = None  # (K * K,), rows true, columns predicted, on the device

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count one batch; nothing waits for the device."""
        known = targets != self.ignore_index
        pairs = torch.where(known, targets * self.num_classes + outputs.argmax(1), self.num_classes**2)
        counts = torch.bincount(pairs.flatten(), minlength=self.num_classes**2 + 1)[:-1]
        self.counts = counts if self.counts is None else self.counts + counts

    def per_class(self) -> list[float]:
        """Of each class, (K,); nan for one that neither occurs nor is predicted."""
        if self.counts is None:
            return [math.nan] * self.num_classes
        counts = self.counts.view(self.num_classes, self.num_classes).double()
        met, union = counts.diagonal(), counts.sum(0) + counts.sum(1) - counts.diagonal()
        return (met / union).tolist()  # type: ignore[no-any-return]

    def compute(self) -> float:
        """The mean so far; 0 before the first pixel."""
        there = [value for value in self.per_class() if not math.isnan(value)]
        return sum(there) / len(there) if there else 0.0

    def state_dict(self) -> dict[str, Any]:
        return {} if self.counts is None else {"counts": self.counts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.counts = state.get("counts")
