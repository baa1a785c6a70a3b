"""Each loss trains, through a config, to a result that is stated."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pegboard import Batch, Runner
from tests import runs
from tests.plugins.pegboard_losses.tasks import HERE, SoftPoints
from tests.plugins.pegboard_optim import points


def linear(outputs: int, *after: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, outputs), *after)


def trained(folder: Path, model: nn.Module, loss: Any, lr: float = 0.1, **loader: Any) -> Runner:
    train = {"dataset": {"type": "Points"}, "batch_size": 12, "shuffle": True, **loader}
    adam = {"type": "Adam", "lr": lr}
    run = points.runner(folder, model, loss=loss, train=train, optimizer=adam, train_for="60 epochs")
    run.train()
    run.model.eval()
    return run


def everything(run: Runner) -> tuple[Tensor, Tensor]:
    """Outputs for all samples, and their targets."""
    parts = list(run.train_loader.batches(0))
    with torch.no_grad():
        return torch.cat([run.model(b.inputs) for b in parts]), torch.cat([b.targets for b in parts])


@pytest.mark.parametrize("loss", ["L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss"])
def test_regression_to_one_hot_targets_classifies_every_point(loss: str, tmp_path: Path) -> None:
    run = trained(tmp_path, linear(2), {"type": loss}, target_transform=f"{HERE}:one_hot")
    outputs, targets = everything(run)
    assert (outputs.argmax(1) == targets.argmax(1)).all()


@pytest.mark.parametrize("loss", ["L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss"])
def test_regression_to_a_number_finds_its_sign(loss: str, tmp_path: Path) -> None:
    run = trained(tmp_path, linear(1), {"type": loss}, target_transform=f"{HERE}:sign")
    outputs, targets = everything(run)
    assert outputs.shape == targets.shape == (points.COUNT, 1)
    assert (outputs.sign() == targets).all()


@pytest.mark.parametrize("loss", ["CrossEntropyLoss", "MultiMarginLoss"])
def test_logits_classify_every_point(loss: str, tmp_path: Path) -> None:
    outputs, targets = everything(trained(tmp_path, linear(2), {"type": loss}))
    assert (outputs.argmax(1) == targets).all()


def test_nll_of_log_softmax_classifies_every_point_and_equals_cross_entropy(tmp_path: Path) -> None:
    run = trained(tmp_path / "nll", linear(2, nn.LogSoftmax(1)), {"type": "NLLLoss"})
    outputs, targets = everything(run)
    assert (outputs.argmax(1) == targets).all()
    other = trained(tmp_path / "ce", linear(2), {"type": "CrossEntropyLoss"})
    assert run.final["train/loss"] == pytest.approx(other.final["train/loss"], rel=1e-4)


def test_divergence_trains_to_soft_labels(tmp_path: Path) -> None:
    run = trained(
        tmp_path, linear(2, nn.LogSoftmax(1)), {"type": "KLDivLoss", "reduction": "batchmean"},
        dataset={"type": "SoftPoints"},
    )  # fmt: skip
    outputs, targets = everything(run)
    assert run.final["train/loss"] < 0.02
    assert torch.allclose(outputs.exp(), targets, atol=0.1)


class Student(nn.Module):
    """Learns from the probabilities of a teacher at a temperature, and never sees a label.

    Source: Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 2.
    """

    def __init__(self, temperature: float = 2.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Linear(8, 2)
        self.temperature = temperature
        self.teacher = nn.Linear(8, 2).requires_grad_(False)
        self.teacher.weight.copy_(torch.stack([-torch.ones(8), torch.ones(8)]))

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.layers(inputs)
        return logits

    def training_step(self, batch: Batch, criterion: Any) -> tuple[Tensor, Tensor]:
        logits, t = self(batch.inputs), self.temperature
        wanted = F.softmax(self.teacher(batch.inputs) / t, 1)
        return criterion(F.log_softmax(logits / t, 1), wanted) * t**2, logits


def test_a_student_learns_from_its_teacher(tmp_path: Path) -> None:
    run = trained(tmp_path, Student(), {"type": "KLDivLoss", "reduction": "batchmean"})
    inputs = SoftPoints().points
    with torch.no_grad():
        assert (run.model(inputs).argmax(1) == run.model.teacher(inputs).argmax(1)).all()
    assert torch.equal(run.model.teacher.weight, Student().teacher.weight)


def test_cross_entropy_of_each_pixel(tmp_path: Path) -> None:
    """Outputs (B, K, H, W), targets (B, H, W)."""
    torch.manual_seed(0)
    run = trained(tmp_path, nn.Conv2d(3, 3, 1), {"type": "CrossEntropyLoss"}, dataset={"type": "Pixels"})
    outputs, targets = everything(run)
    assert outputs.shape == (points.COUNT, 3, 4, 4) and targets.shape == (points.COUNT, 4, 4)
    assert (outputs.argmax(1) == targets).float().mean() > 0.95


# -- triplets --------------------------------------------------------------------------------------------------------


class Rings:
    """Where a point lies on its circle says nothing of which of three circles it is. Shapes: (2,) float32."""

    classes = ("inner", "middle", "outer")

    def __init__(self, count: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.targets = [index % 3 for index in range(count)]
        angle = torch.rand(count, generator=generator) * 2 * torch.pi
        radius = 1 + 0.2 * torch.tensor(self.targets) + 0.04 * torch.randn(count, generator=generator)
        self.points = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.points[index], self.targets[index]


class Embeds(nn.Module):
    """Points to places on a sphere; it mines its triplets among the samples of a batch.

    Args:
        semi_hard: the negative is the nearest of those that are farther than the positive (Schroff et al. 2015,
            arXiv:1503.03832, section 3.2), or the nearest of all where there is none; otherwise any.
    """

    def __init__(self, semi_hard: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.semi_hard = semi_hard
        self.layers = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))

    def forward(self, inputs: Tensor) -> Tensor:
        return F.normalize(self.layers(inputs))

    def training_step(self, batch: Batch, criterion: Any) -> tuple[Tensor, Tensor]:
        embedded = self(batch.inputs)
        alike = batch.targets[:, None] == batch.targets
        others = alike & ~torch.eye(len(alike), dtype=torch.bool)
        positive = torch.multinomial(others.float(), 1).squeeze(1)
        negative = torch.multinomial((~alike).float(), 1).squeeze(1)
        if self.semi_hard:
            distance = torch.cdist(embedded, embedded).detach()
            near = distance.gather(1, positive[:, None])
            farther = distance.masked_fill(alike | (distance <= near), torch.inf)
            nearest = distance.masked_fill(alike, torch.inf).argmin(1)
            negative = torch.where(farther.isinf().all(1), nearest, farther.argmin(1))
        return criterion(embedded, embedded[positive], embedded[negative]), embedded


def recall_at_1(model: nn.Module, rings: Rings) -> float:
    """Share of points whose nearest other point in the embedding is of their class."""
    with torch.no_grad():
        embedded = model(rings.points)
    distance = torch.cdist(embedded, embedded).fill_diagonal_(torch.inf)
    targets = torch.tensor(rings.targets)
    return float((targets[distance.argmin(1)] == targets).float().mean())


@pytest.mark.parametrize("semi_hard", [False, True])
def test_triplets_teach_an_embedding_to_retrieve(semi_hard: bool, tmp_path: Path, boards: None) -> None:
    loss = {"type": "TripletMarginLoss", "margin": 0.3}
    dataset = runs.hang("datasets", "Rings", Rings(count=192))
    run = trained(tmp_path, Embeds(semi_hard), loss, lr=0.02, dataset=dataset, batch_size=48)
    unseen = Rings(count=150, seed=1)
    assert recall_at_1(Embeds(semi_hard), unseen) < 0.7 < 0.9 < recall_at_1(run.model, unseen)
