"""The benchmark runs and writes what it promises; its figures are read on a quiet machine, not here."""

import json
from pathlib import Path
from typing import Any


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
