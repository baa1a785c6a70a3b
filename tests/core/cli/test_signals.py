"""Ctrl-C, SIGTERM and SIGUSR1: the state is saved within an iteration, the workers go too, the status says which."""

import json
import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from pegboard.config import to_python
from tests import matrix, processes, runs

WORKERS = {**runs.values()["train"], "mode": "workers", "workers": 2}
SECONDS = 180.0


def write_config(folder: Path, slow: float, train_for: str = "400 epochs", **changes: Any) -> Path:
    watches = {"type": "Watches", "order": str(folder / "order.jsonl"), "slow": slow}
    hooks = {"watches": watches, "progress": None}
    path = folder / "job.py"
    path.write_text(to_python(runs.values(train_for=train_for, hooks=hooks, **changes)))
    return path


def begin(config: Path, *more: str) -> BaseProcess:
    """``pegboard train``, awaited until it has trained for some iterations."""
    arguments = ("train", str(config), "--work-dir", str(config.parent / "run"), *more)
    process = processes.start(matrix.command, *arguments, log=config.parent / "log")
    wait_for(lambda: iterations(config.parent) >= 2 or process.exitcode is not None)
    assert process.exitcode is None, (config.parent / "log").read_text()
    return process


def wait_for(condition: Any) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.005)


def iterations(folder: Path) -> int:
    path = folder / "order.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def children(process: BaseProcess) -> list[int]:
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs Linux to list the worker processes")
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if stat(int(path.name))[1:2] == [str(process.pid)]]


def stat(number: int) -> list[str]:
    """State, parent, ... of a process; empty if there is none."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def alive(number: int) -> bool:
    return stat(number)[:1] not in ([], ["Z"])


def assert_no_orphan(numbers: list[int]) -> None:
    wait_for(lambda: not any(map(alive, numbers)))


@pytest.mark.parametrize("whole_job", [False, True], ids=["the process", "its workers too"])
@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM"), (signal.SIGUSR1, 0, "SIGUSR1")],
)
def test_the_state_is_saved_and_the_workers_go(
    tmp_path: Path, number: signal.Signals, status: int, reason: str, whole_job: bool
) -> None:
    process = begin(write_config(tmp_path, slow=0.05, train=WORKERS))
    workers = children(process)
    assert len(workers) >= 2
    at = iterations(tmp_path)
    for pid in [process.pid or 0, *(workers if whole_job else [])]:
        os.kill(pid, number)
    process.join(SECONDS)
    log = (tmp_path / "log").read_text()
    assert process.exitcode == status, log
    assert "Traceback" not in log
    assert f"{reason}: the state is saved after this iteration; Ctrl-C ends the run at once" in log
    assert_no_orphan(workers)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["exit"], summary["stop_reason"]) == ("interrupted", f"interrupted by {reason}")
    assert at <= summary["iterations"] <= at + 2  # one may have ended while the signal was on its way
    assert runs.newest(tmp_path / "run")["iteration"] == summary["iterations"]


def test_a_resume_without_a_path_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    config = write_config(tmp_path, slow=0.05, train_for="8 epochs")
    arguments = ("train", str(config), "--work-dir", str(tmp_path / "whole"))
    assert processes.call(matrix.command, *arguments, log=tmp_path / "log") == 0
    (tmp_path / "order.jsonl").rename(tmp_path / "whole_order")
    process = begin(config)
    os.kill(process.pid or 0, signal.SIGTERM)
    process.join(SECONDS)
    assert process.exitcode == 143
    arguments = ("train", str(config), "--work-dir", str(tmp_path / "run"), "--resume")
    assert processes.call(matrix.command, *arguments, log=tmp_path / "log") == 0, (tmp_path / "log").read_text()
    assert matrix.differences(matrix.result(tmp_path / "run"), matrix.result(tmp_path / "whole")) == []
    assert (tmp_path / "order.jsonl").read_text() == (tmp_path / "whole_order").read_text()


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    process = begin(write_config(tmp_path, slow=1.0, train=WORKERS, checkpoint={"every": "1 iters"}))
    workers, began = children(process), time.monotonic()
    os.kill(process.pid or 0, signal.SIGINT)
    wait_for(lambda: "Ctrl-C ends the run at once" in (tmp_path / "log").read_text())
    os.kill(process.pid or 0, signal.SIGINT)
    process.join(SECONDS)
    assert process.exitcode == 130, (tmp_path / "log").read_text()
    assert "ended at once; --resume goes on from the last checkpoint" in (tmp_path / "log").read_text()
    assert time.monotonic() - began < 5
    assert_no_orphan(workers)
    assert runs.newest(tmp_path / "run")["iteration"] >= 1
