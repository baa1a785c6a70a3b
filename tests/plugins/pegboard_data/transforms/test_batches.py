"""What every transform with parameters promises: a sample gets its own, alone or in a batch, and the input stays."""

from typing import Any

import numpy as np
import pytest
import torch

from pegboard import Loader, Transform
from pegboard.data.transform import Pipeline
from pegboard_data import transforms
from tests.images import assert_same_distribution, assert_uniform, make, rows_of

EVERY = [
    transforms.AlternatingFlip(),
    transforms.CenterCrop(5),
    transforms.CenterCrop(30),
    transforms.ColorJitter(0.4, 0.4, 0.4, 0.1),
    transforms.GaussianBlur(5),
    transforms.Grayscale(3),
    transforms.Pad((1, 2)),
    transforms.RandomAffine(40, (0.2, 0.2), (0.5, 1.5), 10, "bilinear"),
    transforms.RandomCrop(9, padding=2),
    transforms.RandomErasing(0.9),
    transforms.RandomErasing(0.9, value="random"),
    transforms.RandomGrayscale(0.5),
    transforms.RandomHorizontalFlip(),
    transforms.RandomResizedCrop(9),
    transforms.RandomRotation(40),
    transforms.RandomVerticalFlip(),
    transforms.Resize(9),
]
CASES = [
    pytest.param(transform, size, dtype, id=f"{type(transform).__name__}-{size}-{dtype}")
    for transform in EVERY
    for size in ((13, 11), (34, 33))
    for dtype in (torch.uint8, torch.float32)
    if dtype == torch.float32 or getattr(transform, "value", 0) is not None
]


@pytest.mark.parametrize(("transform", "size", "dtype"), CASES)
def test_a_batch_is_what_its_samples_are_alone(transform: Transform, size: Any, dtype: torch.dtype) -> None:
    images, targets, index = make(37, *size, dtype=dtype), torch.arange(37), np.arange(37) * 3 % 41
    before = images.clone()
    pipeline = Pipeline([transform], seed=2)
    whole, its_targets = pipeline(images, targets, index, 3, np.arange(37))
    assert whole.dtype == dtype and torch.equal(its_targets, targets)
    assert torch.equal(images, before)
    for i in range(37):
        one = slice(i, i + 1)
        alone, _ = pipeline(images[one], targets[one], index[one], 3, np.arange(1))
        assert torch.equal(alone[0], whole[i])


class Leaning(transforms.RandomRotation):
    """A broken specimen: the lowest twentieth of the numbers lands in half of its place."""

    def params(self, u: torch.Tensor, epoch: int, sizes: torch.Tensor) -> torch.Tensor:
        return super().params(torch.where(u < 0.05, u / 2, u), epoch, sizes)


def test_the_tests_of_distributions_catch_one_that_leans() -> None:
    angles, leaning = rows_of(transforms.RandomRotation(10), 20_000), rows_of(Leaning(10), 20_000)
    assert_uniform(angles, -10, 10)
    with pytest.raises(AssertionError, match="degrees"):
        assert_uniform(leaning, -10, 10, bins=40)
    with pytest.raises(AssertionError, match="degrees"):
        assert_same_distribution(*(((values + 10) * 2).long().flatten() for values in (angles, leaning)))


RANDOM = [transform for transform in EVERY if transform.uniforms]
RANDOM += [transforms.MixUp(num_classes=2), transforms.CutMix(num_classes=2)]


@pytest.mark.parametrize("transform", RANDOM, ids=lambda transform: type(transform).__name__)
def test_samples_and_epochs_differ(transform: Transform) -> None:
    rows = [rows_of(transform, 50, epoch=epoch) for epoch in (0, 1)]
    assert not torch.equal(*rows)
    assert len(rows[0].unique(dim=0)) > 1
    assert torch.equal(rows[0], rows_of(transform, 50))


def test_every_transform_is_tested() -> None:
    named = {getattr(transforms, name) for name in transforms.__all__ if name[0].isupper()}
    elsewhere = {transforms.ToFloat, transforms.Normalize, transforms.MixUp, transforms.CutMix}
    assert {type(transform) for transform in EVERY} == named - elsewhere


def test_both_engines_give_the_same_images() -> None:
    steps = [transforms.Resize((14, 12)), transforms.RandomResizedCrop(10), transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)]
    steps += [transforms.AlternatingFlip(), transforms.RandomRotation(20, "bilinear"), transforms.ToFloat()]
    steps += [transforms.Normalize([0.5] * 3, [0.25] * 3), transforms.RandomErasing(value="random")]
    images = make(23, 20, 17)
    dataset = [(image, i) for i, image in enumerate(images)]

    def epoch(number: int, mode: Any, batch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
        loader = Loader(dataset, steps, batch_size, shuffle=True, mode=mode, seed=4)
        batches = list(loader.batches(number))
        return torch.cat([batch.inputs for batch in batches]), torch.cat([batch.targets for batch in batches])

    for number in (0, 1):
        inputs, targets = epoch(number, "memory", 5)
        assert inputs.shape == (23, 3, 10, 10)
        for found, expected in zip(epoch(number, "workers", 4), (inputs, targets), strict=True):
            assert torch.equal(found, expected)
