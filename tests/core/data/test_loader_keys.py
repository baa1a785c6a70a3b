"""What a loader takes beside images and transforms: sampler, cache, collate, target_transform; and mixing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import WeightedRandomSampler

from pegboard import Config, DataError, Loader, Sampler, Transform
from pegboard.config import check
from pegboard.data.samples import Decoded, Samples
from pegboard.rgb import ORIENTATION
from tests import runs
from tests.runs import Dots

ENGINES: list[dict[str, Any]] = [{"mode": "memory"}, {"mode": "workers"}, {"mode": "workers", "workers": 2}]


def made(epoch: int = 0, start: int = 0, dataset: Any = None, **options: Any) -> list[Any]:
    return list(Loader(dataset or Dots(), batch_size=5, **options).batches(epoch, start))


class Odd(Sampler):
    """Every second sample, starting anywhere."""

    def __len__(self) -> int:
        return 12

    def order(self, seed: int, epoch: int) -> NDArray[np.int64]:
        return (np.arange(12) * 2 + 1 + epoch) % 24


@pytest.mark.parametrize("options", ENGINES)
def test_a_sampler_says_which_samples_in_which_order(options: dict[str, Any]) -> None:
    loader = Loader(Dots(), batch_size=5, sampler=Odd(), **options)
    assert len(loader) == 3
    batches = list(loader.batches(1))
    assert torch.cat([batch.index for batch in batches]).tolist() == [(2 * i + 2) % 24 for i in range(12)]
    later = list(loader.batches(1, start=1))
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(batches[1:], later, strict=True))


def test_a_sampler_of_torch_is_a_function_of_seed_and_epoch() -> None:
    sampler = WeightedRandomSampler([1.0] * 12 + [0.0] * 12, 40)
    before = torch.get_rng_state()
    orders = [
        Loader(Dots(), sampler=sampler, seed=seed).order(epoch).tolist() for seed in (0, 1) for epoch in (0, 1, 0)
    ]
    assert torch.equal(before, torch.get_rng_state())
    assert orders[0] == orders[2] != orders[1] and orders[3] == orders[5] and orders[0] != orders[3]
    assert max(max(order) for order in orders) < 12 and len(orders[0]) == 40


def test_a_sampler_by_name_in_a_config(tmp_path: Path, boards: None) -> None:
    runs.hang_up()
    train = {**runs.values()["train"], "sampler": {"type": "RandomSampler", "replacement": True, "num_samples": 16}}
    train.pop("shuffle")
    assert runs.train(tmp_path, train=train).summary["iterations"] == 4
    problems = check(Config.from_values(runs.values(train={**train, "shuffle": True})))
    assert [str(problem) for problem in problems] == ["train.shuffle: the sampler gives the order; leave shuffle out"]


@pytest.mark.parametrize(
    ("order", "message"),
    [(np.arange(3), "gave 3 samples for an epoch of 12"), (np.arange(12) + 20, "asks for sample 31 of 24")],
)
def test_a_sampler_that_is_wrong_is_named(order: NDArray[np.int64], message: str) -> None:
    class Wrong(Odd):
        def order(self, seed: int, epoch: int) -> NDArray[np.int64]:
            return order

    with pytest.raises(DataError, match=f"Wrong {message}"):
        made(sampler=Wrong())


@pytest.mark.parametrize("options", ENGINES)
@pytest.mark.parametrize("table", [{0: 1, 1: 0, 2: 1, 3: 0}, [1, 0, 1, 0], lambda target: (target + 1) % 2])
def test_targets_are_relabelled_in_every_engine(options: dict[str, Any], table: Any) -> None:
    if options.get("workers") and callable(table):
        options = {**options, "workers": 0}
    for batch in made(target_transform=table, **options):
        assert torch.equal(batch.targets, (batch.index + 1) % 2)


def test_a_target_without_a_new_one_is_named() -> None:
    with pytest.raises(DataError, match="sample 2 has target 2, for which target_transform says nothing"):
        made(mode="memory", target_transform={0: 1, 1: 0})


def test_the_number_of_classes_follows_the_new_labels(tmp_path: Path, boards: None) -> None:
    runs.hang_up()
    values = runs.values()
    changed = {split: {**values[split], "target_transform": [0, 1, 0, 1]} for split in ("train", "val")}
    run = runs.train(tmp_path, **changed)
    assert run.model.fc.out_features == 2 and "classes" not in run.facts


class Sized:
    """Images of different heights."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.full((3, 4 + index, 5), index, dtype=torch.uint8), index


def pad(pairs: list[tuple[Tensor, int]]) -> tuple[Tensor, list[int]]:
    height = max(image.shape[1] for image, _ in pairs)
    inputs = torch.stack([torch.nn.functional.pad(image, (0, 0, 0, height - image.shape[1])) for image, _ in pairs])
    return inputs, [target for _, target in pairs]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_collate_function_makes_the_batch(workers: int) -> None:
    batches = made(dataset=Sized(), collate=pad, workers=workers)
    assert [batch.inputs.shape[2] for batch in batches] == [8, 13, 15]
    assert batches[0].targets == [0, 1, 2, 3, 4]


def test_what_can_be_named_by_address_is_checked_and_found(tmp_path: Path, boards: None) -> None:
    runs.hang_up()

    def problems(**changes: Any) -> str:
        values = runs.values()
        return "\n".join(map(str, check(Config.from_values({**values, "train": {**values["train"], **changes}}))))

    assert problems(collate="torch.utils.data:default_collate", target_transform="operator:neg") == ""
    assert "train.collate: must be 'module:function', got 'pad'" in problems(collate="pad")
    assert "there is no 'negg' in operator; did you mean 'neg'?" in problems(target_transform="operator:negg")
    assert "there is no module 'no_such_module'" in problems(collate="no_such_module:f")
    assert "must be a list with the new class number of each old one" in problems(target_transform={"cat": 1})
    assert "cache is of the worker engine" in problems(mode="memory", cache="memory")
    assert "must be 'memory' or None, got 'disk'" in problems(cache="disk")


@pytest.mark.parametrize("workers", [0, 2])
def test_cache_decodes_every_image_once(workers: int) -> None:
    dataset = Dots()
    loader = Loader(dataset, batch_size=5, mode="workers", workers=workers, cache="memory")
    _ = loader.engine
    seen = sorted(dataset.seen)
    for epoch in range(2):
        for batch in loader.batches(epoch):
            assert torch.equal(batch.inputs, dataset.images[batch.index])
    assert seen == list(range(24)) and sorted(dataset.seen) == seen


def test_decoded_images_may_differ_in_size() -> None:
    samples = Samples(Sized())
    decoded = Decoded(samples)
    assert all(torch.equal(decoded[i][0], samples[i][0]) and decoded[i][1] == i for i in range(12))
    assert decoded.pixels.is_shared()


class Mixing(Transform):
    """Half of each sample and half of its neighbour in the batch."""

    uniforms = 1
    mixes_samples = True

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        share = rows[:, 0].float().view(-1, 1, 1, 1)
        return images * share + images.roll(1, 0) * (1 - share)


class Half(Transform):
    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return images.float() / 2


def test_mixing_sees_the_whole_batch_in_every_engine_and_after_a_resume() -> None:
    steps = [Half(), Mixing(), Half()]
    first, *others = (made(transforms=steps, shuffle=True, **options) for options in ENGINES)
    for other in others:
        assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(first, other, strict=True))
    later = made(start=2, transforms=steps, shuffle=True, mode="memory")
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(first[2:], later, strict=True))
    alone = made(transforms=[Half()], shuffle=True)
    assert not torch.allclose(first[0].inputs, alone[0].inputs / 2)


def test_worker_processes_outlive_an_epoch_and_an_epoch_that_is_cut_short() -> None:
    loader = Loader(Dots(), batch_size=2, mode="workers", workers=2, shuffle=True)
    expected = [batch.index for batch in Loader(Dots(), batch_size=2, shuffle=True).batches(1)]
    next(iter(loader.batches(0)))
    first = loader.engine.loader._iterator  # type: ignore[attr-defined]
    processes = [worker.pid for worker in first._workers]
    assert all(torch.equal(batch.index, want) for batch, want in zip(loader.batches(1), expected, strict=True))
    assert [worker.pid for worker in loader.engine.loader._iterator._workers] == processes  # type: ignore[attr-defined]


class Photographs:
    """What a camera or a scanner may give: modes that are not RGB, and a picture that lies on its side."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        if index == 3:
            lying = Image.new("RGB", (6, 6))
            lying.putpixel((0, 0), (255, 0, 0))
            lying.getexif()[ORIENTATION] = 6
            return lying, index
        grey = [Image.new("I;16", (6, 6), 65535), Image.new("L", (6, 6), 255), Image.new("1", (6, 6), 1)][index]
        return grey, index


def test_images_of_any_mode_come_as_upright_rgb_of_eight_bits() -> None:
    inputs = torch.cat([batch.inputs for batch in made(dataset=Photographs())])
    assert inputs.dtype == torch.uint8 and (inputs[:3] == 255).all()
    assert inputs[3, :, 0, 5].tolist() == [255, 0, 0] and inputs[3].sum() == 255
