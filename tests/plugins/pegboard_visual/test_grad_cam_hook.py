"""The hook draws during training; that training does not notice is shown in test_observers.py."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pegboard import PegboardError, Runner
from pegboard.hooks.sample import Kept
from pegboard.registry import BOARDS
from pegboard_visual.hooks.cam import GradCAM
from tests import runs
from tests.plugins.pegboard_visual import nets

HOOK = {"type": "GradCAM", "images": 3, "every": "1 epoch"}
MODEL = {"model": {"type": "Drawn"}}


pytestmark = pytest.mark.usefixtures("tiny_parts", "boards")


def train(folder: Path, part: dict[str, Any] | None, **changes: Any) -> Runner:
    return runs.train(folder, **{**MODEL, "hooks": {"cam": part} if part else {}, **changes})


def drawn(folder: Path) -> list[str]:
    return [f"{path.parent.name}/{path.name}" for path in sorted((folder / "figures").glob("*/*.png"))]


def test_it_draws_every_so_often_and_at_the_end(tmp_path: Path) -> None:
    train(tmp_path, {**HOOK, "every": "2 epochs"}, train_for="5 epochs")
    assert drawn(tmp_path) == [f"iteration_{i:08}/Grad-CAM.png" for i in (6, 12, 15)]
    for name in drawn(tmp_path):
        picture = np.asarray(Image.open(tmp_path / "figures" / name))
        assert picture.ndim == 3 and picture.std() > 10


def test_a_validation_that_comes_late_draws_what_is_due(tmp_path: Path) -> None:
    train(tmp_path, {**HOOK, "every": "2 epochs"}, train_for="6 epochs", val_every="3 epochs")
    assert drawn(tmp_path) == [f"iteration_{i:08}/Grad-CAM.png" for i in (9, 18)]


def test_the_samples_are_fixed_and_spread_and_shown_with_their_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[Kept]] = []
    monkeypatch.setattr(GradCAM, "draw", lambda self, run, kept: seen.append(kept))
    train(tmp_path, HOOK, train_for="2 epochs")
    for kept in seen:
        assert [(one.sample, one.truth) for one in kept] == [(0, 0), (6, 2), (8, 0)]  # of 12
    assert all(torch.equal(one.inputs, other.inputs) for one, other in zip(*seen, strict=True))
    assert torch.equal(seen[0][1].inputs, runs.Dots(12, 1)[6][0] / 255)


def test_it_shows_itself_in_tensorboard(tmp_path: Path) -> None:
    train(tmp_path, HOOK, hooks={"cam": HOOK, "tensorboard": {"type": "TensorBoard"}})
    [file] = (tmp_path / "tensorboard").glob("*tfevents*")
    events = EventAccumulator(str(file))
    events.Reload()
    assert events.Tags()["images"] == ["Grad-CAM"]
    assert [image.step for image in events.Images("Grad-CAM")] == [3, 6]


def test_a_layer_that_does_not_exist_is_said_at_the_start_and_training_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "pegboard"):
        run = train(tmp_path, {**HOOK, "layer": "conv3"})
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "hook 'cam' failed at before_train and is switched off" in record.getMessage()
    assert "no layer 'conv3'; did you mean 'conv" in str(record.exc_info and record.exc_info[1])
    assert run.iteration == run.total_iterations and drawn(tmp_path) == []


def test_a_model_without_maps_trains_on(tmp_path: Path) -> None:
    run = train(tmp_path, HOOK, model={"type": "Tiny"})
    assert run.iteration == run.total_iterations and drawn(tmp_path) == []


def test_tokens_become_maps_as_the_config_says(tmp_path: Path) -> None:
    BOARDS["models"].register(nets.Tokens, name="Tokens")
    reshape = f"{nets.__name__}:maps_of_tokens"
    train(tmp_path, {**HOOK, "layer": "block", "reshape": reshape}, model={"type": "Tokens"})
    assert len(drawn(tmp_path)) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "block", "reshape": "nowhere"}, "reshape must be 'module:function', got 'nowhere'"),
        ({"reshape": "torch:relu"}, "reshape is for what a certain layer gives; name it with layer="),
        ({"method": "cam", "reshape": "torch:relu"}, "reshape is of no use to cam"),
        ({"images": 0}, "images must be an integer from 1 to 64, got 0"),
        ({"every": "5"}, "every: '5' is not a duration"),
        ({"method": "guided_backprop", "layer": "conv2"}, "reads no layer; leave layer out"),
        ({"method": "grad-cam"}, "or 'guided_gradcam', got 'grad-cam'; did you mean 'gradcam'"),
    ],
)
def test_mistakes_are_said(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PegboardError, match=message):
        GradCAM(**arguments)
