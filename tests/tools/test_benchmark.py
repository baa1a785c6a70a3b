"""The benchmark runs and writes what it promises; its figures are read on a quiet machine, not here."""

import json
from pathlib import Path
from typing import Any

import pytest


def benchmark(python: Any, repository: Path, out: Path, *arguments: str) -> dict[str, object]:
    done = python(repository / "tools" / "benchmark.py", *arguments, "--json", out)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(out.read_text())
    return result


def test_train(python: Any, repository: Path, tmp_path: Path) -> None:
    few = ["--rounds", "2", "--iterations", "3", "--images", "200", "--batch-size", "16"]
    result = benchmark(python, repository, tmp_path / "f.json", "train", "--only", "runner", "bare", *few)
    speeds, ratios = result["images_per_second"], result["ratios"]
    assert isinstance(speeds, dict) and list(speeds) == ["runner", "bare"] and min(speeds.values()) > 0
    assert isinstance(ratios, dict) and list(ratios) == ["bare"]


def test_overhead(python: Any, repository: Path, tmp_path: Path) -> None:
    result = benchmark(python, repository, tmp_path / "f.json", "overhead", "--rounds", "1", "--iterations", "200")
    assert result.keys() >= {"overhead_us", "first_iteration_s", "first_iteration_torch_alone_s", "calls"}
    assert isinstance(result["calls"], int) and 0 < result["calls"] <= 60


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_start(python: Any, repository: Path, tmp_path: Path, method: str) -> None:
    """What ranks and workers hold does not grow with the index, beside the order of an epoch: 8 bytes a sample."""
    few = ["--samples", "500000", "--ranks", "1", "2", "--start-method", method]
    result = benchmark(python, repository, tmp_path / "f.json", "start", *few)
    rows: Any = result["rows"]
    held = {(row["samples"], row["ranks"], row["start"]): (row["rank"], row["worker"]) for row in rows}
    assert len(held) == 8
    for (samples, ranks, start), (rank, worker) in held.items():
        before = held[1000, ranks, start]
        assert samples == 1000 or (rank - before[0] < 14 and worker - before[1] < 14)  # MiB; the index is 20 and more
