"""A rank that is killed in the middle of a save: the run goes on from a whole checkpoint, to the undisturbed bits."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from pegboard import Batch, Hook, Runner
from pegboard.checkpoint import Checkpoints
from tests import ranks, runs

LOADER = {"dataset": {"type": "Dots", "count": 21}, "transforms": [{"type": "ToFloat"}], "batch_size": 5}
CONFIG: dict[str, Any] = {
    "train": {**LOADER, "shuffle": True},
    "val": None,
    "metrics": {},
    "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9},
    "train_for": "10 iters",
    "checkpoint": {"every": "2 iters", "keep": 2},
}
BEFORE, DISTURBED = 6, 8  # iterations: where the run was ended, with two checkpoints; and the save that a kill hits
TOUCHES = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")  # of Python's own audit


class Moments(Hook):
    """From the save of an iteration on: each touch of the folder of checkpoints, before one of which the process dies.

    Args:
        at: number of that touch; none unless given.
        stop: iteration after which the run ends.
    """

    essential = True

    def __init__(self, at: int = -1, stop: int = 0) -> None:
        self.at, self.stop, self.counts = at, stop, False
        self.folder, self.touches = "", []

    def before_run(self, run: Runner) -> None:
        self.folder = str(run.checkpoints.folder)
        sync = os.fsync

        def watched(number: int) -> None:
            self.touched("fsync", Path(f"/proc/self/fd/{number}").readlink())
            sync(number)

        os.fsync = watched
        sys.addaudithook(lambda event, given: self.touched(event, given[0]) if event in TOUCHES else None)

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        if run.iteration == self.stop:
            run.stop("for the test")

    def before_checkpoint(self, run: Runner, state: dict[str, Any]) -> None:
        self.counts = run.iteration == DISTURBED

    def touched(self, event: str, path: Any) -> None:
        if self.counts and isinstance(path, str | Path) and str(path).startswith(self.folder):
            if len(self.touches) == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
            self.touches.append(f"{event} {Path(path).name}")


def _train(folder: Path, asynchronous: bool, victim: int = -1, at: int = -1, stop: int = 0) -> Moments:
    """Begin a run, or go on with it; of one rank let the process die."""
    runs.hang_up()
    watch = Moments(at if os.environ["RANK"] == str(victim) else -1, stop)
    found = Checkpoints(folder / "checkpoints")
    state = found.newest(whole=False)[1] if found.index() else None
    hooks = {"progress": None, "moments": runs.hang("hooks", "moments", watch)}
    strategy = {"type": "FSDP", "async_save": asynchronous}
    runs.runner(folder, state, **CONFIG, strategy=strategy, hooks=hooks).train()
    return watch


def _prepare(folder: Path) -> None:
    """A run that nothing disturbs, of each kind of saving, and what it touches; and the beginning of one."""
    for asynchronous in (True, False):
        touches = _train(folder / KIND[asynchronous], asynchronous).touches
        (folder / f"{KIND[asynchronous]}{os.environ['RANK']}.json").write_text(json.dumps(touches))
    _train(folder / "begun", True, stop=BEFORE)


KIND = {True: "async", False: "sync"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    assert set(ranks.call(2, _prepare, folder, logs=folder)) == {0}, _logs(folder)
    return folder


def _logs(folder: Path) -> str:
    return "\n".join(file.read_text() for file in sorted(folder.glob("*.log")))


def _touches(prepared: Path, asynchronous: bool, rank: int) -> list[str]:
    listed: list[str] = json.loads((prepared / f"{KIND[asynchronous]}{rank}.json").read_text())
    return listed


def _lies_there(folder: Path) -> set[str]:
    return {path.name for path in (folder / "checkpoints").iterdir()}


def _listed(folder: Path) -> set[str]:
    """The files of the checkpoints that count."""
    entries = Checkpoints(folder / "checkpoints").index()
    return {"index.json"} | {entry["file"] for entry in entries} | {entry["shards"] for entry in entries}


def _kill_and_go_on(prepared: Path, folder: Path, asynchronous: bool, victim: int, at: int) -> None:
    shutil.copytree(prepared / "begun", folder / "run")
    codes = ranks.call(2, _train, folder / "run", asynchronous, victim, at, logs=folder / "killed", seconds=60)
    assert codes[victim] == -signal.SIGKILL and codes[1 - victim] not in (0, -signal.SIGKILL), codes
    assert "Traceback" in _logs(folder / "killed")  # of the rank that was left alone
    saved = Checkpoints(folder / "run" / "checkpoints")
    _, state = saved.newest()
    assert state["iteration"] == saved.index()[-1]["iteration"] in (BEFORE, DISTURBED)
    assert set(ranks.call(2, _train, folder / "run", asynchronous, logs=folder / "again")) == {0}, _logs(
        folder / "again"
    )
    _compare(prepared / KIND[asynchronous], folder / "run")


def _compare(whole: Path, folder: Path) -> None:
    one, other = (runs.newest(where) for where in (whole, folder))
    for state in (one, other):
        del state["hooks"]["log"]["sizes"]["timing.jsonl"]  # its clock readings differ in length
    assert one["iteration"] == 10 and runs.same(one, other)
    assert (whole / "metrics.jsonl").read_bytes() == (folder / "metrics.jsonl").read_bytes()
    assert _lies_there(folder) == _listed(folder)


@pytest.mark.parametrize(
    ("asynchronous", "victim", "touch"),
    [(True, 1, "fsync shard"), (True, 0, "os.rename .index"), (False, 0, "os.rename iteration")],
)
def test_a_kill_in_the_middle_of_a_save_costs_nothing(
    prepared: Path, tmp_path: Path, asynchronous: bool, victim: int, touch: str
) -> None:
    touches = _touches(prepared, asynchronous, victim)
    [at] = [number for number, text in enumerate(touches) if text.startswith(touch)]
    _kill_and_go_on(prepared, tmp_path, asynchronous, victim, at)


@pytest.mark.slow
@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "sync"])
@pytest.mark.parametrize("victim", [0, 1])
def test_nor_does_one_at_any_other_moment(prepared: Path, tmp_path: Path, asynchronous: bool, victim: int) -> None:
    touches = _touches(prepared, asynchronous, victim)
    assert len(touches) >= (4 if victim else 20)
    for at, touch in enumerate(touches):
        print(f"killed at {touch}")
        _kill_and_go_on(prepared, tmp_path / str(at), asynchronous, victim, at)


def test_the_comparison_sees_what_is_left_behind(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared / "async", tmp_path / "run")
    _compare(prepared / "async", tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "iteration_00000008-5.shards").mkdir()
    with pytest.raises(AssertionError):
        _compare(prepared / "async", tmp_path / "run")
    with pytest.raises(AssertionError):
        _compare(prepared / "async", prepared / "begun")
