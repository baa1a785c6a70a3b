"""Drawn shapes: a function of (seed, split, index), boxes that fit, and nothing but the outline to go by."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from pegboard.errors import DataError
from pegboard_data import drawn_shapes
from pegboard_data.drawn_shapes import BLOCK, OUTLINES, DrawnShapes


@settings(max_examples=10, deadline=None)
@given(count=st.integers(1, 2 * BLOCK + 1), split=st.sampled_from(["train", "val", "test"]), seed=st.integers(0, 9))
def test_a_longer_data_set_begins_with_the_shorter_one(count, split, seed):
    short, long = DrawnShapes(count, split, seed=seed), DrawnShapes(2 * BLOCK + 7, split, seed=seed)
    assert len(short) == len(short.images) == len(short.boxes) == len(short.targets) == count
    assert torch.equal(short.images, long.images[:count])
    assert np.array_equal(short.boxes, long.boxes[:count])
    assert short.targets == long.targets[:count]


def test_splits_seeds_and_samples_have_no_image_in_common():
    parts = [DrawnShapes(300, split, seed=seed) for split in ("train", "val", "test") for seed in (0, 1)]
    images = {image.numpy().tobytes() for part in parts for image in part.images}
    assert len(images) == 6 * 300


def test_an_item_is_an_image_and_its_class():
    shapes = DrawnShapes(25, size=48)
    image, target = shapes[13]
    assert isinstance(image, Tensor) and image.shape == (3, 48, 48) and image.dtype == torch.uint8
    assert type(target) is int and target == shapes.targets[13] == 3
    assert len(shapes.classes) == shapes.num_classes == 10
    assert len(list(shapes)) == 25  # IndexError ends the iteration


def test_classes_are_balanced():
    assert np.bincount(DrawnShapes(1000).targets).tolist() == [100] * 10


@pytest.mark.parametrize("size", [16, 32, 64])
def test_boxes_are_tight_around_the_object(size, monkeypatch):
    """Without texture everything outside the object has one colour, so the object's pixels can be found."""
    for name in ("CLOUDS", "STRIPES", "GRAIN"):
        monkeypatch.setattr(drawn_shapes, name, 0)
    shapes = DrawnShapes(500, size=size)
    for image, (left, top, right, bottom) in zip(shapes.images.numpy(), shapes.boxes, strict=True):
        assert 0 <= left < right <= size and 0 <= top < bottom <= size
        outside = np.ones((size, size), dtype=bool)
        outside[top:bottom, left:right] = False
        ground = image[:, outside][:, 0]
        rows, columns = np.nonzero((image != ground[:, None, None]).any(axis=0))
        # a pixel that the object barely touches may round to the colour of the ground
        assert left <= columns.min() <= left + 1 and right - 1 <= columns.max() + 1 <= right
        assert top <= rows.min() <= top + 1 and bottom - 1 <= rows.max() + 1 <= bottom


def test_a_box_takes_a_quarter_of_the_image_at_most_on_average():
    shapes = DrawnShapes(2000)
    widths, heights = (shapes.boxes[:, 2:] - shapes.boxes[:, :2]).T
    assert np.mean(widths * heights) <= 32 * 32 / 4


def test_colour_and_brightness_do_not_tell_the_class():
    images = DrawnShapes(5000).images.float().div(255)
    by_class = images.mean(dim=(2, 3)).reshape(-1, 10, 3).mean(dim=0)  # sample i has class i % 10
    assert (by_class - by_class.mean(dim=0)).abs().max() < 0.02


def test_no_shape_is_the_mirror_of_another_since_each_is_its_own():
    assert all(_is_its_own_mirror_image(outline) for outline in OUTLINES.values())
    assert not _is_its_own_mirror_image(np.array([[0, 0], [3, 0], [3, 1], [1, 1], [1, 5], [0, 5]]) / 3)  # an L


def _is_its_own_mirror_image(points):
    """Whether, mirrored and turned by some multiple of 3 degrees, each point comes to lie near one of the outline's."""
    turns = (np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in np.deg2rad(np.arange(0, 360, 3)))
    mirrored = (points * [-1, 1] @ turn for turn in turns)
    return any(np.linalg.norm(each[:, None] - points, axis=2).min(axis=1).max() < 0.05 for each in mirrored)


def test_mean_and_std_are_those_of_the_training_images():
    pixels = DrawnShapes(5000).images.float().div(255).transpose(0, 1).flatten(1)
    assert pixels.mean(dim=1).tolist() == pytest.approx(DrawnShapes.mean, abs=0.01)
    assert pixels.std(dim=1).tolist() == pytest.approx(DrawnShapes.std, abs=0.01)


def test_a_linear_classifier_stays_under_40_percent():
    """Multinomial logistic regression on the pixels; of the penalties tried, this one serves the classifier best."""
    train, test = DrawnShapes(5000), DrawnShapes(2000, "test")
    mean, std = train.images.float().mean(dim=0), train.images.float().std(dim=0)
    inputs, test_inputs = (((part.images - mean) / std).flatten(1) for part in (train, test))
    targets, test_targets = torch.tensor(train.targets), torch.tensor(test.targets)
    weight = torch.zeros(inputs.shape[1], 10, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=15, line_search_fn="strong_wolfe")

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(inputs @ weight, targets) + weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(step)
    accuracy = ((test_inputs @ weight).argmax(dim=1) == test_targets).float().mean().item()
    assert 0.2 < accuracy < 0.4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "tran"}, r"split='tran'; expected one of 'train', 'val', 'test'; did you mean 'train'\?"),
        ({"count": 0}, "count=0; expected at least 1"),
        ({"size": 8}, "size=8; expected at least 16"),
        ({"seed": -1}, "seed=-1; expected at least 0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        DrawnShapes(**arguments)
