"""The maps are those of the package grad-cam, after the same normalisation: each from 0 to 1, at the image's size.

It stands in the extra `[peers]`, apart from `[test]`, because it brings another build of OpenCV.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from pegboard_visual.cam import grad_cam, grad_cam_plus_plus, guided_backprop, scaled, upsample
from tests.plugins.pegboard_visual import nets
from tests.plugins.pegboard_visual.test_cam_values import needs_weights

with warnings.catch_warnings(action="ignore"):  # it uses what matplotlib will remove
    peer = pytest.importorskip("pytorch_grad_cam", reason="grad-cam, of the extra [peers], is not installed")
CLOSE = 1e-4


@pytest.fixture(scope="module")
def networks() -> Iterator[dict[str, nn.Module]]:
    torch.manual_seed(0)
    yield {"lenet": nets.lenet(nets.ModularLeNet), "resnet18": resnet18(num_classes=10).eval()}


def theirs(kind: str, model: nn.Module, layer: str, images: Tensor, target: int) -> Any:
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with getattr(peer, kind)(model=model, target_layers=[model.get_submodule(layer)]) as cam:
        return cam(input_tensor=images, targets=[ClassifierOutputTarget(target)] * len(images))


def ours(method: Callable[..., Tensor], model: nn.Module, layer: str, images: Tensor, target: int) -> Any:
    maps = method(model, images, target, layer)
    return scaled(upsample(scaled(maps), images.shape[-2:])).numpy()


PLACES = [("lenet", "conv1", 32), ("lenet", "conv2", 32), ("resnet18", "layer3", 64), ("resnet18", "layer4", 96)]


class Loud(nn.Module):
    """Ten thousand times the scores, and so the gradients."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = 1e4 * self.inner(images)
        return scores


def difference(kind: str, method: Callable[..., Tensor], model: nn.Module, layer: str, size: int) -> float:
    """The largest between their maps and ours, over four images and two classes."""
    images, largest = nets.images(4, size), 0.0
    for target in (0, 3):
        one, other = ours(method, model, layer, images, target), theirs(kind, model, layer, images, target)
        assert one.shape == other.shape and other.max() > 0.99
        largest = max(largest, float(np.abs(one - other).max()))
    print(f"{kind} at {layer}: {largest:.1e}")
    return largest


@needs_weights
@pytest.mark.parametrize(("name", "layer", "size"), PLACES)
def test_grad_cam(networks: dict[str, nn.Module], name: str, layer: str, size: int) -> None:
    assert difference("GradCAM", grad_cam, networks[name], layer, size) <= CLOSE


@needs_weights
@pytest.mark.parametrize(("name", "layer", "size"), PLACES)
def test_grad_cam_plus_plus(networks: dict[str, nn.Module], name: str, layer: str, size: int) -> None:
    """Theirs adds 1e-6 to what it divides by, the squares of gradients, which are smaller; ours needs no constant."""
    assert difference("GradCAMPlusPlus", grad_cam_plus_plus, Loud(networks[name]), f"inner.{layer}", size) <= CLOSE


@needs_weights
@pytest.mark.parametrize("name", ["lenet", "resnet18"])
def test_guided_backpropagation(networks: dict[str, nn.Module], name: str) -> None:
    from copy import deepcopy

    from pytorch_grad_cam.guided_backprop import GuidedBackpropReLUModel  # type: ignore[import-not-found]

    model, images = networks[name], nets.images(1, 32)
    expected = GuidedBackpropReLUModel(deepcopy(model))(images.clone(), target_category=3).transpose(2, 0, 1)
    found = guided_backprop(model, images, 3)
    largest = float((scaled(found) - scaled(torch.from_numpy(expected.copy())[None])).abs().max())
    print(f"guided backpropagation of {name}: {largest:.1e}")
    assert largest <= CLOSE
