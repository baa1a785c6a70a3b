"""Feature maps are those of the real forward pass: functional, in-place and residual activations are seen."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pegboard import PegboardError
from pegboard_models.lenet import LeNet
from pegboard_visual.pictures.feature_maps import Given, as_maps, feature_maps, page_of
from tests.plugins.pegboard_visual import nets

IMAGES = nets.images(2, 8)


class Block(nn.Module):
    """A residual block whose last ReLU follows the sum; ``way`` says how the ReLUs and the sum are written."""

    def __init__(self, way: str, downsample: bool = False) -> None:
        super().__init__()
        self.way = way
        self.conv1, self.bn1 = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.conv2, self.bn2 = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.relu = nn.ReLU(inplace=way == "in place")
        self.side = nn.Conv2d(3, 3, 1) if downsample else nn.Identity()

    def activate(self, x: Tensor) -> Tensor:
        match self.way:
            case "functional":
                return F.relu(x)
            case "method":
                return x.relu_()
            case "clamp":
                return x.clamp(min=0)
        return self.relu(x)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.activate(self.bn1(self.conv1(x)))))
        if self.way in ("in place", "method"):
            out += self.side(x)
        else:
            out = out + self.side(x)
        return self.activate(out)


def by_name(given: list[Given]) -> dict[str, Given]:
    return {one.layer: one for one in given}


@pytest.mark.parametrize("way", ["functional", "method", "clamp", "module", "in place"])
def test_a_residual_block_step_by_step(way: str) -> None:
    torch.manual_seed(0)
    block = Block(way, downsample=True).eval()
    model = nn.Sequential(block, nn.Flatten(), nn.Linear(3 * 64, 4)).eval()
    with torch.no_grad():
        conv1 = block.conv1(IMAGES)
        bn1 = block.bn1(conv1)
        conv2 = block.conv2(bn1.relu())
        side = block.side(IMAGES)
        total = block.bn2(conv2) + side
    found = by_name(feature_maps(model, IMAGES, ["0", "0.conv*", "0.bn1", "0.side"]))
    assert list(found) == ["0.conv1", "0.bn1", "0.conv2", "0.side", "0"]  # in the order of the forward pass
    for name, before, after in [
        ("0.conv1", conv1, bn1.relu()),
        ("0.bn1", bn1, bn1.relu()),
        ("0.conv2", conv2, total.relu()),
        ("0.side", side, total.relu()),
        ("0", total, total.relu()),  # the block ends in an activation: before is what goes into it
    ]:
        assert torch.equal(found[name].before, before), name
        after_found = found[name].after
        assert after_found is not None and torch.equal(after_found, after), name


def test_lenet_pools_before_its_functional_relu() -> None:
    torch.manual_seed(0)
    model, images = LeNet(10).eval(), nets.images(2, 32)
    found = by_name(feature_maps(model, images, ["conv*", "fc2", "fc3"]))
    with torch.no_grad():
        conv1 = model.conv1(images)
        pooled = F.relu(F.max_pool2d(conv1, 2))
        conv2 = model.conv2(pooled)
    assert torch.equal(found["conv1"].before, conv1)
    assert found["conv1"].after is not None and torch.equal(found["conv1"].after, pooled)
    assert torch.equal(found["conv2"].before, conv2)
    assert found["conv1"].activation == "relu"
    assert found["fc2"].after is not None and found["fc2"].after.shape == (2, 84)
    assert found["fc3"].after is None and found["fc3"].activation == ""


def test_a_layer_with_weights_ends_the_search() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Conv2d(2, 2, 3), nn.GELU()).eval()
    first, second = feature_maps(model, IMAGES)
    assert first.after is None  # what the second makes of it is no activation of the first
    assert second.activation == "gelu"


def test_the_same_layers_as_forward_hooks_alone_would_be_wrong() -> None:
    """The broken specimen: a hook without a copy sees an in-place ReLU's result in place of the layer's."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)).eval()
    naive: list[Tensor] = []
    handle = model[0].register_forward_hook(lambda module, args, output: naive.append(output))
    with torch.no_grad():
        model(IMAGES)
    handle.remove()
    [found] = feature_maps(model, IMAGES)
    assert float(naive[0].min()) == 0 > float(found.before.min())
    assert found.after is not None and torch.equal(found.after, naive[0])


def test_a_layer_that_is_called_twice_is_there_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = torch.tanh(self.conv(F.relu(self.conv(x))))
            return out

    first, second = feature_maps(Twice(), IMAGES)
    assert (first.layer, first.activation) == ("conv", "relu")
    assert (second.layer, second.activation) == ("conv, 2nd call", "tanh")


def test_torchvisions_resnet() -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    model = resnet18().eval()
    images = nets.images(1, 32)
    found = by_name(feature_maps(model, images, ["conv1", "bn1", "relu", "layer1.0", "layer4.1.conv2", "layer4.1"]))
    with torch.no_grad():
        stem = model.bn1(model.conv1(images))
        pooled = model.maxpool(stem.relu())
        block = model.layer1[0]
        total = block.bn2(block.conv2(block.bn1(block.conv1(pooled)).relu())) + pooled
    assert torch.equal(found["bn1"].before, stem) and torch.equal(found["relu"].before, stem)
    for name in ("conv1", "bn1", "relu"):
        after = found[name].after
        assert after is not None and torch.equal(after, stem.relu())
    assert torch.equal(found["layer1.0"].before, total)
    end, last = found["layer4.1"].after, found["layer4.1.conv2"].after
    assert end is not None and last is not None and torch.equal(end, last)


def test_the_model_is_left_as_it_was() -> None:
    model = nets.pooled().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    with torch.inference_mode():
        feature_maps(model, IMAGES)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(module.training and not module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("model", "layers", "message"),
    [
        (nets.Pooled(), ["conv3"], "no layer 'conv3'; did you mean 'conv"),
        (nets.Pooled(), ["x.*"], r"no layer 'x.\*'; there are conv1, norm, relu1"),
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), [], "the Sequential has no 2-D convolution; name its layers"),
    ],
)
def test_mistakes_are_said(model: nn.Module, layers: list[str], message: str) -> None:
    with pytest.raises(PegboardError, match=message):
        feature_maps(model, IMAGES, layers)


# -- drawing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "expected"), [((5, 3, 4), (5, 3, 4)), ((6, 8), (1, 6, 8)), ((10,), (1, 2, 7)), ((10, 1, 1), (1, 2, 7))]
)
def test_anything_becomes_maps(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    maps = as_maps(values)
    assert maps.shape == expected
    found = maps.ravel()
    np.testing.assert_array_equal(found[np.isfinite(found)], values.flatten().numpy())


def page(values: Tensor, after: Tensor | None = None, most: int = 64) -> Any:
    image = np.zeros((8, 8, 3), np.uint8)
    return page_of(Given("conv", values, after, "relu" if after is not None else ""), [image], ["a"], "conv", most)


def test_each_map_is_scaled_by_itself() -> None:
    values = torch.rand(1, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    factors = torch.tensor([1.0, 10.0, 1e4, 1e-4]).view(1, 4, 1, 1)
    np.testing.assert_array_equal(page(values), page(values * factors))
    assert page(values).shape != page(values, values.relu()).shape


def test_a_page_of_many_maps_says_that_it_shows_some() -> None:
    values = torch.rand(1, 100, 3, 3, generator=torch.Generator().manual_seed(0))
    assert page(values, most=16).shape != page(values[:, :16]).shape  # a line more
    assert np.isfinite(page(torch.full((1, 3, 4, 4), float("nan")))).all()
