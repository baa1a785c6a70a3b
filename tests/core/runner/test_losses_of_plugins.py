"""What a plugin's loss holds beside its formula: a state of its own is kept, weights that want to learn are refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pegboard import ConfigError
from pegboard.registry import BOARDS
from tests import runs


class Prior(nn.Module):
    """Cross entropy with logits moved by how often each class came so far: a running mean, its only state."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.full((4,), 0.25))

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.training:
            self.seen.lerp_(F.one_hot(targets, 4).float().mean(0), 0.1)
        return F.cross_entropy(outputs + self.seen.log(), targets)


class Centres(nn.Module):
    """Distance to the centre of each sample's class; the centres want to be learned."""

    def __init__(self, learn: bool = True) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.zeros(4, 4), requires_grad=learn)

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - self.centres[targets]).square().mean()


@pytest.fixture(autouse=True)
def hung(boards: None) -> None:
    for loss in (Prior, Centres):
        BOARDS["losses"].register(loss)


ALONE = {"type": "Prior"}
AMONG = {"prior": {"type": "Prior", "loss_weight": 0.5}, "plain": {"type": "CrossEntropyLoss"}}


@pytest.mark.parametrize("loss", [ALONE, AMONG], ids=["alone", "among others"])
def test_a_resume_goes_on_with_what_a_loss_keeps(loss: Any, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"loss": loss, "checkpoint": {"every": "1 iters", "keep": 99}}
    runs.train(tmp_path / "whole", **changes)
    runs.runner(tmp_path / "part", runs.checkpoint(tmp_path / "whole", 4), **changes).train()
    one, other = runs.newest(tmp_path / "whole"), runs.newest(tmp_path / "part")
    [seen] = [tensor for name, tensor in one["loss"].items() if name.endswith("seen")]
    assert not torch.equal(seen, torch.full((4,), 0.25))
    assert runs.same(one["loss"], other["loss"]) and runs.same(one["model"], other["model"])
    forgotten = {**runs.checkpoint(tmp_path / "whole", 4), "loss": {}}  # the specimen: without it the runs differ
    runs.runner(tmp_path / "forgets", forgotten, **changes).train()
    assert not runs.same(one["model"], runs.newest(tmp_path / "forgets")["model"])


def test_an_evaluation_has_it_too(tmp_path: Path) -> None:
    run = runs.train(tmp_path, loss=ALONE)
    again = runs.runner(tmp_path / "test", loss=ALONE, test=runs.values()["val"])
    assert again.test(state=runs.newest(tmp_path))["test/loss"] == run.final["val/loss"]


def test_a_loss_of_another_config_begins_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    runs.train(tmp_path / "first", loss=ALONE, checkpoint={"every": "1 iters", "keep": 99})
    run = runs.runner(tmp_path / "next", runs.checkpoint(tmp_path / "first", 4), loss={"type": "CrossEntropyLoss"})
    run.train()
    assert runs.newest(tmp_path / "next")["loss"] == {}


@pytest.mark.parametrize(
    ("loss", "place"),
    [
        ({"type": "Centres"}, "loss"),
        ({"pull": {"type": "Centres"}, "plain": {"type": "CrossEntropyLoss"}}, "loss.pull"),
    ],
)
def test_weights_of_a_loss_that_nothing_would_train_are_refused(loss: Any, place: str, tmp_path: Path) -> None:
    message = (
        rf"{place}: Centres has weights of its own \(centres\), which no optimizer would train; let the model hold"
    )
    with pytest.raises(ConfigError, match=message):
        runs.train(tmp_path / "run", loss=loss)
    assert not (tmp_path / "run").exists()


def test_weights_of_a_loss_that_stand_still_are_none_of_that(tmp_path: Path) -> None:
    run = runs.train(tmp_path, loss={"type": "Centres", "learn": False})
    assert run.final["train/loss"] > 0
