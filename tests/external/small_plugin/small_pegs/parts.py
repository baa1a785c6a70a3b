"""The parts. Dimension letters: B batch, K classes, H = W = 32 pixels."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pegboard import Hook, Transform


class SmallNet(nn.Module):
    """Mean colours of a grid of cells, then one linear layer.

    Args:
        num_classes: size of the last layer; the run fills it in.
        cells: of the grid, a side.

    Shapes: images (B, 3, H, W) float -> logits (B, K).
    """

    def __init__(self, num_classes: int, cells: int = 4) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(cells)
        self.fc = nn.Linear(3 * cells * cells, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.pool(images).flatten(1))
        return logits


class Darken(Transform):
    """Take between none and ``most`` of the light away.

    Shapes: images (B, 3, H, W) uint8 -> the same.
    """

    uniforms = 1

    def __init__(self, most: float = 0.5) -> None:
        self.most = most

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """What is left of the light, (B, 1)."""
        return 1 - self.most * u

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        left = rows[:, :, None, None].to(images.device)
        return (images * left).to(torch.uint8)


class CountSteps(Hook):
    """Write how many optimizer steps there were to ``file`` when the run is over."""

    state = ("steps",)

    def __init__(self, file: str) -> None:
        self.file = file
        self.steps = 0

    def after_optimizer_step(self, run: Any) -> None:
        self.steps += 1

    def after_run(self, run: Any) -> None:
        Path(self.file).write_text(f"{self.steps} steps of {type(run.model).__name__}\n", encoding="utf-8")
