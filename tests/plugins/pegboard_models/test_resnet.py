"""The small residual network: the paper's count of layers, and blocks that begin as the identity."""

import pytest
import torch
from torch import nn

from pegboard import Config, PegboardError
from pegboard.config import check
from pegboard_models.resnet import BasicBlock, ResNet
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(("depth", "width", "parameters"), [(20, 1, 272_474), (56, 1, 855_770), (20, 4, 4_299_866)])
def test_its_size(depth: int, width: int, parameters: int) -> None:
    model = ResNet(10, depth, width)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    weighted = [m for m in model.modules() if isinstance(m, nn.Linear) or getattr(m, "kernel_size", None) == (3, 3)]
    assert len(weighted) == depth


def test_shapes() -> None:
    model, sides = ResNet(7), []
    for stage in (model.stage1, model.stage2, model.stage3):
        stage.register_forward_hook(lambda *given: sides.append(tuple(given[2].shape[1:])))
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert sides == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


def test_a_block_begins_as_the_identity() -> None:
    x = torch.rand(2, 4, 8, 8)
    assert torch.equal(BasicBlock(4, 4)(x), x)


@pytest.mark.parametrize(("depth", "width"), [(18, 1), (2, 1), (20, 0)])
def test_a_depth_or_width_that_cannot_be(depth: int, width: int) -> None:
    with pytest.raises(PegboardError, match="depth must be 6 n"):
        ResNet(10, depth, width)


def test_its_config_is_sound() -> None:
    assert check(Config.load(REPOSITORY / "configs" / "resnet_cifar.py")) == []
