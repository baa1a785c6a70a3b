"""Models from a config alone: layers by name, one after the other and repeated."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pegboard import Config, ConfigError, PegboardError
from pegboard.config import check
from pegboard.registry import MODELS
from pegboard_models.lenet import LeNet
from tests import runs
from tests.conftest import REPOSITORY

SUPPLY = {"num_classes": 10}
CONV = {"type": "Conv2d", "in_channels": 4, "out_channels": 4, "kernel_size": 3, "padding": 1}


def build(model: dict[str, Any], **supply: Any) -> Any:
    return MODELS.build(model, "model", supply or SUPPLY)


def problems(model: dict[str, Any]) -> list[str]:
    values = runs.values(model=model)
    values["train"]["dataset"] = values["val"]["dataset"] = {"type": "DrawnShapes", "count": 4}
    return [str(problem) for problem in check(Config.from_values(values))]


def test_a_lenet_of_layers_gives_what_lenet_gives() -> None:
    config = Config.load(REPOSITORY / "configs" / "lenet_layers.py")
    assert check(config) == []
    model, original = build(config.values["model"]), LeNet(10)
    model.load_state_dict(original.state_dict())
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(images), original(images))


def test_a_list_is_numbered_and_nested_models_get_their_classes() -> None:
    model = build(
        {
            "type": "Sequential",
            "layers": [CONV, {"type": "Sequential", "layers": {"net": {"type": "LeNet"}}}, None],
        },
        num_classes=7,
    )
    assert len(model) == 2
    assert model[1].net.fc3.out_features == 7
    assert "0.weight" in model.state_dict() and "1.net.conv1.weight" in model.state_dict()


def test_repeated_blocks_have_weights_of_their_own() -> None:
    model = build({"type": "Repeat", "block": {"type": "Sequential", "layers": {"conv": CONV}}, "times": 3})
    weights = [block.conv.weight for block in model]
    assert len(weights) == 3
    assert not torch.equal(weights[0], weights[1]) and not torch.equal(weights[1], weights[2])
    assert list(model.state_dict())[::2] == ["0.conv.weight", "1.conv.weight", "2.conv.weight"]
    assert model(torch.zeros(1, 4, 8, 8)).shape == (1, 4, 8, 8)


def test_a_number_of_classes_is_filled_in_only_where_it_is_asked_for() -> None:
    linear = {"type": "Linear", "in_features": 8, "out_features": 5}
    assert build(linear).out_features == 5
    assert build({**linear, "out_features": "num_classes"}).out_features == 10
    conv = build({**CONV, "out_channels": "num_classes"})
    assert conv.out_channels == 10
    with pytest.raises(ConfigError, match=r"model.layers.0.out_features: the data does not say its num_classes"):
        MODELS.build({"type": "Sequential", "layers": [{**linear, "out_features": "num_classes"}]}, "model", {})


def test_what_is_wrong_inside_is_found_by_check() -> None:
    inside = {"a": {**CONV, "kernel_sise": 3}, "b": {"type": "Repeat", "block": {"type": "ReLUU"}, "times": "many"}}
    assert problems({"type": "Sequential", "layers": inside}) == [
        "model.layers.a.kernel_sise: Conv2d takes no 'kernel_sise'; did you mean 'kernel_size'?",
        "model.layers.b.block.type: no 'ReLUU' in models; did you mean 'ReLU'?",
        "model.layers.b.times: must be int, got 'many'",
    ]
    assert (
        "out_features: must be int, got 'num_clases'"
        in problems({"type": "Linear", "in_features": 3072, "out_features": "num_clases"})[0]
    )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"type": "Sequential", "layers": []}, "needs at least one layer"),
        ({"type": "Sequential", "layers": {"a.b": CONV}}, "no layer can be called 'a.b'"),
        ({"type": "Sequential", "layers": {"forward": CONV}}, "no layer can be called 'forward'"),
        ({"type": "Repeat", "block": CONV, "times": 0}, "times must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_built_says_why(model: dict[str, Any], message: str) -> None:
    with pytest.raises(PegboardError, match=message):
        build(model)


def test_it_trains(tmp_path: Path, boards: None) -> None:
    runs.hang_up()
    layers = {"flat": {"type": "Flatten"}, "fc": {"type": "Linear", "in_features": 192, "out_features": "num_classes"}}
    run = runs.train(tmp_path / "a", model={"type": "Sequential", "layers": layers})
    assert isinstance(run.model, nn.Sequential)
    assert run.model.fc.out_features == 4
    assert run.final["train/loss"] < 3
