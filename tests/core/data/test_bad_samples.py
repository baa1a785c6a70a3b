"""Samples that cannot be read, in every engine; and processes that are spawned."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from pegboard import DataError, Loader
from pegboard.plugins import load_plugin
from tests import probes, runs

ENGINES: list[dict[str, Any]] = [
    {"mode": "memory"},
    {"mode": "workers"},
    {"mode": "workers", "workers": 2},
    {"mode": "workers", "workers": 2, "cache": "memory"},
]


class Spoilt(runs.Dots):
    """Dots of which some cannot be read."""

    def __init__(self, bad: tuple[int, ...] = (7, 8), count: int = 24) -> None:
        super().__init__(count)
        self.bad = bad
        self.samples = [(f"images/{index}.jpg", 0) for index in range(count)]

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index in self.bad:
            raise UnidentifiedImageError("cannot identify image file")
        return super().__getitem__(index)


@pytest.mark.parametrize("options", ENGINES)
def test_by_default_the_path_and_index_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"sample 7 of Spoilt, images/7.jpg cannot be read: cannot identify"):
        list(Loader(Spoilt(), batch_size=4, **options).batches(0))


@pytest.mark.parametrize("options", ENGINES)
def test_skipped_ones_are_replaced_counted_and_logged_once(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    dataset = Spoilt()
    loader = Loader(dataset, batch_size=4, on_bad_sample="skip", max_bad=0.1, what="train", **options)
    for epoch in range(2):
        inputs = torch.cat([batch.inputs for batch in loader.batches(epoch)])
        expected = dataset.images.clone()
        expected[7] = expected[8] = expected[9]
        assert torch.equal(inputs, expected)
    assert sorted(loader.bad.found) == [7, 8]
    logged = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(logged) == 2 and all("another sample stands in for it" in line for line in logged)


@pytest.mark.parametrize("options", ENGINES)
def test_too_many_end_the_run(options: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"train: 2 of 24 samples cannot be read \(8.3%\), more than max_bad=0.05"):
        list(Loader(Spoilt(), on_bad_sample="skip", max_bad=0.05, what="train", **options).batches(0))


def test_nothing_that_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sample of Spoilt can be read"):
        Loader(Spoilt(tuple(range(24))), on_bad_sample="skip", max_bad=1)


def test_the_count_is_in_the_summary(tmp_path: Path, boards: None) -> None:
    runs.hang_up()
    part = runs.hang("datasets", "Spoilt", Spoilt())
    train = {**runs.values()["train"], "dataset": part, "on_bad_sample": "skip", "max_bad": 0.1}
    run = runs.train(tmp_path, train=train)
    assert run.summary["bad_samples"] == {"train": 2}
    assert json.loads((tmp_path / "summary.json").read_text())["bad_samples"] == {"train": 2}
    assert "bad_samples" not in runs.train(tmp_path / "b").summary


def test_the_count_goes_on_after_a_resume(tmp_path: Path, boards: None) -> None:
    """Of samples that come before the checkpoint and not again; the fingerprint of so many looks at neither."""
    runs.hang_up()
    part = runs.hang("datasets", "Spoilt", Spoilt(count=200))
    train = {**runs.values()["train"], "dataset": part, "on_bad_sample": "skip", "mode": "workers", "shuffle": False}
    stops = {"stops": runs.hang("hooks", "stops", probes.StopsAt(2))}
    runs.train(tmp_path, train=train, train_for="4 iters", hooks=stops)
    run = runs.runner(tmp_path, runs.newest(tmp_path), train=train, train_for="4 iters")
    assert run.train()["bad_samples"] == {"train": 2}


PLUGIN = """
import torch
from pegboard import DATASETS, Transform


class Bright(Transform):
    def apply(self, images, rows):
        return images.float() + 1


@DATASETS.register
class FromAFile:
    classes = ("a", "b")

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return torch.full((3, 2, 2), index, dtype=torch.uint8), index % 2
"""


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_workers_know_the_parts_of_a_plugin_file(tmp_path: Path, boards: None, start_method: str) -> None:
    name = f"parts_for_{start_method}"
    (tmp_path / f"{name}.py").write_text(PLUGIN)
    load_plugin(f"./{name}.py", tmp_path)
    try:
        module = sys.modules[name]
        loader = Loader(module.FromAFile(), [module.Bright()], batch_size=4, mode="workers", workers=1)
        loader.engine.loader.multiprocessing_context = start_method  # type: ignore[attr-defined]
        assert torch.cat([batch.inputs for batch in loader.batches(0)])[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5, 6]
    finally:
        del sys.modules[name]


def test_workers_and_the_step_share_the_cores(tmp_path: Path, boards: None, caplog: pytest.LogCaptureFixture) -> None:
    runs.hang_up()
    train = {**runs.values()["train"], "workers": 1}
    before = torch.get_num_threads()
    try:
        with caplog.at_level("INFO", "pegboard"):
            run = runs.train(tmp_path, train=train, threads=None, train_for="6 epochs")
        assert "1 worker processes and 1 threads for the step" in caplog.text or torch.get_num_threads() > 1
        assert 0 < run.summary["data_wait"] <= 1
    finally:
        torch.set_num_threads(before)


def test_a_file_whose_damage_shows_only_when_it_is_decoded(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-200])

    class Opened:
        def __init__(self) -> None:
            self.samples = [(str(tmp_path / "cut.jpg"), 0)]

        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> tuple[Image.Image, int]:
            return Image.open(self.samples[index][0]), 0

    with pytest.raises(DataError, match=r"sample 0 of Opened, .*cut.jpg cannot be read: .*[Tt]runcated"):
        list(Loader(Opened(), mode="workers").batches(0))
