"""The cells of a map lie on the image where the network looks: by hand, by its gradients, and by what it cannot see."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import alexnet, resnet18, squeezenet1_1
from torchvision.models.vision_transformer import VisionTransformer

from pegboard_visual.cam import Axis, Cells, cells_of, upsample
from pegboard_visual.cam.cells import stretched
from tests.plugins.pegboard_visual import nets


class Functions(nn.Module):
    """What is given, between a convolution and the scores."""

    def __init__(self, middle: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.middle = middle
        self.last = nn.Conv2d(4, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.last(self.middle(self.first(images))).mean((2, 3))
        return logits


def square(first: float, step: float) -> Cells:
    return Cells(Axis(first, step), Axis(first, step))


def test_lenet_by_hand() -> None:
    """Cell i of conv2 sees pixels 2 i to 2 i + 13: 5 of conv1, which are 10 pixels and the 4 more of its kernel."""
    images = nets.images(1)
    for model in (nets.LeNet(10), nets.ModularLeNet()):
        assert cells_of(model, images, "conv1") == square(2, 1)
        assert cells_of(model, images, "conv2") == square(6.5, 2)
    assert cells_of(nets.LeNet(10), images) == square(6.5, 2)
    model = nets.ModularLeNet(inplace=True)
    assert cells_of(model, images, "relu1") == square(2.5, 2)
    assert cells_of(model, images, "relu2") == square(7.5, 4)


WAYS: dict[str, tuple[Callable[[Tensor], Tensor], Cells | None]] = {
    "stride and padding": (lambda x: F.conv2d(x, torch.ones(4, 4, 3, 3), stride=2, padding=1), square(0, 2)),
    "dilation": (lambda x: F.conv2d(x, torch.ones(4, 4, 3, 3), dilation=3), square(3, 1)),
    "an oblong kernel": (lambda x: F.conv2d(x, torch.ones(4, 4, 5, 1)), Cells(Axis(2, 1), Axis(0, 1))),
    "average pooling": (lambda x: F.avg_pool2d(x, 4), square(1.5, 4)),
    "padding alone": (lambda x: F.pad(x, (1, 2, 3, 4)), Cells(Axis(-3, 1), Axis(-1, 1))),
    "reflection": (lambda x: F.pad(x, (1, 1, 2, 2), mode="reflect"), Cells(Axis(-2, 1), Axis(-1, 1))),
    "adaptive pooling": (lambda x: F.adaptive_avg_pool2d(F.conv2d(x, torch.ones(4, 4, 5, 5)), 4), square(5, 7)),
    "a residual": (lambda x: F.relu(x + F.conv2d(x, torch.ones(4, 4, 3, 3), padding=1)), square(0, 1)),
    "a gate": (lambda x: torch.sigmoid(F.adaptive_avg_pool2d(x, 1)) * F.max_pool2d(x, 2), square(0.5, 2)),
    "branches": (lambda x: torch.cat([F.silu(x), F.max_pool2d(x, 3, 1, 1)], 1)[:, :4], None),  # a slice is unknown
    "turned": (lambda x: x.transpose(2, 3), None),
    "without gradients": (lambda x: F.max_pool2d(x, 2).detach(), None),
}


@pytest.mark.parametrize("way", WAYS)
def test_operations(way: str) -> None:
    middle, expected = WAYS[way]
    assert cells_of(Functions(middle), nets.images(2), "last") == expected


def test_torchvisions_networks() -> None:
    images = nets.images(1, 224)
    assert cells_of(resnet18(), images) == square(0, 32)  # behind steps of 2 with padding, cells lie up and to the left
    assert cells_of(alexnet(), images, "features") == cells_of(alexnet(), images) == square(31, 32)
    assert cells_of(squeezenet1_1(), images, "features.12") == square(15, 16)
    transformer = VisionTransformer(32, 8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=4)
    assert cells_of(transformer, nets.images(1)) is None  # patches side by side: stretched is right


@pytest.mark.parametrize("layer", ["conv1", "relu1", "conv2", "relu2"])
def test_gradients_of_a_cell_lie_around_its_place(layer: str) -> None:
    """Over many random images the mean place of a cell's gradients is its place; the custom puts it elsewhere."""
    torch.manual_seed(0)
    model, images = nets.ModularLeNet().eval(), nets.images(200)
    images.requires_grad_()
    given: list[Tensor] = []
    model.get_submodule(layer).register_forward_hook(lambda module, inputs, output: given.append(output))
    model(images)
    cells = cells_of(model, images, layer)
    assert cells is not None
    custom = stretched((32, 32), given[0].shape[-2:])
    last = given[0].shape[-1] - 1
    for row, column in ((0, last), (last // 2, 0)):
        (gradient,) = torch.autograd.grad(given[0][:, :, row, column].sum(), images, retain_graph=True)
        weight = gradient.abs().sum((0, 1))
        found = [float(weight.sum(1 - side) @ torch.arange(32.0) / weight.sum()) for side in (0, 1)]

        def distance(these: Cells, row: int = row, column: int = column, found: list[float] = found) -> float:
            places = (these.rows.first + row * these.rows.step, these.columns.first + column * these.columns.step)
            return max(abs(one - other) for one, other in zip(places, found, strict=True))

        assert distance(cells) < 0.6
        assert distance(custom) > 1.2


def test_upsample_puts_each_cell_at_its_place() -> None:
    maps = torch.zeros(1, 3, 3)
    maps[0, 0, 2] = 1.0
    up = upsample(maps, 12, square(3, 2))[0]
    assert up.max() == 1 and up[3].tolist() == [0, 0, 0, 0, 0, 0, 0.5, 1, 1, 0, 0, 0]
    sharp = upsample(torch.arange(9.0).view(1, 3, 3) + 1, 12, square(3, 2), sharp=True)[0]
    assert sharp[2:9, 2:9].min() == 1 and sharp.sum() == sharp[2:9, 2:9].sum()  # nothing where no cell lies
    assert sharp[5].tolist() == [0, 0, 4, 4, 5, 5, 6, 6, 6, 0, 0, 0]
    oblong = upsample(torch.ones(2, 2, 3), (8, 9), Cells(Axis(0.5, 2), Axis(1, 3)))
    assert oblong.shape == (2, 8, 9) and oblong[:, :4].min() == 1 and oblong[:, 5:].max() == 0


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (10, 10), (5, 7)])
def test_stretched_is_torchs_interpolation(size: tuple[int, int]) -> None:
    maps = torch.rand(3, 10, 9)
    expected = F.interpolate(maps[:, None], size, mode="bilinear")[:, 0]
    torch.testing.assert_close(upsample(maps, size), expected)
