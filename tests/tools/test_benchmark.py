"""The benchmark runs and writes what it promises; its figures are read on a quiet machine, not here."""

import json
import subprocess
from pathlib import Path


def benchmark(python: str, repository: Path, out: Path, *arguments: str) -> dict[str, object]:
    command = [python, str(repository / "tools" / "benchmark.py"), *arguments, "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(out.read_text())
    return result


def test_train(python: str, repository: Path, tmp_path: Path) -> None:
    few = ["--rounds", "2", "--iterations", "3", "--images", "200", "--batch-size", "16"]
    result = benchmark(python, repository, tmp_path / "f.json", "train", "--only", "runner", "bare", *few)
    speeds, ratios = result["images_per_second"], result["ratios"]
    assert isinstance(speeds, dict) and list(speeds) == ["runner", "bare"] and min(speeds.values()) > 0
    assert isinstance(ratios, dict) and list(ratios) == ["bare"]


def test_overhead(python: str, repository: Path, tmp_path: Path) -> None:
    result = benchmark(python, repository, tmp_path / "f.json", "overhead", "--rounds", "1", "--iterations", "200")
    assert result.keys() >= {"overhead_us", "first_iteration_s", "first_iteration_torch_alone_s", "calls"}
    assert isinstance(result["calls"], int) and 0 < result["calls"] <= 60
