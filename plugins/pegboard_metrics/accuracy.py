"""Top-k accuracy, counted on the device."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pegboard import PegboardError


class Accuracy:
    """Share of the samples whose true class is among the ``k`` highest logits, 0 to 1.

    Args:
        k: how many guesses a sample has, at least 1.

    Shapes: outputs (B, K) or (B, K, ...) logits, targets (B,) or (B, ...) int64 class indices, or (B, K) class
    probabilities, of which the largest counts as true.
    Ties count as torch.topk orders them.
    """

    higher_is_better = True

    def __init__(self, k: int = 1) -> None:
        if k < 1:
            raise PegboardError(f"Accuracy: k must be at least 1, got {k}")
        self.k = k
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        self.correct: Tensor | None = None
        self.count = 0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count one batch; nothing waits for the device."""
        if targets.is_floating_point():
            targets = targets.argmax(1)
        if self.k == 1:
            hits = (outputs.argmax(1) == targets).sum()
        else:
            if self.k > outputs.shape[1]:
                raise PegboardError(f"Accuracy: k is {self.k}, but there are {outputs.shape[1]} classes")
            hits = (outputs.topk(self.k, 1).indices == targets.unsqueeze(1)).sum()
        self.correct = hits if self.correct is None else self.correct + hits
        self.count += targets.numel()

    def compute(self) -> float:
        """The share so far; 0 before the first sample."""
        return 0.0 if self.correct is None else self.correct.item() / self.count

    def state_dict(self) -> dict[str, Any]:
        correct = torch.zeros((), dtype=torch.int64) if self.correct is None else self.correct
        return {"correct": correct, "count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.correct, self.count = (state["correct"], state["count"]) if state["count"] else (None, 0)
