"""The methods work with any model, and leave it as it was."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from pegboard import PegboardError
from pegboard_visual.cam import (
    METHODS,
    cam,
    default_layer,
    eigen_cam,
    grad_cam,
    guided_backprop,
    is_flat,
    predict,
    scaled,
)
from tests import runs
from tests.plugins.pegboard_visual import nets

by_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
Method = Callable[..., Tensor]


def traces(model: nn.Module) -> dict[str, Any]:
    """All that a look may not change."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "modes": [module.training for module in model.modules()],
        "hooks": [len(getattr(module, name)) for module in model.modules() for name in hooks],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "grads": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "weights": {name: value.clone() for name, value in model.state_dict().items()},
        "generator": torch.get_rng_state(),
        "enabled": [torch.is_grad_enabled(), torch.is_inference_mode_enabled()],
    }


def restless() -> nets.Pooled:
    """In training mode but for one module, half frozen, with gradients."""
    model = nets.pooled().train()
    model.norm.eval()
    model.conv1.requires_grad_(False)
    model(nets.images(4, 8)).sum().backward()
    return model


@by_method
def test_nothing_is_left_behind(method: Method) -> None:
    model, images = restless(), nets.images(2, 8)
    before = traces(model)
    with torch.inference_mode():
        method(model, images.clone(), 1)
        assert torch.is_inference_mode_enabled()
    assert runs.same(traces(model), before)
    assert not images.requires_grad


@by_method
@pytest.mark.parametrize("mistake", ["class", "layer", "inside"])
def test_nothing_is_left_behind_where_it_fails(method: Method, mistake: str) -> None:
    model, images = restless(), nets.images(2, 8)
    arguments: dict[str, Any] = {"targets": 9} if mistake == "class" else {}
    if mistake == "layer":
        if method is guided_backprop:
            pytest.skip("reads no layer")
        arguments["layer"] = "conv3"
    if mistake == "inside":
        model.fc = nn.Linear(7, 4)
    before = traces(model)
    with pytest.raises((PegboardError, RuntimeError)):
        method(model, images, **arguments)
    assert runs.same(traces(model), before)


@by_method
def test_frozen_weights_and_dropout_and_modes_make_no_difference(method: Method) -> None:
    images = nets.images(2, 8)
    expected = method(nets.pooled(), images, 1)
    frozen = nets.pooled().requires_grad_(False)
    assert torch.equal(method(frozen, images, 1), expected)
    assert torch.equal(method(nets.pooled().train(), images, 1), expected)
    model = nets.pooled()
    with torch.inference_mode():
        assert torch.equal(method(model, images.clone(), 1), expected)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(method(model, images, 1), expected)


@pytest.mark.parametrize("layer", ["conv1", "relu1", "conv2"])
def test_relus_in_place_make_no_difference(layer: str) -> None:
    torch.manual_seed(0)
    model, images = nets.ModularLeNet(), nets.images()
    other = nets.ModularLeNet(inplace=True)
    other.load_state_dict(model.state_dict())
    for method in (grad_cam, METHODS["gradcam++"], eigen_cam):
        assert torch.equal(method(model, images, 3, layer), method(other, images, 3, layer))
    assert torch.equal(guided_backprop(model, images, 3), guided_backprop(other, images, 3))


def test_a_relu_in_place_whose_result_is_dropped() -> None:
    class Drops(nets.Pooled):
        def forward(self, images: Tensor) -> Tensor:
            x = self.conv2(self.norm(self.conv1(images)).relu())
            x.relu_()
            logits: Tensor = self.fc(x.mean((2, 3)))
            return logits

    model = Drops().eval()
    model.load_state_dict(nets.pooled().state_dict())
    assert torch.equal(
        guided_backprop(model, nets.images(2, 8), 1), guided_backprop(nets.pooled(), nets.images(2, 8), 1)
    )


def test_wrapped_models() -> None:
    model, images = nets.pooled(), nets.images(2, 8)
    expected = grad_cam(model, images, 1, "conv2")
    compiled = torch.compile(model)
    for wrapped in (nn.DataParallel(model), compiled, nn.DataParallel(compiled)):
        assert torch.equal(grad_cam(wrapped, images, 1, "conv2"), expected)
        assert default_layer(wrapped, images) == "relu2"


def test_a_model_compiled_in_place_runs_as_it_is() -> None:
    model, images = nets.pooled(), nets.images(2, 8)
    expected = grad_cam(model, images, 1)
    model.conv1.compile()
    model.compile()
    assert torch.equal(grad_cam(model, images, 1), expected)
    assert torch.equal(guided_backprop(model, images, 1), guided_backprop(nets.pooled(), images, 1))


def test_a_layer_by_name_or_module_and_the_default() -> None:
    model, images = nets.pooled(), nets.images(2, 8)
    assert torch.equal(grad_cam(model, images, 1, model.conv2), grad_cam(model, images, 1, "conv2"))
    assert default_layer(model, images) == "relu2"
    assert torch.equal(grad_cam(model, images, 1), grad_cam(model, images, 1, "relu2"))
    assert default_layer(nets.LeNet(10), nets.images()) == "conv2"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "conv9"}, "the Pooled has no layer 'conv9'; did you mean 'conv"),
        ({"layer": "zebra"}, "no layer 'zebra'; the last one with maps is 'relu2'"),
        ({"layer": "fc"}, r"layer 'fc' gives \(2, 4\), which are no maps"),
        ({"layer": nn.ReLU()}, "the layer, a ReLU, is no part of the Pooled"),
        ({"targets": 4}, "there is no class 4; the model has 4, 0 to 3"),
        ({"targets": -1}, "there is no class -1"),
        ({"targets": torch.tensor([1, 2, 3])}, "there are 3 targets for 2 images"),
        ({"targets": torch.tensor([1.0, 2.0])}, "targets must be integers"),
        ({"targets": True}, "targets must be None, an integer or a tensor"),
        ({"reshape": torch.flatten}, "say layer= too"),
    ],
)
def test_mistakes_are_said(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PegboardError, match=message):
        grad_cam(nets.pooled(), nets.images(2, 8), **arguments)


def test_images_that_are_none_are_refused() -> None:
    for wrong in (torch.zeros(3, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.zeros(0, 3, 8, 8), [1]):
        with pytest.raises(PegboardError, match="expected float images"):
            grad_cam(nets.pooled(), wrong)  # type: ignore[arg-type]


def test_models_that_cannot_be_explained_say_so() -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    with pytest.raises(PegboardError, match="no layer that gives maps"):
        grad_cam(linear, nets.images(2, 8))
    with pytest.raises(PegboardError, match="has none; Grad-CAM needs none"):
        guided_backprop(linear, nets.images(2, 8))
    with pytest.raises(PegboardError, match=r"gives \(2, 4, 6, 6\) .* needs scores \(B, classes\)"):
        grad_cam(nn.Sequential(nn.Conv2d(3, 4, 3)), nets.images(2, 8))
    broken = nets.pooled()
    broken.fc.weight.data[0, 0] = float("nan")
    with pytest.raises(PegboardError, match="scores that are nan"):
        grad_cam(broken, nets.images(2, 8))
    with torch.inference_mode():
        made = nets.Pooled()
        with pytest.raises(PegboardError, match="built under torch.inference_mode"):
            grad_cam(made, nets.images(2, 8))


def test_a_layer_behind_which_nothing_changes_is_said() -> None:
    class Cuts(nets.Pooled):
        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.fc(self.conv2(self.conv1(images)).detach().mean((2, 3)))
            return logits

    with pytest.raises(PegboardError, match="the scores do not depend on what layer 'conv1' gives"):
        grad_cam(Cuts(), nets.images(2, 8), 0, "conv1")
    with pytest.raises(PegboardError, match="layer 'relu1' takes no part"):
        grad_cam(Cuts(), nets.images(2, 8), 0, "relu1")


@by_method
def test_a_dead_relu_gives_a_flat_map_of_zeros(method: Method) -> None:
    model = nets.pooled()
    model.conv2.bias.data.fill_(-1000.0)
    maps = method(model, nets.images(2, 8), 1)
    assert not maps.any() and is_flat(maps).tolist() == [True, True]
    assert not scaled(maps).any()


def transformer() -> VisionTransformer:
    torch.manual_seed(0)
    model = VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=4)
    nn.init.normal_(model.heads.head.weight)  # torchvision begins with zeros
    return model.eval()


def test_the_tokens_of_torchvisions_transformer_are_found() -> None:
    model, images = transformer(), nets.images(2)
    maps = grad_cam(model, images, 1)
    assert maps.shape == (2, 4, 4) and bool(maps.any())
    name = "encoder.layers.encoder_layer_1.ln_1"
    assert default_layer(model, images) == name
    by_hand = grad_cam(model, images, 1, name, lambda t: t[:, 1:].transpose(1, 2).reshape(len(t), -1, 4, 4))
    assert torch.equal(by_hand, maps)
    assert eigen_cam(model, images).shape == (2, 4, 4)
    with pytest.raises(PegboardError, match="CAM needs a global average pool"):
        cam(model, images)


def test_tokens_of_another_model_need_a_reshape() -> None:
    torch.manual_seed(0)
    model, images = nets.Tokens(), nets.images(2, 16)
    with pytest.raises(PegboardError, match=r"layer 'block' gives \(2, 16, 8\), .*; say reshape="):
        grad_cam(model, images, 1, "block")
    maps = grad_cam(model, images, 1, "block", lambda t: t.transpose(1, 2).reshape(len(t), 8, 4, 4))
    assert maps.shape == (2, 4, 4)


def test_prediction_is_that_of_evaluation_mode() -> None:
    model, images = nets.pooled(), nets.images(2, 8)
    expected = model(images).detach()
    assert torch.equal(predict(model.train(), images), expected)
