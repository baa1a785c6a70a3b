"""What the network sees comes back in its own colours, with its labels."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pegboard.data.denormalise import denormalised
from pegboard_data.transforms.values import Normalize
from pegboard_visual.pictures.samples import labels_of, samples_page
from pegboard_visual.seen import as_pictures
from tests import images

CLASSES = ["cat", "dog", "frog"]


class LikeTorchvision(nn.Module):
    """Normalize of another library: mean and std are lists."""

    mean, std = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]

    def forward(self, image: Tensor) -> Tensor:
        return (image - torch.tensor(self.mean).view(3, 1, 1)) / torch.tensor(self.std).view(3, 1, 1)


def test_normalising_is_undone_to_the_last_level() -> None:
    pixels = images.make(3, 5, 6)
    floats = pixels.float() / 255
    for transform in (Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)), LikeTorchvision()):
        normal = transform.apply(floats, torch.empty(3, 0)) if isinstance(transform, Normalize) else transform(floats)
        found = as_pictures(normal, [object(), transform])
        for picture, image in zip(found, pixels, strict=True):
            np.testing.assert_array_equal(picture, image.permute(1, 2, 0).numpy())
        assert not np.array_equal(as_pictures(normal, [])[0], found[0])  # without the transform it would be wrong


def test_two_are_undone_in_turn() -> None:
    first, second = Normalize((0.5,) * 3, (0.2,) * 3), Normalize((1.0,) * 3, (3.0,) * 3)
    floats = images.make(1, 4, 4, dtype=torch.float32)
    given = second.apply(first.apply(floats, torch.empty(1, 0)), torch.empty(1, 0))
    torch.testing.assert_close(denormalised(given, [first, second]), floats)


def test_what_is_no_colour_is_brought_into_range() -> None:
    [picture] = as_pictures(torch.randn(1, 3, 4, 4) * 100, [])
    assert (int(picture.min()), int(picture.max())) == (0, 255)
    assert as_pictures(torch.rand(1, 1, 4, 4), [])[0].shape == (4, 4, 3)
    assert as_pictures(torch.rand(1, 7, 4, 4), [])[0].shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("targets", "labels"),
    [
        (torch.tensor([0, 2]), ["cat", "frog"]),
        (torch.tensor([0, 7]), ["cat", "7"]),
        (torch.tensor([[0.3, 0.7, 0.0], [0.0, 0.0, 1.0]]), ["dog 70 %\ncat 30 %", "frog"]),
        (torch.tensor([0.25, 1.5]), ["0.25", "1.5"]),
        (torch.tensor([[1, 2, 3, 4, 5]] * 2), ["1 2 3 4"] * 2),
        (torch.tensor([[[0, 0], [0, 1]], [[2, 255], [2, 255]]]), ["cat 75 %\ndog 25 %", "frog"]),  # masks
        ([{"boxes": 1}, "a\nb"], ["{'boxes': 1}", "a b"]),
    ],
)
def test_labels(targets: object, labels: list[str]) -> None:
    assert labels_of(targets, 2, CLASSES) == labels


def test_a_page_shows_every_image() -> None:
    inputs = torch.stack([torch.full((3, 4, 4), level) for level in (0.2, 0.4, 0.6)])
    page = samples_page(inputs, ["cat", "<script>\n", "a very long name " * 9], [5, 6, 7], [], "heading")
    for level in (51, 102, 153):
        assert int((page == level).all(-1).sum()) >= 100 * 100
