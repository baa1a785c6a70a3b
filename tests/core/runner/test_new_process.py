"""Stopped, interrupted or killed, and resumed in a new process: bit for bit the run that was never interrupted."""

import random
from pathlib import Path
from typing import Any

import pytest

from pegboard.checkpoint import Checkpoints, load
from tests import matrix, processes

slow = pytest.mark.slow
NAMES = [name if name in matrix.DEFAULT else pytest.param(name, marks=slow) for name in matrix.RUNS]


def whole(folder: Path, name: str, **changes: Any) -> dict[str, Any]:
    assert processes.call(matrix.train, folder, name, {}, changes, log=folder.parent / "log") == 0
    return matrix.result(folder)


def assert_resumes(base: Path, name: str, stops: list[dict[str, int]], expected: dict[str, Any]) -> None:
    """Stop a run at each of these, each time resumed in a new process; then let it end."""
    folder = base / "part"
    for stop in [*stops, {}]:
        status = processes.call(matrix.train, folder, name, stop, {}, log=base / "log")
        assert status == 0, (base / "log").read_text()
    assert matrix.differences(matrix.result(folder), expected) == [], f"{name}, stopped at {stops}"
    assert matrix.order(folder) == matrix.order(base / "whole"), "other samples, or in another order"


@pytest.mark.parametrize("name", NAMES)
def test_stopped_and_resumed_in_a_new_process(tmp_path: Path, name: str) -> None:
    """In mid-epoch, then in the next validation, then at a random iteration after that."""
    expected = whole(tmp_path / "whole", name)
    draw = random.Random(name)
    first, last = draw.choice([1, 2]), draw.randrange(7, expected["iteration"])
    assert_resumes(tmp_path, name, [{"iteration": first}, {"validation": 1}, {"iteration": last}], expected)


@slow
@pytest.mark.parametrize("name", matrix.RUNS)
def test_stopped_at_every_iteration_and_in_every_validation(tmp_path: Path, name: str) -> None:
    expected = whole(tmp_path / "whole", name)
    stops: list[dict[str, int]] = [{"iteration": number} for number in range(1, expected["iteration"])]
    stops += [{"validation": number} for number in (1, 2, 3)]
    for number, stop in enumerate(stops):
        base = tmp_path / str(number)
        base.mkdir()
        (base / "whole").symlink_to(tmp_path / "whole")
        assert_resumes(base, name, [stop], expected)


# -- killed ----------------------------------------------------------------------------------------------------------

KILLED = {"hooks": {"best": {"type": "BestCheckpoint", "metric": "val/loss", "better": "lower"}}}
OFTEN = {"every": "2 iters", "keep": 2}


def test_killed_ten_times(tmp_path: Path) -> None:
    survive(tmp_path, kills=10, seed=1)


@slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_killed_forty_times(tmp_path: Path, seed: int) -> None:
    survive(tmp_path, kills=40, seed=seed)


def survive(base: Path, kills: int, seed: int) -> None:
    """Kill a run again and again; whenever it has come to its end, begin another."""
    changes = {**KILLED, "checkpoint": OFTEN, "train_for": "12 epochs"}
    expected = whole(base / "whole", "dropout and batch norm", **changes)
    draw = random.Random(seed)
    killed = ended = 0
    while killed < kills:
        folder, reached = base / f"run_{ended}", -1
        while True:
            process = processes.start(
                matrix.train, folder, "dropout and batch norm", {"slow": 0.01}, changes, log=base / "log"
            )
            process.join(draw.uniform(0.05, 0.6) if killed < kills else 60)
            if process.exitcode is None:
                process.kill()
                process.join()
                killed += 1
            else:
                assert process.exitcode == 0, (base / "log").read_text()
            reached = look_after_a_kill(folder, reached)
            if process.exitcode == 0:
                break
        ended += 1
        assert matrix.differences(matrix.result(folder), expected) == [], f"after {killed} kills"
        left = [path.name for path in (folder / "checkpoints").iterdir()]
        assert sorted(left) == ["best.pt", "index.json", "iteration_00000034.pt", "iteration_00000036.pt"]
    assert killed == kills


def look_after_a_kill(folder: Path, reached: int) -> int:
    """The iteration of the newest checkpoint, which is never older than it was before, and like every file whole."""
    checkpoints = Checkpoints(folder / "checkpoints")
    for path in checkpoints.folder.glob("*.pt"):
        load(path)
    entries = checkpoints.index()
    if not entries:
        assert reached == -1, "a finished checkpoint was lost"
        return -1
    assert all((checkpoints.folder / entry["file"]).is_file() for entry in entries)
    iteration: int = checkpoints.newest()[1]["iteration"]
    assert iteration == entries[-1]["iteration"] >= reached
    return iteration
