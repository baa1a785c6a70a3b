"""What launchers say of a run's processes, and how a batch is shared among them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from pegboard import Config, PegboardError
from pegboard.config import batch_size, check
from pegboard.data.batch import Batch
from pegboard.data.share import Share
from pegboard.distributed import Place, launch, place, tell_launcher, threads, timeout
from tests import runs

TORCHRUN = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "7",
}  # fmt: skip
SLURM = {
    "SLURM_PROCID": "2",
    "SLURM_STEP_NUM_TASKS": "3",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "1",
    "SLURM_STEP_TASKS_PER_NODE": "2,1",
    "SLURM_STEP_NODELIST": "gpu[03-05,9],cpu1",
    "SLURM_JOB_ID": "41234",
}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        (TORCHRUN, Place(3, 4, 1, 2, "a", 7)),
        ({"RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "7"}, Place(1, 2, 1, 2, "127.0.0.1", 7)),
        (SLURM, Place(2, 3, 0, 1, "gpu03", 21234)),
        ({**SLURM, "SLURM_STEP_TASKS_PER_NODE": "2(x2)"}, Place(2, 3, 0, 2, "gpu03", 21234)),
        ({**SLURM, "SLURM_STEP_NODELIST": "n1,n2"}, Place(2, 3, 0, 1, "n1", 21234)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, None),  # the batch script itself, not one of its steps
    ],
)
def test_place(environ: Mapping[str, str], expected: Place | None) -> None:
    assert place(environ) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"RANK": "4"}, "RANK is 4; expected 0 to 3"),
        ({"RANK": "x"}, "RANK is 'x'; expected a number"),
        ({"MASTER_PORT": None}, "MASTER_PORT is not set"),
        ({"WORLD_SIZE": None}, "WORLD_SIZE is not set"),
    ],
)
def test_a_launcher_that_says_it_by_halves(changes: Mapping[str, str | None], message: str) -> None:
    environ = {name: value for name, value in {**TORCHRUN, **changes}.items() if value is not None}
    with pytest.raises(PegboardError, match=message):
        place(environ)


def test_a_torchrun_is_known_by_the_folder_that_it_makes() -> None:
    def of(file: str) -> str | None:
        return launch({"TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_ERROR_FILE": file})

    assert launch({}) is None
    first = of("/tmp/torchelastic_a1/none_b2/attempt_0/0/error.json")
    assert first == "torchelastic_a1/none_b2" == of("/tmp/torchelastic_a1/none_b2/attempt_1/1/error.json")
    assert first != of("/tmp/torchelastic_a1/none_c3/attempt_0/0/error.json")
    assert str(os.getppid()) in str(of(""))  # torchrun --log-dir /dev/null


def test_torchrun_is_told_what_to_name(tmp_path: Path) -> None:
    file = tmp_path / "error.json"
    tell_launcher(RuntimeError("too much"), {"TORCHELASTIC_ERROR_FILE": str(file)})
    assert json.loads(file.read_text())["message"] == "RuntimeError: too much"
    tell_launcher(RuntimeError("too much"), {"TORCHELASTIC_ERROR_FILE": ""})
    tell_launcher(RuntimeError("too much"), {"TORCHELASTIC_ERROR_FILE": str(tmp_path / "gone" / "error.json")})


def test_threads() -> None:
    here = Place(0, 2, 0, 10_000, "a", 1)
    assert threads(here, {}) == threads(here, {"OMP_NUM_THREADS": "1"}) == 1
    assert threads(here, {"OMP_NUM_THREADS": "3"}) is None


def test_how_long_a_rank_waits() -> None:
    assert timeout({}).total_seconds() == 1800
    assert timeout({"PEGBOARD_TIMEOUT": "10"}).total_seconds() == 10
    for wrong, said in [("0", "expected at least 1 second"), ("soon", "expected a number")]:
        with pytest.raises(PegboardError, match=said):
            timeout({"PEGBOARD_TIMEOUT": wrong})


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_shares_are_the_batch(world: int) -> None:
    for size in range(1, 20):
        shares = [Share(rank, world) for rank in range(world)]
        counts = shares[0].counts(size)
        assert sum(counts) == size and max(counts) - min(counts) <= 1
        spans = [share.span(100, 100 + size) for share in shares]
        assert spans[0][0] == 100  # the first rank always has some: buffers are its own
        assert [b - a for a, b in spans] == [count or size for count in counts]
        mine = [np.arange(*span) for span, count in zip(spans, counts, strict=True) if count]
        assert np.concatenate(mine).tolist() == list(range(100, 100 + size))


def test_places_of_several_batches() -> None:
    places, sizes = Share(1, 2).places(0, 11, 5)
    assert places.tolist() == [3, 4, 8, 9, 10]  # the last batch is sample 10 alone: borrowed
    assert sizes == [2, 2, 1]
    batch = Batch(torch.arange(5), torch.arange(5), torch.arange(5))
    assert Share(1, 2).of(batch).inputs.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("value", "ranks", "expected"), [(128, 4, 128), ("128 per rank", 4, 512), ("8 per rank", 1, 8)]
)
def test_batch_size(value: int | str, ranks: int, expected: int) -> None:
    assert batch_size.misfit(value) == ""
    assert batch_size.samples(value, ranks) == expected


@pytest.mark.parametrize("value", [0, True, 1.5, "128", "128 per gpu", "0 per rank"])
def test_a_batch_size_that_is_none(value: object, boards: None) -> None:
    runs.hang_up()
    values = runs.values()
    values["train"]["batch_size"] = value
    (problem,) = check(Config.from_values(values))
    assert problem.path == "train.batch_size"
    assert "must be" in problem.message
