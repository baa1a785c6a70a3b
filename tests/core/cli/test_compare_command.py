"""``pegboard compare``: every difference of two runs, and nothing that is none."""

import json
import shutil
from pathlib import Path

import pytest

from tests import runs
from tests.core.cli.conftest import Here


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs: the second with another learning rate, and a validation set one image larger."""
    from pegboard.plugins import installed_plugins
    from pegboard.registry import BOARDS

    installed_plugins()
    folder = tmp_path_factory.mktemp("compare")
    before = {name: dict(BOARDS[name].entries) for name in ("datasets", "models")}
    runs.hang_up()
    try:
        runs.train(folder / "one")
        val = runs.values()["val"]
        val = {**val, "dataset": {**val["dataset"], "count": 13}}
        runs.train(folder / "other", optimizer={"type": "SGD", "lr": 0.2}, val=val)
    finally:
        for name, entries in before.items():
            BOARDS[name].entries = entries
    return folder / "one", folder / "other"


def test_what_differs_is_shown_and_nothing_else(two: tuple[Path, Path], here: Here) -> None:
    done = here("compare", *two)
    assert (done.returncode, done.stderr) == (0, "")
    config, data, environment, results = done.stdout.split("\n\n")
    assert [line.split() for line in config.splitlines()] == [
        ["config"], ["one", "other"], ["val.dataset.count", "12", "13"], ["optimizer.lr", "0.1", "0.2"],
    ]  # fmt: skip
    assert "data_contents.val.samples  12" in data and "data_contents.train" not in data
    assert environment == "environment: no difference"
    assert (
        "final train/loss" in results
        and "metrics.jsonl: first differ at epoch 1, iteration 1: lr is 0.1 and 0.2" in results
    )


def test_processes_that_made_them_are_no_difference(two: tuple[Path, Path], here: Here, tmp_path: Path) -> None:
    copy = shutil.copytree(two[0], tmp_path / "copy")
    environment = json.loads((copy / "environment.json").read_text())
    environment |= {"process": 1, "hooks": [*environment["hooks"], "mine"]}
    (copy / "environment.json").write_text(json.dumps(environment))
    number = len(environment["hooks"]) - 1
    assert json.loads(here("compare", two[0], copy, "--json").stdout)["environment"] == [
        [f"hooks.{number}", "-", "'mine'"]
    ]


def test_as_json(two: tuple[Path, Path], here: Here) -> None:
    found = json.loads(here("compare", *two, "--json").stdout)
    assert found["config"] == [["val.dataset.count", "12", "13"], ["optimizer.lr", "0.1", "0.2"]]
    assert found["runs"] == list(map(str, two)) and found["environment"] == []
    assert {name: one for name, one, _ in found["results"]["figures"]}["iterations"] == 6


def test_a_run_and_its_copy_do_not_differ(two: tuple[Path, Path], here: Here, tmp_path: Path) -> None:
    copy = shutil.copytree(two[0], tmp_path / "copy")
    done = here("compare", two[0], copy)
    for section in ("config", "data", "environment"):
        assert f"{section}: no difference\n" in done.stdout
    assert "metrics.jsonl: the same" in done.stdout


def test_a_run_that_was_killed_is_compared_as_far_as_it_came(
    two: tuple[Path, Path], here: Here, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(two[0], tmp_path / "copy"))
    (copy / "summary.json").unlink()
    (copy / "environment.json").unlink()
    text = (copy / "metrics.jsonl").read_text()
    (copy / "metrics.jsonl").write_text(text[: len(text) // 2])
    done = here("compare", two[0], copy)
    assert done.returncode == 0 and "metrics.jsonl: the second run ends before epoch" in done.stdout


def test_values_that_would_steer_a_terminal_are_written_out(two: tuple[Path, Path], here: Here, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(two[0], tmp_path / "\x1b[31m\u202ered"))
    values = json.loads((copy / "environment.json").read_text())
    values["versions"]["torch"] = "\x1b]0;title\x07" + "x" * 500
    (copy / "environment.json").write_text(json.dumps(values))
    done = here("compare", two[0], copy)
    assert done.returncode == 0 and "\\x1b]0;title" in done.stdout and "\\x1b[31m" in done.stdout
    assert done.stdout.replace("\n", "").isprintable()
    assert max(map(len, done.stdout.splitlines())) < 200
