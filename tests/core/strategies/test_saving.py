"""Checkpoints in parts that are written beside training: of the right state, told of alike, and awaited at the end."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from pegboard import Batch, CheckpointError, Hook, Runner, shards
from pegboard import checkpoint as checkpoints
from pegboard.checkpoint import Checkpoints
from pegboard.registry import BOARDS
from tests import processes, ranks, runs

LOADER = {"dataset": {"type": "Dots", "count": 21}, "transforms": [{"type": "ToFloat"}], "batch_size": 5}
CONFIG: dict[str, Any] = {
    "train": {**LOADER, "shuffle": True},
    "val": None,
    "metrics": {},
    "optimizer": {"type": "SGD", "lr": 0.5, "momentum": 0.9},  # a step later all weights are others
    "train_for": "12 iters",
    "checkpoint": {"every": "4 iters", "keep": 9},
}
FSDP = {"type": "FSDP"}
SYNC = {"type": "FSDP", "async_save": False}
SHARDS, LISTING = (
    1000,
    3900,
)  # bytes: what no part of the tiny model fits into; and what the file that lists them does not
SEEN = threading.Event()


class Watch(Hook):
    """Lets a save that waits for ``SEEN`` go on once training is so far; notes when each is done; may end the run."""

    essential = True

    def __init__(
        self, until: int = 0, interrupt: int = 0, fail: int = 0, full: tuple[int, int, int] = (0, 0, 0)
    ) -> None:
        self.until, self.interrupt, self.fail, self.full = until, interrupt, fail, full
        self.listed: list[list[int]] = []
        self.saved: list[list[Any]] = []

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        self.listed.append([entry["iteration"] for entry in run.checkpoints.index()])
        begin, end, limit = self.full
        if run.iteration == begin:  # what was begun before is not to be refused
            while run.saving and run.saving[0] not in [entry["iteration"] for entry in run.checkpoints.index()]:
                time.sleep(0.01)
        if run.iteration in (begin, end):
            processes.limit_file_size(limit if run.iteration == begin else -1)
        if run.iteration == self.until:
            SEEN.set()
        if run.iteration == self.interrupt:
            run.interrupt()
        if run.iteration == self.fail:
            raise ValueError("this rank has had enough")

    def after_checkpoint(self, run: Runner, path: Path) -> None:
        self.saved.append([run.iteration, path.name])


def _runner(folder: Path, strategy: Any = FSDP, resume: Any = None, watch: Any = None, **changes: Any) -> Runner:
    runs.hang_up()
    BOARDS["hooks"].entries.pop("Watch", None)
    BOARDS["hooks"].register(Watch)
    hooks = {"progress": None, "watch": {"type": "Watch", **(watch or {})}}
    return runs.runner(folder, resume, **{**CONFIG, "strategy": strategy, **changes}, hooks=hooks)


def _held(write: Any, seconds: float) -> Any:
    """As on a slow disk: each save waits for what ``SEEN`` says, but no longer than this."""

    def slow(*arguments: Any) -> Any:
        SEEN.wait(seconds)
        return write(*arguments)

    return slow


def _train(folder: Path) -> None:
    """Every run of this file that comes to its end, one after the other."""
    rank = int(os.environ["RANK"])
    _runner(folder / "sync", SYNC).train()
    write, copied = shards.write, shards.copied
    shards.write = _held(write, 60)
    for name in ("async", "broken"):
        shards.copied = copied if name == "async" else lambda state, mesh: state
        SEEN.clear()
        run = _runner(folder / name, watch={"until": 7})
        run.train()
        watch: Any = run.hooks["watch"]
        (folder / f"{name}{rank}.json").write_text(json.dumps([watch.listed, watch.saved]))
    shards.copied = copied
    shards.write = _held(write, 0.5)
    SEEN.clear()
    _runner(folder / "interrupted", watch={"interrupt": 5}).train()
    shards.write = _refuses
    run = _runner(folder / "refused")
    with pytest.raises(CheckpointError, match="not the same folder"):
        run.train()
    hook: Any = run.hooks["watch"]
    assert hook.saved == [] and not run.checkpoints.index()
    shards.write = write
    _runner(folder / "resumed", resume=_at(folder / "async", 4)).train()
    for name, refused, limit, strategy in (("shards", 1, SHARDS, SYNC), ("listing", 0, LISTING, FSDP)):
        full = [4, 9, limit] if rank == refused else [0, 0, 0]
        _runner(folder / f"full {name}", strategy, watch={"full": full}).train()
    with pytest.raises(CheckpointError, match=r"iteration 12 could not be saved: .*rank 0: File too large"):
        _runner(folder / "stays full", watch={"full": [9, 99, LISTING] if rank == 0 else [0, 0, 0]}).train()


def _refuses(*arguments: Any) -> Any:
    raise CheckpointError("not the same folder")


def _at(folder: Path, iteration: int) -> dict[str, Any]:
    return checkpoints.load(folder / "checkpoints" / f"iteration_{iteration:08}.pt", whole=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saving")
    assert set(ranks.call(2, _train, folder, logs=folder)) == {0}, _logs(folder)
    return folder


def _logs(folder: Path) -> str:
    return "\n".join(file.read_text() for file in sorted(folder.glob("*.log")))


def _same(one: Path, other: Path, iteration: int) -> bool:
    """Two checkpoints, but for what says how they were written."""
    states = [runs.checkpoint(folder, iteration) for folder in (one, other)]
    for state in states:
        del state["config"], state["hooks"]["log"]
    return runs.same(*states)


def test_training_goes_on_while_a_checkpoint_is_written(trained: Path) -> None:
    """It is not listed before it is whole, and every rank is told of it in the same iteration."""
    listed, saved = json.loads((trained / "async0.json").read_text())
    assert json.loads((trained / "async1.json").read_text())[1] == saved
    assert listed[:7] == [[]] * 7
    assert saved[0][0] >= 7 and saved[0][1] == "iteration_00000004.pt"
    assert [name for _, name in saved[1:]] == [f"iteration_{n:08}.pt" for n in (8, 12, 12)]


@pytest.mark.parametrize("iteration", [4, 8, 12])
def test_what_is_saved_is_the_state_of_its_iteration(trained: Path, iteration: int) -> None:
    assert _same(trained / "sync", trained / "async", iteration)


def test_the_comparison_tells_a_later_state_apart(trained: Path) -> None:
    """Without the copy that is made first."""
    assert not _same(trained / "sync", trained / "broken", 4)


def test_a_resume_from_it_is_the_undisturbed_run(trained: Path) -> None:
    assert _same(trained / "sync", trained / "resumed", 12)
    assert runs.records(trained / "resumed") == runs.records(trained / "sync")[4:]


def test_an_interrupt_waits_for_what_is_being_written(trained: Path) -> None:
    folder = trained / "interrupted"
    assert json.loads((folder / "summary.json").read_text())["exit"] == "interrupted"
    assert [entry["iteration"] for entry in Checkpoints(folder / "checkpoints").index()] == [4, 5]
    assert _same(trained / "sync", folder, 4)


@pytest.mark.parametrize(("name", "rank"), [("shards", 1), ("listing", 0)])
def test_a_disk_that_refuses_one_rank_is_told_of_by_all(trained: Path, name: str, rank: int) -> None:
    """With the iteration that was to be saved; what could not be is tried again at a record, by all at once."""
    folder = trained / f"full {name}"
    for log in (folder / "log.txt", folder / "log_rank1.txt"):
        text = log.read_text()
        assert f"the state at iteration 4 could not be saved: [Errno 27] rank {rank}: File too large" in text, text
        assert "Traceback" not in text
    saved = [entry["iteration"] for entry in Checkpoints(folder / "checkpoints").index()]
    assert 4 not in saved and saved[-1] == 12
    assert name == "listing" or saved == [9, 12]
    assert _same(trained / "sync", folder, 12)
    assert len(list((folder / "checkpoints").iterdir())) == 1 + 2 * len(saved)  # nothing half-written stays


def test_what_fails_in_another_way_ends_the_run(trained: Path) -> None:
    """As it would if training had waited for it; no hook is told of a checkpoint then."""
    assert json.loads((trained / "refused" / "summary.json").read_text())["exit"] == "failed"


def test_a_disk_that_stays_full_fails_the_run(trained: Path) -> None:
    folder = trained / "stays full"
    assert json.loads((folder / "summary.json").read_text())["exit"] == "failed"
    assert runs.newest(folder)["iteration"] == 8 and _same(trained / "sync", folder, 8)


def _fail(folder: Path) -> None:
    """One rank raises while all are writing."""
    shards.write = _held(shards.write, 0.5)
    _runner(folder / "run", watch={"fail": 5 if os.environ["RANK"] == "1" else 0}).train()


def test_an_exception_on_one_rank_waits_for_what_is_being_written(trained: Path, tmp_path: Path) -> None:
    assert ranks.call(2, _fail, tmp_path, logs=tmp_path, seconds=60) == [1, 1]
    assert "this rank has had enough" in _logs(tmp_path)
    assert [entry["iteration"] for entry in Checkpoints(tmp_path / "run" / "checkpoints").index()] == [4]
    assert _same(trained / "sync", tmp_path / "run", 4)
