"""``deterministic=True``: the same bits twice; the default on the CPU."""

import json
from pathlib import Path

import pytest
import torch

from tests import runs


@pytest.fixture(autouse=True)
def _boards_and_flag(boards: None) -> None:
    runs.hang_up()


@pytest.mark.parametrize("deterministic", [True, None])
def test_two_runs_are_the_same_to_the_bit(tmp_path: Path, deterministic: bool | None) -> None:
    model = {"type": "Tiny", "dropout": 0.3}
    one, other = (runs.train(tmp_path / name, deterministic=deterministic, model=model) for name in "ab")
    assert runs.same(one.model.state_dict(), other.model.state_dict())
    assert (one.folder / "metrics.jsonl").read_bytes() == (other.folder / "metrics.jsonl").read_bytes()
    other_seed = runs.train(tmp_path / "c", seed=1)
    assert not runs.same(one.model.state_dict(), other_seed.model.state_dict()), "the comparison sees nothing"


@pytest.mark.parametrize(("asked", "expected"), [(None, True), (True, True), (False, False)])
def test_the_cpu_is_deterministic_unless_told_otherwise(tmp_path: Path, asked: bool | None, expected: bool) -> None:
    run = runs.train(tmp_path, deterministic=asked, train_for="1 iter")
    assert torch.are_deterministic_algorithms_enabled() is expected
    assert json.loads((run.folder / "environment.json").read_text())["deterministic"] is expected
