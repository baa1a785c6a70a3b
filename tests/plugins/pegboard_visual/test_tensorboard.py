"""TensorBoard's own reader finds in the event files what the run logged."""

import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from pegboard import Batch, Hook, Runner
from tests import processes, runs

BOARD = {"tensorboard": {"type": "TensorBoard"}}


@pytest.fixture(autouse=True)
def _tiny_parts(boards: None) -> None:
    runs.hang_up()


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """``{"loss": [(iteration, value), ...], "Accuracy/Train:Accuracy": [(epoch, value), ...]}``."""
    series = {}
    for file in sorted((folder / "tensorboard").rglob("*tfevents*")):
        events = EventAccumulator(str(file))
        events.Reload()
        below = file.parent.relative_to(folder / "tensorboard")
        for tag in events.Tags()["scalars"]:
            series[f"{below}:{tag}" if below.parts else tag] = [(e.step, e.value) for e in events.Scalars(tag)]
    return series


def test_train_and_validation_share_a_chart(tmp_path: Path) -> None:
    run = runs.train(tmp_path, hooks=BOARD, train_for="3 epochs")
    series = read(tmp_path)
    assert set(series) == {
        "loss", "lr", "Loss/Train:Loss", "Loss/Valid:Loss", "Accuracy/Train:Accuracy", "Accuracy/Valid:Accuracy",
    }  # fmt: skip
    by_epoch = [record for record in runs.records(tmp_path) if "val/loss" in record]
    for chart, figure in (("Loss", "loss"), ("Accuracy", "top1")):
        for name, split in (("Train", "train"), ("Valid", "val")):
            expected = [(record["epoch"], record[f"{split}/{figure}"]) for record in by_epoch]
            found = series[f"{chart}/{name}:{chart}"]
            assert [step for step, _ in found] == [step for step, _ in expected] == [1, 2, 3]
            assert [value for _, value in found] == pytest.approx([value for _, value in expected], rel=1e-6)
    assert [step for step, _ in series["loss"]] == list(range(1, 10))
    assert series["lr"][-1] == (9, pytest.approx(run.optimizer.param_groups[0]["lr"]))


def test_two_metrics_of_one_type_get_their_names(tmp_path: Path) -> None:
    metrics = {
        "top1": {"type": "Accuracy"},
        "top2": {"type": "Accuracy", "k": 2},
        "f1": {"type": "torchmetrics:MulticlassF1Score"},
    }
    runs.train(tmp_path, hooks=BOARD, metrics=metrics)
    charts = {name.partition(":")[2] for name in read(tmp_path) if ":" in name}
    assert charts == {"Loss", "Accuracy_top1", "Accuracy_top2", "MulticlassF1Score"}


def test_what_a_hook_logs_is_a_scalar_by_iteration(tmp_path: Path) -> None:
    class Logs(Hook):
        def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
            run.log("grad/norm", 2.0 * run.iteration)

    runs.train(tmp_path, hooks={**BOARD, "logs": runs.hang("hooks", "logs", Logs())})
    assert read(tmp_path)["grad/norm"] == [(i, 2.0 * i) for i in range(1, 7)]


def test_a_run_that_fails_leaves_what_was_logged(tmp_path: Path) -> None:
    class Fails(Hook):
        essential = True

        def after_val(self, run: Runner, metrics: Mapping[str, float]) -> None:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        runs.train(tmp_path, hooks={**BOARD, "fails": runs.hang("hooks", "fails", Fails())})
    assert len(read(tmp_path)["loss"]) == 3


def test_nothing_is_written_twice_by_a_resume(tmp_path: Path) -> None:
    """What was logged after the checkpoint, and half an event that a kill left, is gone before it comes again."""

    class Kills(Hook):
        essential = True

        def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
            if run.iteration == 8:
                raise KeyboardInterrupt

    hooks = {**BOARD, "kills": runs.hang("hooks", "kills", Kills())}
    config = {"train_for": "4 epochs", "val_every": "2 iters", "checkpoint": {"every": "4 iters"}}
    with pytest.raises(KeyboardInterrupt):
        runs.train(tmp_path / "part", **config, hooks=hooks)
    assert [step for step, _ in read(tmp_path / "part")["loss"]] == list(range(1, 8))
    for file in (tmp_path / "part" / "tensorboard").rglob("*tfevents*"):
        file.write_bytes(file.read_bytes() + b"\x18\0\0\0\0\0\0\0half")
    runs.runner(tmp_path / "part", runs.newest(tmp_path / "part"), **config, hooks=BOARD).train()
    runs.train(tmp_path / "whole", **config, hooks=BOARD)
    assert merged(tmp_path / "part") == merged(tmp_path / "whole")


def merged(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Every event of every file, in the order in which they were written."""
    series: dict[str, list[tuple[int, float]]] = {}
    for file in sorted((folder / "tensorboard").rglob("*tfevents*")):
        events = EventAccumulator(str(file))
        events.Reload()
        for tag in events.Tags()["scalars"]:
            name = f"{file.parent.relative_to(folder / 'tensorboard')}:{tag}"
            series.setdefault(name, []).extend((e.step, e.value) for e in events.Scalars(tag))
    return series


def killed(folder: Path) -> None:
    """A run, for a process of its own, that is killed one iteration after its second checkpoint."""

    class Kills(Hook):
        def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
            if run.iteration == 9:
                os.kill(os.getpid(), signal.SIGKILL)

    runs.hang_up()
    hooks = {**BOARD, "kills": runs.hang("hooks", "kills", Kills())}
    runs.train(folder, **OFTEN, hooks=hooks)


OFTEN = {"train_for": "4 epochs", "val_every": "2 iters", "checkpoint": {"every": "4 iters"}}


def test_a_killed_run_has_what_was_logged_before_its_checkpoint(tmp_path: Path) -> None:
    """And resumed, each event of the run that was never killed, once."""
    assert processes.call(killed, tmp_path / "part") == -signal.SIGKILL
    steps = [step for step, _ in read(tmp_path / "part")["loss"]]
    assert steps[:8] == list(range(1, 9))
    runs.runner(tmp_path / "part", runs.newest(tmp_path / "part"), **OFTEN, hooks=BOARD).train()
    runs.train(tmp_path / "whole", **OFTEN, hooks=BOARD)
    assert merged(tmp_path / "part") == merged(tmp_path / "whole")


HOSTILE = "../../x\x1b[31m\n\u202e<script>alert(1)</script>"


def test_names_of_anything_make_plain_tags_and_stay_in_the_folder(tmp_path: Path) -> None:
    """Of a number, a picture and a metric; the caption is shown by no event."""

    class Shows(Hook):
        def after_train_epoch(self, run: Runner) -> None:
            run.log(HOSTILE, 1.0)
            run.show(HOSTILE, np.zeros((4, 4), np.uint8), caption=HOSTILE)

    hooks = {**BOARD, "shows": runs.hang("hooks", "shows", Shows())}
    metrics = {"one": {"type": "Accuracy"}, HOSTILE: {"type": "Accuracy", "k": 2}}
    runs.train(tmp_path / "a" / "b", hooks=hooks, metrics=metrics, train_for="1 epoch")
    files = sorted((tmp_path / "a" / "b" / "tensorboard").rglob("*tfevents*"))
    assert files == sorted(tmp_path.rglob("*tfevents*"))
    tags = {str(file.parent.relative_to(tmp_path)) for file in files}
    pictures = 0
    for file in files:
        events = EventAccumulator(str(file))
        events.Reload()
        found = events.Tags()
        pictures += len(found["images"])
        tags |= {*found["scalars"], *found["images"]}
    assert pictures == 1
    assert any("script" in tag for tag in tags)
    assert all(re.fullmatch(r"[\w ./+-]+", tag) and "\u202e" not in tag for tag in tags), tags
    for path in (tmp_path / "a" / "b" / "figures").rglob("*"):
        assert re.fullmatch(r"[\w.+-]+", path.name), path
