"""How a model that is parted begins: with the weights of a single process, drawn by the first rank alone."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pegboard import Hook, Runner
from pegboard.registry import BOARDS
from pegboard.weights.hollow import hollow
from tests import ranks, runs


class Tied(nn.Module):
    """Two layers with one weight, a buffer that is drawn, one that no state dict has, and dropout."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(192, 192), nn.Linear(192, 192), nn.Linear(192, num_classes)
        self.two.weight = self.one.weight
        self.register_buffer("drawn", torch.rand(192))
        self.register_buffer("fixed", torch.linspace(1, 2, 192), persistent=False)
        self.drop = nn.Dropout(0.1)
        self.began_empty = self.head.weight.is_meta

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.two(self.one(self.drop(images.flatten(1)) * self.drawn) * self.fixed))
        return logits


class Reads(Tied):
    """Its constructor looks at a value."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.scale = float(self.head.weight.detach().abs().sum())


class Keeps(Tied):
    """Has a tensor that is no buffer, deep in a list."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.tables = [{"mask": torch.ones(192)}]

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images * self.tables[0]["mask"].view(1, 3, 8, 8))


class Lazy(Tied):
    """Has a layer that takes its shape from the first batch."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.one = nn.LazyLinear(192)


class Centres(nn.Module):
    """A loss with a drawn buffer, which is built after the model."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centres", torch.rand(4))

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(outputs + self.centres, targets)


class Looks(Hook):
    """Keeps what a run begins with."""

    def before_train(self, run: Runner) -> None:
        model = run.model
        self.weights = run.whole({**model.state_dict(), "fixed": dict(model.named_buffers())["fixed"]})
        self.weights = {name: weight.clone() for name, weight in self.weights.items()}
        self.loss = run.step.criterion.state_dict()
        self.tied = model.one.weight is model.two.weight


MODELS = {"Tied": Tied, "Reads": Reads, "Keeps": Keeps, "Lazy": Lazy}
CONFIG: dict[str, Any] = {"val": None, "metrics": {}, "train_for": "2 iters", "loss": {"type": "Centres"}}


def _train(folder: Path, strategy: dict[str, Any]) -> None:
    runs.hang_up()
    for model in MODELS.values():
        BOARDS["models"].register(model, supplied=("num_classes",))
    BOARDS["losses"].register(Centres)
    for name in MODELS:
        looks = Looks()
        hooks = {"progress": None, "looks": runs.hang("hooks", "looks", looks)}
        changes = {"init": [{"type": "normal", "layer": "Linear"}]} if name == "Tied" else {}
        runs.train(
            folder / strategy["type"] / name, **CONFIG, **changes, model={"type": name}, strategy=strategy, hooks=hooks
        )
        kept = (looks.weights, looks.loss, looks.tied)
        torch.save(kept, folder / f"{name}{os.environ.get('RANK', '')}.pt")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    for world, strategy in ((1, {"type": "DDP"}), (2, {"type": "FSDP"})):
        done = ranks.call(world, _train, folder, strategy, logs=folder / str(world))
        assert set(done) == {0}, "\n".join(log.read_text() for log in (folder / str(world)).glob("*.log"))
    return folder


@pytest.mark.parametrize("name", MODELS)
def test_every_rank_begins_with_the_weights_of_a_single_process(begun: Path, name: str) -> None:
    """Bit for bit, buffers and those of a loss too; ties hold."""
    alone, first, second = (torch.load(begun / f"{name}{rank}.pt") for rank in ("", 0, 1))
    assert runs.same(alone, first) and runs.same(alone, second)
    assert alone[2] == (name != "Lazy")
    assert max(float(weight.abs().max()) for weight in alone[0].values()) > 0


def test_the_comparison_tells_one_bit_apart(begun: Path) -> None:
    alone, first = (torch.load(begun / f"Tied{rank}.pt") for rank in ("", 0))
    first[0]["two.bias"][-1] = torch.nextafter(first[0]["two.bias"][-1], torch.tensor(9.0))
    assert not runs.same(alone, first)


@pytest.mark.parametrize(("name", "can"), [("Tied", True), ("Reads", False), ("Keeps", False), ("Lazy", False)])
def test_a_model_that_can_be_built_without_values_is(name: str, can: bool) -> None:
    before = torch.get_rng_state()
    model = hollow(lambda: MODELS[name](4))
    assert (model is not None) == can
    if model is not None:
        assert torch.equal(torch.get_rng_state(), before)  # nothing was drawn
        assert model.began_empty and model.one.weight is model.two.weight
        assert all(tensor.device.type == "cpu" for tensor in (*model.parameters(), *model.buffers()))
        assert [name for name, _ in model.named_buffers()] == ["drawn", "fixed"]
        assert set(model.state_dict()) == set(MODELS[name](4).state_dict())
