"""Kernels of all kinds of convolutions, each scaled by itself."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pegboard import PegboardError
from pegboard_models.lenet import LeNet
from pegboard_visual.drawing.compose import each_scaled, grid, spread
from pegboard_visual.pictures.kernels import all_page, kernels_of, notes, split_in_channel, split_page


def rising(*shape: int) -> Tensor:
    return torch.arange(int(np.prod(shape)), dtype=torch.float32).reshape(shape)


def test_lenets_layers() -> None:
    first, second = kernels_of(LeNet(10))
    assert (first.layer, first.weights.shape, first.in_colour) == ("conv1", (6, 3, 5, 5), True)
    assert (second.layer, second.weights.shape, second.in_colour) == ("conv2", (16, 6, 5, 5), False)
    assert second.size == "16 x 6 kernels of 5 x 5"
    assert len(split_in_channel(first)) == 6 and len(split_in_channel(second)) == 16


def test_a_kernel_goes_from_black_to_white_and_a_flat_one_is_grey() -> None:
    conv = nn.Conv2d(2, 1, (1, 3), bias=False)
    conv.weight.data = torch.tensor([[[[5.0, 6.0, 7.0]], [[2.0, 2.0, 2.0]]]])
    [kernels] = kernels_of(nn.Sequential(conv))
    [picture] = split_in_channel(kernels)
    factor = 21  # of three pixels to make about 64
    assert [int(v) for v in picture[5, factor // 2 : 3 * factor : factor, 0]] == [0, 128, 255]
    assert set(picture[factor + 2 :, :, 0].ravel().tolist()) == {128}


def test_each_is_scaled_by_itself() -> None:
    """A kernel does not look different because another is larger."""
    tiles = torch.randn(4, 5, 5).numpy()
    larger = tiles * np.array([1, 1e3, 1e-3, 7]).reshape(4, 1, 1)
    np.testing.assert_array_equal(each_scaled(tiles), each_scaled(larger))
    assert not np.array_equal(each_scaled(tiles[None])[0], each_scaled(larger[None])[0])  # together they would


def test_colours_of_the_first_layer() -> None:
    conv = nn.Conv2d(3, 2, 2)
    conv.weight.data = torch.zeros(2, 3, 2, 2)
    conv.weight.data[0, 0, 0, 0] = 1.0  # red at the top left
    [kernels] = kernels_of(nn.Sequential(conv))
    picture = split_in_channel(kernels)[0]
    assert picture[0, 0].tolist() == [255, 0, 0]
    assert "in colour" in notes(kernels)[0]
    [gray, deep] = kernels_of(nn.Sequential(nn.Conv2d(1, 3, 3), nn.Conv2d(3, 2, 3)))
    assert not gray.in_colour and not deep.in_colour  # three maps of a later layer are no colours


@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_by_its_output_maps(groups: int) -> None:
    """What an output map is made of says what the kernels of its row are."""
    conv = nn.ConvTranspose2d(4, 6, 3, groups=groups, bias=False)
    [kernels] = kernels_of(nn.Sequential(conv))
    assert kernels.weights.shape == (6, 4 // groups, 3, 3)
    for output in range(6):
        for one in range(4 // groups):
            impulse = torch.zeros(1, 4, 1, 1)
            impulse[0, output // (6 // groups) * (4 // groups) + one] = 1.0
            made = conv(impulse)[0, output].detach().numpy()
            np.testing.assert_allclose(kernels.weights[output, one], made, atol=1e-7)


def test_grouped_and_non_square() -> None:
    conv = nn.Conv2d(4, 8, (3, 5), groups=4)
    [kernels] = kernels_of(nn.Sequential(conv))
    assert kernels.weights.shape == (8, 1, 3, 5)
    np.testing.assert_array_equal(kernels.weights, conv.weight.detach().numpy())
    height, width, _ = split_in_channel(kernels)[0].shape
    assert width / height == pytest.approx(5 / 3)
    assert F.conv2d(rising(1, 4, 3, 5), conv.weight, groups=4).shape == (1, 8, 1, 1)


def test_many_maps_are_some_of_them_and_said() -> None:
    [kernels] = kernels_of(nn.Sequential(nn.Conv2d(100, 200, 3)))
    assert len(split_in_channel(kernels, 16)) == 16
    assert notes(kernels, 16)[1:] == [
        "shown: 16 of 200 output maps, evenly spread",
        "shown: 16 of 100 input maps, evenly spread",
    ]
    for picture in (all_page(kernels, 16), split_page(kernels, 16)):
        assert picture.dtype == np.uint8 and picture.shape[2] == 3 and max(picture.shape) < 2500
    assert spread(10, 4) == [0, 2, 5, 7] and spread(3, 4) == [0, 1, 2]


def test_a_grid_has_its_tiles_in_order() -> None:
    tiles = np.stack([np.full((2, 3, 3), level, np.uint8) for level in (10, 20, 30)])
    picture = grid(tiles, 2, gap=1)
    assert picture.shape == (5, 7, 3)
    assert [int(picture[y, x, 0]) for y, x in ((0, 0), (0, 4), (3, 0))] == [10, 20, 30]


@pytest.mark.parametrize(
    ("model", "layers", "message"),
    [
        (nn.Linear(2, 2), [], "the Linear has no 2-D convolution"),
        (LeNet(10), ["conv3"], "no convolution 'conv3'; did you mean 'conv"),
        (nn.Sequential(nn.Conv2d(3, 2, 1)), [], "1 x 1 pixel have nothing to show"),
    ],
)
def test_mistakes_are_said(model: nn.Module, layers: list[str], message: str) -> None:
    with pytest.raises(PegboardError, match=message):
        kernels_of(model, layers)
