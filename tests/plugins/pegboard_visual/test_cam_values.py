"""The maps are those of Captum, of a calculation by hand, and of the papers' formulas."""

import warnings
from collections.abc import Callable

import pytest
import torch
from captum.attr import GuidedBackprop, LayerGradCam
from torch import Tensor, nn
from torchvision.models import resnet18

from pegboard import PegboardError
from pegboard_visual.cam import (
    cam,
    default_layer,
    eigen_cam,
    grad_cam,
    grad_cam_plus_plus,
    guided_backprop,
    guided_grad_cam,
    is_flat,
    scaled,
    upsample,
)
from tests.plugins.pegboard_visual import nets

CLOSE = 1e-4
needs_weights = pytest.mark.skipif(
    not nets.TRAINED.is_file(), reason=f"{nets.TRAINED.name} is not beside the repository"
)


def assert_same(one: Tensor, other: Tensor) -> None:
    assert one.shape == other.shape and float(scaled(other.detach()).max()) == 1.0
    assert float((scaled(one) - scaled(other.detach())).abs().max()) <= CLOSE


def captum_grad_cam(model: nn.Module, images: Tensor, target: int, layer: nn.Module) -> Tensor:
    return LayerGradCam(model, layer).attribute(images, target=target, relu_attributions=True)[:, 0]


def captum_guided(model: nn.Module, images: Tensor, target: int) -> Tensor:
    with warnings.catch_warnings(action="ignore"):  # it warns of its hooks
        return GuidedBackprop(model).attribute(images.clone().requires_grad_(), target=target)


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return resnet18(num_classes=10).eval()


@needs_weights
@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_grad_cam_of_lenet_is_captums(layer: str) -> None:
    model, images = nets.lenet(), nets.images()
    for target in (0, 3):
        expected = captum_grad_cam(model, images, target, model.get_submodule(layer))
        assert_same(grad_cam(model, images, target, layer), expected)


@needs_weights
def test_guided_backpropagation_of_lenets_functional_relus_is_captums_of_modules() -> None:
    images = nets.images()
    assert_same(guided_backprop(nets.lenet(), images, 3), captum_guided(nets.lenet(nets.ModularLeNet), images, 3))


@pytest.mark.parametrize("layer", ["layer4", "layer3", "layer2.0.conv1", "layer4.1.relu"])
def test_grad_cam_of_a_resnet_is_captums(resnet: nn.Module, layer: str) -> None:
    images = nets.images(2, 64)
    module = resnet.get_submodule(layer)
    if layer == "layer4.1.relu":  # called twice a forward, in place: Captum refuses it, and its last output is layer4's
        module = resnet.get_submodule("layer4")
    assert_same(grad_cam(resnet, images, 3, layer), captum_grad_cam(resnet, images, 3, module))


def test_guided_backpropagation_of_a_resnet_is_captums(resnet: nn.Module) -> None:
    images = nets.images(2, 64)
    assert_same(guided_backprop(resnet, images, 3), captum_guided(resnet, images, 3))


def test_cam_is_grad_cam_where_a_pool_and_a_linear_layer_follow(resnet: nn.Module) -> None:
    images = nets.images(2, 64)
    maps = cam(resnet, images, 3)
    assert_same(maps.relu(), grad_cam(resnet, images, 3))
    score = resnet(images)[:, 3] - resnet.fc.bias[3]
    torch.testing.assert_close(maps.mean((1, 2)), score.detach())


def test_cam_by_hand_and_before_a_relu() -> None:
    model, images = nets.pooled(), nets.images(2, 8)
    kept = model.conv2(model.norm(model.conv1(images)).relu()).relu()
    expected = torch.einsum("k,bkhw->bhw", model.fc.weight[1], kept).detach()
    torch.testing.assert_close(cam(model, images, 1), expected)
    torch.testing.assert_close(cam(model, images, 1, "conv2"), expected)


def test_cam_of_a_map_for_each_class() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3)
    model, images = nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten()), nets.images(2, 8)
    assert torch.equal(cam(model, images, torch.tensor([2, 0]))[0], conv(images)[0, 2].detach())


def test_grad_cam_by_hand() -> None:
    """One pixel a map, two maps: scores 3 a - b + 2 c and so on, gradients read off the weights."""
    conv = nn.Conv2d(1, 2, 1, bias=False)
    head = nn.Linear(4, 2, bias=False)  # over 2 maps of 1 x 2
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([1.0, -2.0]).view(2, 1, 1, 1))
        head.weight.copy_(torch.tensor([[1.0, 3.0, 0.0, -4.0], [0.0, 0.0, 1.0, 1.0]]))
    model = nn.Sequential(conv, nn.Flatten(), head)
    images = torch.tensor([1.0, 5.0]).view(1, 1, 1, 2)  # maps (1, 5) and (-2, -10)
    # Class 0: mean gradients 2 and -2, so 2 * (1, 5) - 2 * (-2, -10); class 1: 0 and 1, and ReLU of (-2, -10).
    assert grad_cam(model, images, 0).tolist() == [[[6.0, 30.0]]]
    assert grad_cam(model, images, 1).tolist() == [[[0.0, 0.0]]]
    assert default_layer(model, images) == "0"


def test_grad_cam_plus_plus_is_its_formula() -> None:
    model, images = nets.ModularLeNet().eval(), nets.images(2)
    maps = model.conv2(model.relu1(model.pool(model.conv1(images)))).detach().requires_grad_()
    x = model.relu2(model.pool(maps)).flatten(1)
    score = model.fc3(model.relu4(model.fc2(model.relu3(model.fc1(x)))))[:, 3].sum()
    (g,) = torch.autograd.grad(score, maps)
    a, g = maps.detach().double(), g.double()
    below = 2 * g**2 + a.sum((2, 3), keepdim=True) * g**3
    alpha = torch.where(below != 0, g**2 / torch.where(below != 0, below, 1), 0)
    weights = (alpha * g.relu()).sum((2, 3), keepdim=True)
    assert_same(grad_cam_plus_plus(model, images, 3, "conv2"), (weights * a).sum(1).relu().float())


def test_eigen_cam_is_its_formula() -> None:
    model, images = nets.pooled(), nets.images(2, 8)
    kept = model.conv2(model.norm(model.conv1(images)).relu()).relu().detach().double()
    for one, a in zip(eigen_cam(model, images), kept, strict=True):
        o = a.flatten(1).T  # (pixels, maps)
        _, vectors = torch.linalg.eigh(o.T @ o)  # the right singular vectors, the largest last
        expected = (o @ vectors[:, -1]).reshape(a.shape[-2:])
        expected = expected if expected.sum() >= 0 else -expected
        torch.testing.assert_close(one, expected.float(), rtol=1e-4, atol=1e-5)
    assert torch.equal(eigen_cam(model, images, 0), eigen_cam(model, images, 3))


def test_guided_grad_cam_is_the_product() -> None:
    model, images = nets.ModularLeNet().eval(), nets.images(2)
    up = nn.functional.interpolate(grad_cam(model, images, 3)[:, None], (32, 32), mode="bilinear")
    assert torch.equal(guided_grad_cam(model, images, 3), guided_backprop(model, images, 3) * up)


METHODS: list[Callable[..., Tensor]] = [grad_cam, grad_cam_plus_plus, cam, eigen_cam, guided_backprop, guided_grad_cam]


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_gives_what_each_image_gives_alone(method: Callable[..., Tensor]) -> None:
    model, images, targets = nets.pooled(), nets.images(5, 16), torch.tensor([0, 3, 1, 1, 2])
    whole = method(model, images, targets)
    alone = torch.cat([method(model, images[i : i + 1], int(targets[i])) for i in range(5)])
    torch.testing.assert_close(whole, alone, rtol=1e-4, atol=1e-6)
    predicted = model(images).argmax(1)
    torch.testing.assert_close(method(model, images), method(model, images, predicted))


def test_scaled_and_upsampled() -> None:
    maps = torch.tensor([[[1.0, 3.0], [2.0, 5.0]], [[7.0, 7.0], [7.0, 7.0]]])
    assert scaled(maps).tolist() == [[[0.0, 0.5], [0.25, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]
    rounded = torch.full((1, 3, 3), 3.0) + torch.tensor([0.0, 2e-7, -2e-7])
    assert is_flat(rounded) and not scaled(rounded).any()
    assert not is_flat(rounded - 3) and float(scaled(rounded - 3).max()) == 1.0  # small, but no rounding
    assert upsample(maps, (6, 4)).shape == (2, 6, 4) and upsample(maps, 5).shape == (2, 5, 5)
    assert torch.equal(upsample(maps, 2), maps)


def test_cam_says_why_it_cannot() -> None:
    with pytest.raises(PegboardError, match="needs a global average pool .* the LeNet has none .*; Grad-CAM needs"):
        cam(nets.LeNet(10), nets.images())
