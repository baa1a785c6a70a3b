"""What losses are trained on: the points of ``points.py`` with other targets, and images with a class a pixel."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pegboard.registry import BOARDS
from tests.plugins.pegboard_optim.points import COUNT, Points

HERE = "tests.plugins.pegboard_losses.tasks"


def one_hot(target: int) -> Tensor:
    """(2,) float32."""
    return F.one_hot(torch.tensor(target), 2).float()


def sign(target: int) -> Tensor:
    """-1 or 1, (1,) float32."""
    return torch.tensor([2.0 * target - 1])


class SoftPoints(Points):
    """Targets are probabilities of both classes, (2,) float32."""

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        above = torch.sigmoid(self.points[index].sum())
        return self.points[index], torch.stack([1 - above, above])


class Pixels:
    """Images (3, 4, 4) float32; the class of each pixel is its strongest channel, (4, 4) int64."""

    classes = ("red", "green", "blue")

    def __init__(self) -> None:
        self.images = torch.rand(COUNT, 3, 4, 4, generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.images[index].argmax(0)


class Uneven(Points):
    """Three classes with 12, 8 and 4 samples."""

    classes = ("many", "some", "few")

    def __init__(self) -> None:
        super().__init__()
        self.targets = [0] * 12 + [1] * 8 + [2] * 4


def hang_up() -> None:
    for part in (SoftPoints, Pixels, Uneven):
        BOARDS["datasets"].register(part)
