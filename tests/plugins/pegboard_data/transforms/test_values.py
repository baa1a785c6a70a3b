"""ToFloat and Normalize against torchvision's, and back."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.functional import to_tensor
from torchvision.transforms.v2 import functional as F

from pegboard import DataError, PegboardError
from pegboard.registry import TRANSFORMS
from pegboard_data.transforms import Normalize, ToFloat, denormalize
from tests.images import make, one_by_one


def test_to_float_is_torchvisions() -> None:
    every_value = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    done = ToFloat().apply(every_value, torch.empty(1, 0))
    assert torch.equal(done, to_tensor(every_value[0, 0].numpy())[None])  # what ToTensor always gave
    theirs = F.to_dtype(every_value, torch.float32, scale=True)  # v2 multiplies by 1 / 255: the last bit may differ
    assert torch.allclose(done, theirs, atol=0, rtol=2**-23)
    assert torch.equal(ToFloat().apply(done, torch.empty(1, 0)), done)  # floats stay


def test_to_float_leaves_its_input_alone() -> None:
    images = make(2, 4, 4, dtype=torch.float32)
    before = images.clone()
    Normalize([0.5] * 3, [0.5] * 3).apply(ToFloat().apply(images, torch.empty(2, 0)), torch.empty(2, 0))
    assert torch.equal(images, before)


@settings(max_examples=30, deadline=None)
@given(
    mean=st.lists(st.floats(-1, 2, width=32), min_size=3, max_size=3),
    std=st.lists(st.floats(0.125, 2, width=32), min_size=3, max_size=3),
)
def test_normalize_is_torchvisions(mean: list[float], std: list[float]) -> None:
    images = make(4, 5, 6, dtype=torch.float32)
    done = Normalize(mean, std).apply(images, torch.empty(4, 0))
    assert torch.equal(done, one_by_one(images, lambda i, x: F.normalize(x, mean, std)))


def test_normalize_refuses_uint8_and_another_number_of_channels() -> None:
    with pytest.raises(DataError, match="got uint8 images; put ToFloat before it"):
        Normalize([0.5] * 3, [0.5] * 3).apply(make(1, 4, 4), torch.empty(1, 0))
    with pytest.raises(DataError, match="has 1 channels, the images 3"):
        Normalize([0.5], [0.5]).apply(make(1, 4, 4, dtype=torch.float32), torch.empty(1, 0))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_both_at_once_give_the_bits_of_one_after_the_other(dtype: torch.dtype) -> None:
    images, nothing = make(4, 5, 6, dtype=dtype), torch.empty(4, 0)
    before, normalize = images.clone(), Normalize([0.4, 0.5, 0.6], [0.2, 0.3, 0.7])
    joined = ToFloat().joined(normalize)
    assert joined is not None
    assert torch.equal(joined.apply(images, nothing), normalize.apply(ToFloat().apply(images, nothing), nothing))
    assert torch.equal(images, before)
    with pytest.raises(DataError, match="has 3 channels, the images 1"):
        joined.apply(images[:, :1], nothing)


def test_only_those_that_are_known_are_done_at_once() -> None:
    class Mine(Normalize):
        """May do anything."""

    assert ToFloat().joined(Mine([0.5], [0.5])) is None
    assert ToFloat().joined(ToFloat()) is None
    assert Normalize([0.5], [0.5]).joined(ToFloat()) is None


@pytest.mark.parametrize(("mean", "std"), [([0.5], [0.5, 0.5]), ([0.5], [0.0]), ([0.5], [-1.0])])
def test_normalize_refuses_numbers_that_cannot_be(mean: list[float], std: list[float]) -> None:
    with pytest.raises(PegboardError, match="as many mean as std, each std above 0"):
        Normalize(mean, std)


def test_to_tensor_is_another_name_of_it() -> None:
    assert type(TRANSFORMS.build({"type": "ToTensor"})) is ToFloat


# -- denormalize ----------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    mean=st.lists(st.floats(-1, 2, width=32), min_size=3, max_size=3),
    std=st.lists(st.floats(2**-10, 2, width=32), min_size=3, max_size=3),
)
def test_denormalize_inverts_normalize(mean: list[float], std: list[float]) -> None:
    images = make(4, 5, 6, dtype=torch.float32)
    back = denormalize(Normalize(mean, std).apply(images, torch.empty(4, 0)), mean, std)
    assert back.dtype == torch.float32
    assert (back - images).abs().max() < 1e-6
    assert torch.equal(denormalize(images, mean, std)[2], denormalize(images[2], mean, std))  # of one image, too


def test_denormalize_leaves_its_input_alone_and_refuses_another_number_of_channels() -> None:
    images = make(2, 4, 4, dtype=torch.float32)
    before = images.clone()
    denormalize(images, [0.5] * 3, [0.5] * 3)
    assert torch.equal(images, before)
    with pytest.raises(DataError, match="denormalize got 1 mean and 1 std for 3 channels"):
        denormalize(images, [0.5], [0.5])
