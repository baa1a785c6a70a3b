"""What is frozen stands still to the byte, whoever calls train()."""

import copy

import pytest
import torch
from torch import nn

from pegboard.weights.freezing import Freezing
from pegboard.weights.names import matches, select


def net() -> nn.Module:
    model = nn.Sequential()
    model.add_module("stem", nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    model.add_module("head", nn.Sequential(nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2)))
    model(torch.rand(2, 3, 8, 8))
    return model


def train(model: nn.Module, steps: int = 3) -> None:
    trained = list(model.parameters())
    optimizer = torch.optim.SGD(trained, lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(steps):
        model.train()
        optimizer.zero_grad()
        model(torch.rand(4, 3, 8, 8)).square().sum().backward()
        optimizer.step()


def bytes_of(model: nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


def test_frozen_tensors_are_byte_identical_and_the_others_move() -> None:
    model = net()
    before = bytes_of(model)
    frozen = Freezing(model).apply(["stem"])
    train(model)
    after = bytes_of(model)
    assert frozen == {name for name in before if name.startswith("stem.")}
    assert all(after[name] == before[name] for name in frozen)
    moved = {name for name in before if after[name] != before[name]}
    assert moved == {name for name in before if name.startswith("head.")}
    assert all(parameter.grad is None for parameter in model.stem.parameters())


def test_without_the_hold_a_frozen_batchnorm_would_move() -> None:
    """The broken specimen: requires_grad alone."""
    model = net()
    before = bytes_of(model)
    model.stem.requires_grad_(False)
    train(model)
    assert bytes_of(model)["stem.1.running_mean"] != before["stem.1.running_mean"]


def test_what_is_frozen_can_change() -> None:
    model = net()
    freezing = Freezing(model)
    freezing.apply(["stem"])
    train(model)
    freezing.apply(["head"])
    before = bytes_of(model)
    train(model)
    after = bytes_of(model)
    assert {name.split(".")[0] for name in before if before[name] != after[name]} == {"stem"}
    freezing.apply([])
    model.train()
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_what_its_author_froze_stays_so() -> None:
    model = net()
    model.stem[0].weight.requires_grad_(False)
    freezing = Freezing(model)
    freezing.apply(["head"])
    freezing.apply([])
    assert not model.stem[0].weight.requires_grad and model.head[2].weight.requires_grad


def test_a_copy_holds_itself_not_the_original() -> None:
    model = net()
    Freezing(model).apply(["stem"])
    twin = copy.deepcopy(model)
    twin.train()
    assert not twin.stem[1].training and twin.head[0].training
    assert twin.stem[1].train.__self__ is twin.stem[1]


def test_a_tied_parameter_is_frozen_by_any_of_its_names() -> None:
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    model["b"].weight = model["a"].weight
    Freezing(model).apply(["b.weight"])
    assert not model["a"].weight.requires_grad and model["a"].bias.requires_grad


@pytest.mark.parametrize(
    ("patterns", "message"),
    [(["stme"], "'stme' matches nothing in the model; did you mean 'stem"), (["*"], "leaves no parameter to train")],
)
def test_patterns_that_make_no_sense(patterns: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Freezing(net()).names(patterns)


def test_a_pattern_means_a_module_or_a_tensor() -> None:
    assert matches("layer1", "layer1.0.weight") and not matches("layer1", "layer10.weight")
    assert matches("*.bias", "a.b.bias") and matches("a.b", "a.b.bias") and not matches("b", "a.b.bias")
    assert select(["a", "*.bias"], ["a.weight", "a.bias", "c.bias", "c.weight"]) == {"a.weight", "a.bias", "c.bias"}
