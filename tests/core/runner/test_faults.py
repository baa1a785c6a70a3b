"""What may go wrong around a run: each has an outcome and a message, and nothing is lost."""

import json
import os
import shutil
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from pegboard import Batch, DataError, Hook, PegboardError, Runner
from pegboard.checkpoint import Checkpoints
from pegboard.config import to_python
from tests import matrix, probes, processes, runs


@pytest.fixture(autouse=True)
def _parts(_tiny_parts: None) -> None:
    matrix.hang_up()


def write_config(folder: Path, **changes: Any) -> str:
    hooks = {"progress": None, **changes.pop("hooks", {})}
    path = folder / "job.py"
    path.write_text(to_python(runs.values(**changes, hooks=hooks)))
    return str(path)


def train(folder: Path, *more: str, **changes: Any) -> tuple[int, str]:
    """Exit status and output of ``pegboard train``, in a new process."""
    (folder / "log").unlink(missing_ok=True)
    arguments = ("train", write_config(folder, **changes), "--work-dir", str(folder / "run"), *more)
    status = processes.call(matrix.command, *arguments, log=folder / "log")
    return status, (folder / "log").read_text()


# -- the disk --------------------------------------------------------------------------------------------------------

OFTEN = {"every": "1 iters", "keep": 2}
BOARD = {"tensorboard": {"type": "TensorBoard"}}


CHECKPOINTS, ALL = 5000, 600  # bytes: what no checkpoint fits into; nor the lines of metrics.jsonl, nor events


def full(begin: int, end: int, limit: int) -> dict[str, Any]:
    return {"fills": {"type": "FillsDisk", "begin": begin, "end": end, "limit": limit}}


def test_a_disk_too_full_for_checkpoints_for_a_while(tmp_path: Path) -> None:
    """Said loudly; the older checkpoint stays; training goes on; what could not be saved is saved later."""
    whole = runs.train(tmp_path / "whole", train_for="4 epochs")
    status, log = train(tmp_path, train_for="4 epochs", checkpoint=OFTEN, hooks=full(5, 9, CHECKPOINTS))
    assert status == 0, log
    for iteration in (5, 6, 7, 8):
        assert f"error: the state at iteration {iteration} could not be saved: [Errno 27] File too large" in log
    assert "Traceback" not in log
    assert runs.same(runs.newest(tmp_path / "run")["model"], whole.model.state_dict())
    assert sorted(path.suffix for path in (tmp_path / "run" / "checkpoints").iterdir()) == [".json", ".pt", ".pt"]


def test_a_save_that_failed_is_tried_again_at_the_next_record(tmp_path: Path) -> None:
    """Not only when the next checkpoint is due, which may be hours later."""
    rare = {"every": "5 iters", "keep": 9}
    status, log = train(tmp_path, train_for="3 epochs", checkpoint=rare, hooks=full(5, 7, CHECKPOINTS))
    assert status == 0, log
    assert log.count("could not be saved") == 2
    saved = [entry["iteration"] for entry in Checkpoints(tmp_path / "run" / "checkpoints").index()]
    assert saved == [7, 9]


def test_a_disk_too_full_for_anything_for_a_while(tmp_path: Path) -> None:
    """Lines of metrics.jsonl wait; TensorBoard's thread ends without the run waiting for it for ever."""
    runs.train(tmp_path / "whole", train_for="20 epochs")
    config = write_config(tmp_path, train_for="20 epochs", checkpoint=OFTEN, hooks=full(5, 40, ALL) | BOARD)
    assert processes.call(matrix.command, "train", config, "--work-dir", str(tmp_path / "run")) == 0
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    assert runs.newest(tmp_path / "run")["iteration"] == 60


@pytest.mark.parametrize("limit", [CHECKPOINTS, ALL])
def test_a_disk_that_stays_full(tmp_path: Path, limit: int) -> None:
    """The run goes to its end and fails there; the checkpoint before is whole, and a resume ends the run."""
    config = write_config(tmp_path, train_for="4 epochs", checkpoint=OFTEN, hooks=full(5, 99, limit) | BOARD)
    assert processes.call(matrix.command, "train", config, "--work-dir", str(tmp_path / "run")) == 2
    assert runs.newest(tmp_path / "run")["iteration"] == 4
    status, log = train(tmp_path, "--resume", train_for="4 epochs", checkpoint=OFTEN)
    assert status == 0, log
    whole = runs.train(tmp_path / "whole", train_for="4 epochs")
    assert runs.same(runs.newest(tmp_path / "run")["model"], whole.model.state_dict())
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize("place", ["a_file", "a_file/run", "/proc/run"])
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "a_file").write_text("taken")
    with pytest.raises(
        PegboardError, match=r"a_file is no folder|cannot be written to .*(Not a directory|No such file)"
    ):
        runs.train(tmp_path / place)
    assert (tmp_path / "a_file").read_text() == "taken"


class Removes(Hook):
    """Removes something of the run folder after some iterations."""

    def __init__(self, what: str, *iterations: int) -> None:
        self.what, self.iterations = what, iterations

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        if run.iteration in self.iterations:
            place = run.folder / self.what
            shutil.rmtree(place) if place.is_dir() else place.unlink()


def test_a_tensorboard_folder_that_vanishes_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said, and what is logged after the next checkpoint is there again."""
    hooks = {**BOARD, "removes": runs.hang("hooks", "removes", Removes("tensorboard", 5))}
    run = runs.train(tmp_path, hooks=hooks, train_for="4 epochs", checkpoint=OFTEN)
    assert run.summary["exit"] == "finished"
    assert [record["iteration"] for record in runs.records(tmp_path) if "lr" in record] == list(range(1, 13))
    said = [line for line in probes.warned(caplog) if "was removed while the run wrote to it" in line]
    assert said and all("tfevents" in line and "in metrics.jsonl" in line for line in said)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(6, 13))


@pytest.mark.parametrize("iterations", [(5,), (5, 12), tuple(range(1, 13))], ids=["one", "the last too", "always"])
def test_records_that_somebody_removes_are_written_again(
    tmp_path: Path, iterations: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    runs.train(tmp_path / "whole", train_for="4 epochs")
    assert "was removed" not in caplog.text
    hooks = {"removes": runs.hang("hooks", "removes", Removes("metrics.jsonl", *iterations))}
    runs.train(tmp_path / "run", train_for="4 epochs", hooks=hooks)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    assert caplog.text.count("metrics.jsonl was removed while the run wrote to it") == len(iterations)


def test_records_that_cannot_be_written_again_fail_the_run(tmp_path: Path) -> None:
    """What somebody removed, and put a folder in its place."""

    class Replaces(Removes):
        def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
            if run.iteration == 2:
                super().after_train_iter(run, batch, loss, outputs)
                (run.folder / "metrics.jsonl").mkdir()

    hooks = {"removes": runs.hang("hooks", "removes", Replaces("metrics.jsonl", 2))}
    with pytest.raises(PegboardError, match="the last lines of .*metrics.jsonl could not be written"):
        runs.train(tmp_path, hooks=hooks)


# -- the hooks that hold a state ---------------------------------------------------------------------------------------

HOOKS = {
    "ema": {"type": "EMA", "decay": 0.9},
    "best": {"type": "BestCheckpoint", "metric": "val/loss", "better": "lower"},
    "grad": {"type": "GradientStats", "every": "2 iters"},
    "dog": {"type": "Watchdog"},
}


def same_ends(one: Path, other: Path) -> None:
    """Weights, averages, the best so far and every figure."""
    ends = [runs.newest(folder) for folder in (one, other)]
    for name in ("model", "optimizer", "best"):
        assert runs.same(ends[0][name], ends[1][name]), name
    for name in ("ema", "best", "grad"):
        assert runs.same(ends[0]["hooks"][name], ends[1]["hooks"][name]), name
    assert (one / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()
    best = [matrix.contents(folder / "checkpoints" / "best.pt") for folder in (one, other)]
    assert runs.same(best[0]["model"], best[1]["model"])


def test_hooks_with_a_state_outlive_a_full_disk(tmp_path: Path) -> None:
    runs.train(tmp_path / "whole", train_for="4 epochs", hooks=HOOKS)
    status, log = train(tmp_path, train_for="4 epochs", checkpoint=OFTEN, hooks=HOOKS | full(5, 8, CHECKPOINTS))
    assert status == 0, log
    same_ends(tmp_path / "run", tmp_path / "whole")
    assert "Timeout" not in (tmp_path / "run" / "log.txt").read_text()


@pytest.mark.parametrize(
    ("workers", "how", "message", "iterations"),
    [(0, "raises", "it is broken", [4, 8]), (2, "dies", "train: a worker process died", [4])],
)
def test_hooks_with_a_state_outlive_data_that_fails(
    tmp_path: Path, workers: int, how: str, message: str, iterations: list[int]
) -> None:
    """In an epoch, and then again after the resume; the timer of the watchdog is off each time."""
    broken = {"type": "Breaks", "trigger": str(tmp_path / "trigger"), "how": how}
    data = {**runs.values()["train"], "dataset": broken, "mode": "workers", "workers": workers}
    config: dict[str, Any] = {"train": data, "train_for": "4 epochs"}
    runs.train(tmp_path / "whole", **config, hooks=HOOKS)
    state = None
    for iteration in iterations:
        (tmp_path / "trigger").unlink(missing_ok=True)
        hooks = HOOKS | {"triggers": runs.hang("hooks", "triggers", Triggers(tmp_path / "trigger", iteration))}
        with pytest.raises(DataError if how == "dies" else ValueError, match=message):
            runs.runner(tmp_path / "run", state, **config, hooks=hooks).train()
        state = runs.newest(tmp_path / "run")
        assert "Timeout" not in (tmp_path / "run" / "log.txt").read_text()
    (tmp_path / "trigger").unlink()
    runs.runner(tmp_path / "run", state, **config, hooks=HOOKS).train()
    same_ends(tmp_path / "run", tmp_path / "whole")


# -- the data --------------------------------------------------------------------------------------------------------


class Triggers(Hook):
    """Lets the dataset break from an iteration on."""

    def __init__(self, file: Path, iteration: int = 4) -> None:
        self.file, self.iteration = file, iteration

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        if run.iteration == self.iteration:
            self.file.touch()


@pytest.mark.parametrize(
    ("workers", "how", "error", "message"),
    [
        (0, "raises", ValueError, "it is broken"),
        (2, "raises", ValueError, "it is broken"),
        (0, "no file", DataError, "sample 5 of Breaks cannot be read: it is broken"),
        (2, "no file", DataError, "^sample 5 of Breaks cannot be read: it is broken$"),
        (2, "dies", DataError, "train: a worker process died"),
    ],
)
def test_data_that_fails_in_mid_run_costs_no_iteration(
    tmp_path: Path, workers: int, how: str, error: type[Exception], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The state after the last whole iteration is saved, and the run resumed from it is the one without trouble."""
    broken = {"type": "Breaks", "trigger": str(tmp_path / "trigger"), "how": how}
    data = {**runs.values()["train"], "dataset": broken, "mode": "workers", "workers": workers}
    whole = runs.train(tmp_path / "whole", train=data, train_for="4 epochs")

    hooks = {"triggers": runs.hang("hooks", "triggers", Triggers(tmp_path / "trigger"))}
    with pytest.raises(error, match=message):
        runs.train(tmp_path / "run", train=data, train_for="4 epochs", hooks=hooks, checkpoint={"every": "99 epochs"})
    state = runs.newest(tmp_path / "run")
    assert state["iteration"] >= 4
    assert f"the data failed after iteration {state['iteration']}; --resume goes on from there" in caplog.text
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["exit"], summary["iterations"]) == ("failed", state["iteration"])

    (tmp_path / "trigger").unlink()
    run = runs.runner(tmp_path / "run", state, train=data, train_for="4 epochs")
    run.train()
    assert runs.same(run.model.state_dict(), whole.model.state_dict())
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried"), MemoryError(), None])
def test_out_of_memory_is_one_sentence_with_a_way_out(tmp_path: Path, error: Exception | None) -> None:
    class Hungry(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3 * 8 * 8, 4)
            self.calls = 0

        def forward(self, images: Tensor) -> Tensor:
            self.calls += 1
            if self.calls > 5:
                if error is None:
                    torch.empty(2**58)  # what the CPU's allocator really says
                else:
                    raise error
            logits: Tensor = self.fc(images.flatten(1))
            return logits

    with pytest.raises(
        PegboardError, match=r"out of memory at iteration \d with batch_size=8: accumulate=2 takes"
    ) as raised:
        runs.train(tmp_path, model=runs.hang("models", "hungry", Hungry()), checkpoint=OFTEN)
    assert "\n" not in str(raised.value)
    assert json.loads((tmp_path / "summary.json").read_text())["exit"] == "failed"
    assert runs.newest(tmp_path)["iteration"] >= 1


# -- two runs in one folder -------------------------------------------------------------------------------------------


def slow(folder: Path, **changes: Any) -> dict[str, Any]:
    watches = {"type": "Watches", "order": str(folder / "order"), "slow": 0.05}
    return {"train_for": "400 epochs", "checkpoint": OFTEN, "hooks": {"watches": watches}, **changes}


def begin(folder: Path, **changes: Any) -> BaseProcess:
    """A run in a process of its own, awaited until it has a checkpoint."""
    (folder / "first").mkdir()
    config = write_config(folder / "first", **slow(folder, **changes))
    arguments = ("train", config, "--work-dir", str(folder / "run"))
    process = processes.start(matrix.command, *arguments, log=folder / "first" / "log")
    index, end = folder / "run" / "checkpoints" / "index.json", time.monotonic() + 180
    while not index.exists() and process.exitcode is None and time.monotonic() < end:
        time.sleep(0.01)
    assert index.exists(), (folder / "first" / "log").read_text()
    return process


def test_a_folder_in_which_a_run_goes_on_is_refused_and_free_once_it_is_killed(tmp_path: Path) -> None:
    """Though its worker processes may live on for some seconds."""
    workers = {**runs.values()["train"], "mode": "workers", "workers": 2}
    process = begin(tmp_path, train=workers)
    for more in ((), ("--resume",)):
        status, log = train(tmp_path, *more, **slow(tmp_path, train=workers))
        assert status == 2
        [line] = [line for line in log.splitlines() if "run is used by a run that still goes on" in line]
        assert f"(process {process.pid}); wait for its end, or take another --work-dir" in line
        assert "Traceback" not in log
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    state = runs.newest(tmp_path / "run")
    short = f"{state['iteration'] + 3} iters"
    status, log = train(tmp_path, "--resume", **slow(tmp_path, train=workers, train_for=short))
    assert status == 0, log


def test_of_two_runs_that_are_started_at_once_one_gets_the_folder(tmp_path: Path) -> None:
    config = write_config(tmp_path, **slow(tmp_path, train_for="4 epochs"))
    arguments = ("train", config, "--work-dir", str(tmp_path / "run"))
    logs = [tmp_path / "log_0", tmp_path / "log_1"]
    both = [processes.start(matrix.command, *arguments, log=log) for log in logs]
    for process in both:
        process.join(180)
    assert sorted(process.exitcode or 0 for process in both) == [0, 2]
    loser = logs[[process.exitcode for process in both].index(2)].read_text()
    assert "is used by a run that still goes on" in loser or "holds a run already" in loser
    whole = runs.train(tmp_path / "whole", train_for="4 epochs")
    assert runs.same(runs.newest(tmp_path / "run")["model"], whole.model.state_dict())
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


def test_a_run_that_failed_to_start_leaves_the_folder_free(tmp_path: Path) -> None:
    with pytest.raises(PegboardError, match="gives no batch"):
        runs.train(tmp_path, train={**runs.values()["train"], "batch_size": 100, "drop_last": True})
    runs.train(tmp_path)
    stopped = {"stops": runs.hang("hooks", "stops", probes.StopsAt(2))}
    runs.runner(tmp_path, runs.newest(tmp_path), hooks=stopped).train()
