"""The loader: whatever makes the batches, they are the same."""

import logging
import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from pegboard import Batch, DataError, Loader, Transform
from pegboard.data.engines import InMemory, Workers
from pegboard.data.share import Share
from pegboard.registry import TRANSFORMS
from tests.runs import Dots

RECIPE: list[dict[str, Any]] = [
    {"type": "RandomCrop", "size": 8, "padding": 2},
    {"type": "RandomHorizontalFlip"},
    {"type": "ToFloat"},
    {"type": "Normalize", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]},
]
BRIDGED: list[dict[str, Any]] = [
    {"type": "ColorJitter", "brightness": 0.5, "hue": 0.2},
    *RECIPE[1:],
]
ENGINES = [("memory", 0), ("workers", 0), ("workers", 2)]


def transforms(parts: Sequence[dict[str, Any]]) -> list[Any]:
    return [TRANSFORMS.build(part) for part in parts]


def batches(
    dataset: Any, parts: Sequence[dict[str, Any]] = RECIPE, epoch: int = 0, start: int = 0, **options: Any
) -> list[Batch]:
    options = {"batch_size": 5, "shuffle": True, "seed": 3, **options}
    return list(Loader(dataset, transforms(parts), **options).batches(epoch, start))


def assert_same(one: Sequence[Batch], other: Sequence[Batch]) -> None:
    assert len(one) == len(other) > 0
    for a, b in zip(one, other, strict=True):
        assert a.inputs.dtype == b.inputs.dtype and torch.equal(a.inputs, b.inputs)
        assert a.targets.dtype == b.targets.dtype and torch.equal(a.targets, b.targets)
        assert torch.equal(a.index, b.index)


def by_sample(made: Sequence[Batch]) -> dict[int, Tensor]:
    return {int(i): image for batch in made for i, image in zip(batch.index, batch.inputs, strict=True)}


# -- the same images ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [RECIPE, BRIDGED, []], ids=["recipe", "bridged", "nothing"])
def test_every_engine_gives_the_same_batches(parts: list[dict[str, Any]]) -> None:
    memory, here, processes = (batches(Dots(23), parts, mode=mode, workers=workers) for mode, workers in ENGINES)
    assert_same(memory, here)
    assert_same(memory, processes)
    assert [len(batch.inputs) for batch in memory] == [5, 5, 5, 5, 3]
    assert memory[0].targets.dtype == torch.int64


def test_batches_hold_what_the_dataset_gives() -> None:
    dataset = Dots(10)
    for batch in batches(dataset, []):
        for image, target, index in zip(*batch, strict=True):
            assert torch.equal(image, dataset.images[index])
            assert target == index % 4


class HistoryDependent(Transform):
    """The broken specimen: it draws from torch's own generator."""

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return images.float() + torch.rand(len(images), 1, 1, 1)


def test_the_comparison_catches_a_transform_that_depends_on_history() -> None:
    one = Loader(Dots(23), [HistoryDependent()], 5, mode="memory")
    other = Loader(Dots(23), [HistoryDependent()], 5, mode="workers")
    with pytest.raises(AssertionError):
        assert_same(list(one.batches(0)), list(other.batches(0)))


@pytest.mark.parametrize("parts", [RECIPE, BRIDGED], ids=["recipe", "bridged"])
@pytest.mark.parametrize("mode", ["memory", "workers"])
def test_images_do_not_depend_on_the_batch_size(parts: list[dict[str, Any]], mode: str) -> None:
    expected = by_sample(batches(Dots(16), parts, mode="memory", batch_size=16))
    for batch_size in (1, 3, 7):
        found = by_sample(batches(Dots(16), parts, mode=mode, batch_size=batch_size))
        assert all(torch.equal(found[i], expected[i]) for i in range(16))


def test_chunks_of_augmentation_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = batches(Dots(40), batch_size=4)
    monkeypatch.setattr("pegboard.data.engines.CHUNK", 8)
    assert_same(batches(Dots(40), batch_size=4), whole)


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(1, 40), batch_size=st.integers(1, 12), start=st.integers(0, 12), drop_last=st.booleans(),
    mode=st.sampled_from(["memory", "workers"]), epoch=st.integers(0, 3),
)  # fmt: skip
def test_starting_at_k_gives_the_batches_from_k_on(
    count: int, batch_size: int, start: int, drop_last: bool, mode: str, epoch: int
) -> None:
    loader = Loader(
        Dots(count),
        transforms(RECIPE),
        batch_size,
        shuffle=True,
        drop_last=drop_last,
        mode=mode,
        seed=1,  # type: ignore[arg-type]
    )
    whole, rest = list(loader.batches(epoch)), list(loader.batches(epoch, start))
    assert len(whole) == len(loader)
    assert len(rest) == max(0, len(whole) - start)
    if rest:
        assert_same(rest, whole[start:])


@pytest.mark.parametrize("workers", [0, 2])
def test_starting_at_k_with_workers(workers: int) -> None:
    whole = batches(Dots(23), mode="workers", workers=workers)
    assert_same(batches(Dots(23), start=2, mode="workers", workers=workers), whole[2:])


def test_what_lies_before_the_start_is_not_decoded() -> None:
    dataset = Dots(23)
    loader = Loader(dataset, transforms(RECIPE), 5, shuffle=True, mode="workers", seed=3)
    dataset.seen.clear()
    made = list(loader.batches(0, start=3))
    assert dataset.seen == [int(i) for batch in made for i in batch.index]
    assert len(dataset.seen) == 8


class Million:
    """As many samples as take no memory."""

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.full((1, 1, 1), index % 256, dtype=torch.uint8), index


def test_an_epoch_of_a_million_samples_takes_the_memory_of_its_order() -> None:
    loader = Loader(Million(), batch_size=2, shuffle=True, mode="workers", seed=3)
    order = loader.order(0)
    next(loader.batches(0, order=order))  # whatever is imported on first use
    tracemalloc.start()
    try:
        made = loader.batches(0, 7, Share(1, 2), order)
        first = [next(made) for _ in range(3)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [batch.index.tolist() for batch in first] == [[order[place]] for place in (15, 17, 19)]
    assert peak < order.nbytes / 8  # a tuple for each of the 500,000 batches would be 28 MB, and their parts more


def test_memory_decodes_each_image_once() -> None:
    dataset = Dots(23)
    loader = Loader(dataset, transforms(RECIPE), 5, shuffle=True, mode="memory")
    assert dataset.seen == [], "nothing is decoded before it is needed"
    list(loader.batches(0)), list(loader.batches(1))
    assert sorted(dataset.seen) == list(range(23))


# -- another epoch, another sample, another seed ---------------------------------------------------------------------


def test_each_epoch_has_its_own_order_and_augmentation() -> None:
    first, second = batches(Dots(40), epoch=0), batches(Dots(40), epoch=1)
    assert [b.index.tolist() for b in first] != [b.index.tolist() for b in second]
    one, other = by_sample(first), by_sample(second)
    assert sum(torch.equal(one[i], other[i]) for i in range(40)) < 10
    assert_same(first, batches(Dots(40), epoch=0))


def test_each_sample_and_each_seed_has_its_own_augmentation() -> None:
    class Same(Dots):
        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            return self.images[0], 0

    for parts in (RECIPE, BRIDGED):
        one, other = by_sample(batches(Same(30), parts)), by_sample(batches(Same(30), parts, seed=4))
        assert len({image.numpy().tobytes() for image in one.values()}) > 15
        assert sum(torch.equal(one[i], other[i]) for i in range(30)) < 10


def test_without_shuffle_the_order_is_the_datasets() -> None:
    index = torch.cat([batch.index for batch in batches(Dots(13), shuffle=False, epoch=4)])
    assert index.tolist() == list(range(13))


@pytest.mark.parametrize(("mode", "workers"), ENGINES)
def test_drop_last_leaves_out_a_smaller_last_batch(mode: str, workers: int) -> None:
    made = batches(Dots(13), drop_last=True, mode=mode, workers=workers)
    assert [len(batch.inputs) for batch in made] == [5, 5]
    assert len(Loader(Dots(13), (), 5, drop_last=True)) == 2
    assert len(Loader(Dots(13), (), 5)) == 3
    assert [len(b.inputs) for b in batches(Dots(10), drop_last=True, mode=mode, workers=workers)] == [5, 5]


def test_a_bridged_transform_leaves_torchs_generator_where_it_was() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    batches(Dots(10), BRIDGED)
    assert torch.equal(before, torch.get_rng_state())


# -- the choice of the engine ----------------------------------------------------------------------------------------


class Mixed:
    """Images of different sizes, the odd ones larger."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.new("RGB", (8 + 2 * (index % 2), 10), (index, 0, 0)), index


def test_images_of_one_size_go_into_memory(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pegboard"):
        loader = Loader(Dots(12), what="train")
        assert loader.mode == "memory" and isinstance(loader.engine, InMemory)
    assert caplog.messages == ["train: 12 samples, memory engine (0 MiB decoded)"]


def test_images_that_differ_in_size_go_through_workers(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pegboard"):
        loader = Loader(Mixed(), transforms([{"type": "torchvision:CenterCrop", "size": 8}]), 4, what="val")
        assert loader.mode == "workers" and isinstance(loader.engine, Workers)
    assert caplog.messages == ["val: 12 samples, workers engine (images differ in size)"]
    assert [batch.inputs.shape for batch in loader.batches(0)] == [(4, 3, 8, 8)] * 3


@pytest.mark.parametrize(("size", "mode"), [([6, 8], "memory"), (6, "workers")])
def test_images_that_a_leading_resize_makes_alike_go_into_memory(size: Any, mode: str) -> None:
    parts = [{"type": "Resize", "size": size}, {"type": "RandomHorizontalFlip"}, {"type": "CenterCrop", "size": 6}]
    chosen, workers = Loader(Mixed(), transforms(parts), 4), Loader(Mixed(), transforms(parts), 4, mode="workers")
    assert chosen.mode == mode
    for one, other in zip(chosen.batches(1), workers.batches(1), strict=True):
        assert torch.equal(one.inputs, other.inputs) and torch.equal(one.targets, other.targets)


def test_what_the_config_asks_for_is_done() -> None:
    assert Loader(Dots(12), workers=2).mode == "workers"
    assert Loader(Dots(12), mode="workers").mode == "workers"
    assert Loader(Dots(12), mode="memory").mode == "memory"


def test_more_than_the_budget_goes_through_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pegboard.data.loader.MEMORY_BUDGET", 12 * 3 * 64 - 1)
    assert Loader(Dots(12)).mode == "workers"
    monkeypatch.setattr("pegboard.data.loader.MEMORY_BUDGET", 12 * 3 * 64)
    assert Loader(Dots(12)).mode == "memory"


# -- mistakes of a dataset ------------------------------------------------------------------------------------------


class Gives:
    def __init__(self, sample: Any, count: int = 4) -> None:
        self.sample = sample
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return self.sample


IMAGE = torch.zeros(3, 8, 8, dtype=torch.uint8)


@pytest.mark.parametrize("mode", ["auto", "memory", "workers"])
@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (IMAGE, "sample 0 of Gives is no .image, target. pair but Tensor"),
        ((IMAGE, 1, 2), "sample 0 of Gives is no .image, target. pair but tuple"),
        ({"image": IMAGE}, "sample 0 of Gives is no .image, target. pair but dict"),
        (("a.png", 1), "sample 0 is str; expected a PIL image or a uint8 tensor"),
        ((np.zeros((8, 8, 3)), 1), "sample 0 is ndarray; expected a PIL image or a uint8 tensor"),
    ],
)
def test_a_sample_that_is_no_pair_of_image_and_target_is_refused(mode: Any, sample: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(Loader(Gives(sample), mode=mode).batches(0))


@pytest.mark.parametrize("mode", ["auto", "memory", "workers"])
def test_an_empty_dataset_is_refused(mode: Any) -> None:
    with pytest.raises(DataError, match="the dataset is empty"):
        list(Loader(Gives(None, count=0), mode=mode).batches(0))


def test_images_in_memory_must_be_of_one_size() -> None:
    with pytest.raises(DataError, match="sample 1 is 10 x 10, sample 0 is 10 x 8; images in memory must be of"):
        list(Loader(Mixed(), mode="memory").batches(0))


def test_images_of_a_batch_must_be_of_one_size() -> None:
    with pytest.raises(DataError, match=r"sample 1 is 10 x 10 after its transforms, others of its batch are 10 x 8"):
        list(Loader(Mixed(), batch_size=4).batches(0))


def test_a_pil_image_of_any_mode_becomes_rgb() -> None:
    modes = (("L", 7, [7, 7, 7]), ("RGB", (1, 2, 3), [1, 2, 3]), ("RGBA", (1, 2, 3, 9), [1, 2, 3]))
    for mode, colour, expected in modes:
        (batch,) = Loader(Gives((Image.new(mode, (4, 5), colour), 0), count=1)).batches(0)
        assert batch.inputs.shape == (1, 3, 5, 4) and batch.inputs.dtype == torch.uint8
        assert batch.inputs[0, :, 0, 0].tolist() == expected


@pytest.mark.parametrize(
    ("target", "dtype", "shape"),
    [
        (3, torch.int64, (4,)),
        (0.5, torch.float32, (4,)),
        ([0.5, 0.5], torch.float32, (4, 2)),
        (torch.tensor([1, 0]), torch.int64, (4, 2)),
        (np.int64(2), torch.int64, (4,)),
        (True, torch.bool, (4,)),
    ],
)
@pytest.mark.parametrize("mode", ["memory", "workers"])
def test_targets_become_one_tensor(target: Any, dtype: torch.dtype, shape: tuple[int, ...], mode: Any) -> None:
    (batch,) = Loader(Gives((IMAGE, target)), batch_size=4, mode=mode).batches(0)
    assert batch.targets.dtype == dtype and batch.targets.shape == shape
