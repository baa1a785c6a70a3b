"""LeNet: the names, shapes and values of the tutorials' network."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from pegboard.registry import MODELS
from pegboard_models.lenet import LeNet

SHAPES = {
    "conv1.weight": (6, 3, 5, 5), "conv1.bias": (6,), "conv2.weight": (16, 6, 5, 5), "conv2.bias": (16,),
    "fc1.weight": (120, 400), "fc1.bias": (120,), "fc2.weight": (84, 120), "fc2.bias": (84,),
    "fc3.weight": (10, 84), "fc3.bias": (10,),
}  # fmt: skip
TRAINED = Path(__file__).resolve().parents[4] / "shared" / "data" / "net_params_72p.pkl"


def test_its_state_dict_is_that_of_the_tutorials() -> None:
    assert {name: tuple(tensor.shape) for name, tensor in LeNet(10).state_dict().items()} == SHAPES


def test_it_has_62006_parameters() -> None:
    assert sum(parameter.numel() for parameter in LeNet(10).parameters()) == 62_006


def test_pooling_before_relu_gives_the_tutorials_values() -> None:
    torch.manual_seed(0)
    model, images = LeNet(10), torch.randn(4, 3, 32, 32)
    x = F.max_pool2d(F.relu(model.conv1(images)), 2)
    x = F.max_pool2d(F.relu(model.conv2(x)), 2)
    x = F.relu(model.fc2(F.relu(model.fc1(x.flatten(1)))))
    assert torch.equal(model(images), model.fc3(x))


def test_the_number_of_classes_comes_from_the_run() -> None:
    model = MODELS.build({"type": "LeNet"}, "model", {"num_classes": 7, "classes": ["a"]})
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert MODELS.build({"type": "LeNet", "num_classes": 3}, "model", {"num_classes": 7}).fc3.out_features == 3


@pytest.mark.skipif(not TRAINED.is_file(), reason=f"{TRAINED.name} is not beside the repository")
def test_weights_trained_elsewhere_load() -> None:
    from pegboard import checkpoint

    model = LeNet(10)
    model.load_state_dict(checkpoint.load(TRAINED))
    assert model(torch.zeros(1, 3, 32, 32)).isfinite().all()
