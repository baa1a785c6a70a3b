"""Rates fall from the last layer to the first, layer by layer."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pegboard import Config
from pegboard.config import check
from pegboard.runner.layer_decay import depths_of
from tests import runs

SGD = {"type": "SGD", "lr": 0.1}


def layered(num_classes: int) -> nn.Module:
    """Two convolutions, the first with a norm, and a classifier."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, num_classes)
    )


def rates(tmp_path: Path, **optimizer: Any) -> dict[str, float]:
    """The rate of each parameter."""
    run = runs.runner(tmp_path, model={"type": "layered"}, optimizer={**SGD, **optimizer}, train_for="1 iters")
    run.train()
    names = {id(parameter): name for name, parameter in run.model.named_parameters()}
    held = [(names[id(p)], group["lr"]) for group in run.optimizer.param_groups for p in group["params"]]
    assert len(held) == len(names) == len(dict(held))  # each in exactly one group
    return dict(held)


@pytest.fixture(autouse=True)
def _parts(boards: None) -> None:
    from pegboard import MODELS

    runs.hang_up()
    MODELS.register(layered, supplied=("num_classes",))


def test_each_layer_has_the_rate_of_the_next_times_the_factor(tmp_path: Path) -> None:
    found = rates(tmp_path, layer_decay=0.5)
    expected = {"0.weight": 0.025, "0.bias": 0.025, "1.weight": 0.025, "1.bias": 0.025}  # the norm goes with its layer
    expected |= {"3.weight": 0.05, "3.bias": 0.05, "5.weight": 0.1, "5.bias": 0.1}
    assert found == pytest.approx(expected)


def test_groups_keep_their_factors_and_a_rate_of_its_own_follows_none(tmp_path: Path) -> None:
    groups = [{"match": "*.bias", "lr_mult": 2.0}, {"match": "3.*", "lr": 7.0}]
    found = rates(tmp_path, layer_decay=0.5, groups=groups)
    assert found["0.bias"] == pytest.approx(0.05) and found["0.weight"] == pytest.approx(0.025)
    assert found["3.weight"] == 7.0 and found["3.bias"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("name", "count", "some"),
    [
        ("resnet18", 10, {"conv1.weight": 0, "bn1.weight": 0, "layer1.0.conv2.weight": 1, "fc.bias": 9}),
        ("vit_b_16", 14, {"class_token": 0, "conv_proj.weight": 0, "encoder.ln.weight": 12, "heads.head.weight": 13}),
        ("vgg11_bn", 11, {"features.1.weight": 0, "classifier.6.weight": 10}),
        ("mobilenet_v3_small", 15, {"features.0.0.weight": 0, "features.1.block.0.0.weight": 1}),
    ],
)
def test_layers_of_known_networks(name: str, count: int, some: dict[str, int]) -> None:
    import torchvision

    with torch.device("meta"):
        model = getattr(torchvision.models, name)()
    depths, names = depths_of(model)
    assert len(names) == count
    found = {known: depths[id(parameter)] for known, parameter in model.named_parameters() if known in some}
    assert found == some and depths.keys() == {id(parameter) for parameter in model.parameters()}


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ({"layer_decay": "much"}, "optimizer.layer_decay: must be float"),
        ({"layer_decay": -1}, "optimizer.layer_decay: must be at least 0, got -1"),
        ({"layer_decy": 0.5}, "SGD takes no 'layer_decy'; did you mean 'layer_decay'?"),
        ({"type": "LBFGS", "layer_decay": 0.5}, "LBFGS treats all parameters alike; leave layer_decay out"),
    ],
)
def test_mistakes_are_found(optimizer: dict[str, Any], message: str) -> None:
    problems = check(Config.from_values(runs.values(optimizer={**SGD, **optimizer})), "train")
    assert any(message in str(problem) for problem in problems), [str(problem) for problem in problems]
