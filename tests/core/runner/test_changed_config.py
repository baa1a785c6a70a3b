"""What a resume says of a config that has changed since, what it refuses, and what it puts back."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from pegboard import CheckpointError, Runner
from tests import probes, runs

ONE_CYCLE = {"type": "OneCycleLR", "unit": "iter", "cycle_momentum": False}


def stopped(folder: Path, **changes: Any) -> dict[str, Any]:
    """The state of a run that was stopped after its fourth iteration, the first of its second epoch."""
    hooks = {"stops": runs.hang("hooks", "stops", probes.StopsAt(4))}
    runs.train(folder, **{"train_for": "4 epochs", **changes, "hooks": hooks})
    return runs.newest(folder)


def resumed(folder: Path, state: dict[str, Any], **changes: Any) -> Runner:
    run = runs.runner(folder, state, **{"train_for": "4 epochs", "hooks": {"stops": None}, **changes})
    run.train()
    return run


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line for line in probes.warned(caplog) if " was " in line and not line.startswith("hooks.")]


DATA = runs.values()["train"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"optimizer": {"type": "SGD", "lr": 0.01}},
            "optimizer.lr was 0.1, now 0.01: has no effect: the optimizer goes on with its own settings",
        ),
        ({"seed": 7}, "seed was not set, now 7: order, augmentation and dropout are drawn anew"),
        ({"clip_grad": {"norm": 1.0}}, "clip_grad was not set, now {'norm': 1.0}: holds from here on"),
        (
            {"train": {**DATA, "transforms": [*DATA["transforms"][1:]]}},
            "train.transforms was [{'type': 'RandomCrop', 'size': 8, 'padding': 1}, ",
        ),
        ({"train_for": "5 epochs"}, "train_for was '4 epochs', now '5 epochs': the run ends then; schedules keep"),
        ({"loss": {"type": "CrossEntropyLoss", "label_smoothing": 0.1}}, "loss.label_smoothing was not set, now 0.1"),
    ],
    ids=["optimizer", "seed", "clip_grad", "train", "train_for", "loss"],
)
def test_each_change_is_said_with_what_it_means(
    tmp_path: Path, changes: dict[str, Any], line: str, caplog: pytest.LogCaptureFixture
) -> None:
    state = stopped(tmp_path)
    run = resumed(tmp_path, state, **changes)
    [found] = told(caplog)
    assert found.startswith(line)
    assert run.iteration == (15 if "train_for" in changes else 12)
    assert run.optimizer.param_groups[0]["lr"] == 0.1  # as it was said


def test_where_nothing_changed_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    resumed(tmp_path, stopped(tmp_path), name="other", test=runs.values()["val"])
    assert told(caplog) == []


@pytest.mark.parametrize(
    ("begun", "changes", "message"),
    [
        ({}, {"train": {**DATA, "batch_size": 4}}, "counts 3 iterations an epoch of the run, the config 6"),
        ({}, {"train": {**DATA, "dataset": {"type": "Dots", "count": 48}}}, "counts 3 iterations an epoch of the run"),
        ({}, {"optimizer": {"type": "AdamW", "lr": 0.1, "amsgrad": True}}, "was saved by SGD, the config has AdamW"),
        (
            {"scheduler": ONE_CYCLE},
            {"train_for": "6 epochs", "scheduler": ONE_CYCLE},
            "scheduler 0 of the checkpoint, OneCycleLR, ends after 12 steps, the config asks for 18",
        ),
        (
            {"train_for": None, "phases": [{"train_for": "3 iters"}, {"train_for": "9 iters"}]},
            {"train_for": None, "phases": [{"train_for": "2 iters"}, {"train_for": "10 iters"}]},
            "counts 3 as its last of phase 1, the config 2",
        ),
        (
            {"scheduler": ONE_CYCLE},
            {"scheduler": {"type": "CosineAnnealingLR", "unit": "iter"}},
            "was saved by OneCycleLR",
        ),
    ],
    ids=["batch size", "data", "optimizer", "longer one cycle", "phase that is over", "scheduler"],
)
def test_what_cannot_go_on_is_refused(
    tmp_path: Path, begun: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    state = stopped(tmp_path, **begun)
    before = {path.name for path in tmp_path.rglob("*")}
    with pytest.raises(CheckpointError, match=message):
        resumed(tmp_path, state, **changes)
    assert {path.name for path in tmp_path.rglob("*")} == before


def test_threads_and_kernels_are_those_of_the_checkpoint(tmp_path: Path) -> None:
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        torch.set_num_threads(2)
        torch.set_float32_matmul_precision("high")
        state = stopped(tmp_path, threads=None)
        assert (state["surroundings"]["threads"], state["surroundings"]["kernels"]["matmul precision"]) == (2, "high")
        torch.set_num_threads(1)
        torch.set_float32_matmul_precision("highest")
        resumed(tmp_path / "same", state, threads=None)
        assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (2, "high")
        resumed(tmp_path / "other", state, threads=1)  # the config asks for something else now
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)


def test_the_engine_is_that_of_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice of mode='auto' depends on what else is there; the bits shall not."""
    state = stopped(tmp_path)
    assert state["surroundings"]["engines"] == {"train": "memory", "val": "memory"}
    monkeypatch.setattr("pegboard.data.loader.MEMORY_BUDGET", 1)
    assert resumed(tmp_path / "same", state).train_loader.mode == "memory"
    other = resumed(tmp_path / "other", state, train={**DATA, "shuffle": False})
    assert other.train_loader.mode == "workers"  # the config changed: it decides


def test_another_machine_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = stopped(tmp_path)
    state["surroundings"]["machine"]["torch"] = "1.0"
    resumed(tmp_path, state)
    assert f"torch was 1.0, now {torch.__version__}: the numbers may differ in their last bits" in probes.warned(caplog)


def test_an_older_checkpoint_is_gone_on_from_and_stays_the_newest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its lines of metrics.jsonl are cut there, so another resume must not begin after that."""
    whole = runs.train(tmp_path, checkpoint={"every": "1 iters", "keep": 9})
    lines = (tmp_path / "metrics.jsonl").read_bytes()
    hooks = {"stops": runs.hang("hooks", "stops", probes.StopsAt(3)), "checkpoint": {"every": "99 iters"}}
    runs.runner(tmp_path, runs.checkpoint(tmp_path, 2), hooks=hooks).train()
    assert runs.newest(tmp_path)["iteration"] == 3
    with caplog.at_level(logging.INFO, "pegboard"):
        again = runs.runner(tmp_path, runs.newest(tmp_path))
        again.train()
    assert runs.same(again.model.state_dict(), whole.model.state_dict())
    assert (tmp_path / "metrics.jsonl").read_bytes() == lines


def test_half_a_line_at_the_end_is_repaired(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = stopped(tmp_path)
    whole = (tmp_path / "metrics.jsonl").read_bytes()
    (tmp_path / "metrics.jsonl").write_bytes(whole + b'{"epoch": 2, "itera')  # as a kill leaves it
    resumed(tmp_path, state)
    records = runs.records(tmp_path)
    assert (tmp_path / "metrics.jsonl").read_bytes().startswith(whole)
    assert [record["iteration"] for record in records if "lr" in record] == list(range(1, 13))
    assert "lost lines" not in caplog.text


def test_lines_that_were_lost_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = stopped(tmp_path)
    whole = (tmp_path / "metrics.jsonl").read_bytes()
    (tmp_path / "metrics.jsonl").write_bytes(whole[:-30])
    resumed(tmp_path, state)
    assert f"has lost lines: it held {len(whole)} bytes at the checkpoint" in caplog.text
    runs.records(tmp_path)  # all of them whole


class Held:
    """Eight by eight images that a test holds, and may change under a run's feet."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.images[index], index % 4


@pytest.mark.parametrize("mode", ["memory", "workers"])
def test_data_that_changed_under_an_unchanged_config_is_said(
    tmp_path: Path, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Any image in memory; of a dataset that names no files those that the short fingerprint looks at."""
    transforms = [{"type": "ToFloat"}]
    images = torch.arange(24 * 3 * 8 * 8).reshape(24, 3, 8, 8).to(torch.uint8)
    data = {**DATA, "dataset": runs.hang("datasets", "held", Held(images)), "mode": mode, "transforms": transforms}
    state = stopped(tmp_path, train=data)
    resumed(tmp_path, state, train=data)
    assert "has changed" not in caplog.text

    images[17, 0, 0, 0] += 1
    resumed(tmp_path, state, train=data)
    [line] = [line for line in probes.warned(caplog) if "has changed" in line]
    assert line.startswith("the train data has changed since the checkpoint (hash of its ")
    assert line.endswith(": the rest is trained on other data, or on other images of it")

    caplog.clear()
    fewer = {**data, "dataset": runs.hang("datasets", "held", Held(images[:23]))}
    resumed(tmp_path, state, train=fewer)
    assert "(24 samples then, 23 now; " in caplog.text


def test_a_file_that_was_written_since_and_kept_its_size_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of files on disk that are read again in each epoch; nothing is said where none was touched."""
    for number in range(24):
        place = tmp_path / "images" / "abcd"[number % 4]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (10 * number, 0, 0)).save(place / f"{number:02}.bmp")
    images = {"type": "ImageFolder", "root": str(tmp_path / "images")}
    data = {**DATA, "dataset": images, "mode": "workers", "transforms": [{"type": "ToFloat"}]}
    state = stopped(tmp_path / "run", train=data)
    resumed(tmp_path / "run", state, train=data)
    assert "written to" not in caplog.text

    file = tmp_path / "images" / "b" / "05.bmp"
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    resumed(tmp_path / "run", state, train=data)
    [line] = [line for line in probes.warned(caplog) if "written to" in line]
    assert line.startswith(
        "files of the train data were written to since the run began, and have kept their sizes (last: "
    )
    assert "b/05.bmp, 20" in line and line.endswith(MEANS_OTHER_DATA)


MEANS_OTHER_DATA = ": if more than a copy was made, the rest is trained on other data, or on other images of it"


def test_data_that_the_config_says_is_other_data_is_not_said_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = stopped(tmp_path)
    other = {**DATA, "dataset": {"type": "Dots", "seed": 5}}
    resumed(tmp_path, state, train=other)
    [line] = told(caplog)
    assert line.startswith("train.dataset.seed was not set, now 5")
    assert "has changed" not in caplog.text
