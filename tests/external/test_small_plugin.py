"""A stranger's package, built and installed as strangers do: its parts train by name, and this tree is not touched."""

import json
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Command
from tests.external.strangers import installed

CONFIG = """
train = dict(
    dataset=dict(type="DrawnShapes", count=64),
    transforms=[dict(type="Darken", most=0.3), dict(type="ToFloat"), dict(type="Normalize")],
    batch_size=16,
)
val = dict(
    dataset=dict(type="DrawnShapes", count=32, split="val"),
    transforms=[dict(type="ToFloat"), dict(type="Normalize")],
    batch_size=32,
)
model = dict(type="SmallNet", cells=8)
loss = dict(type="CrossEntropyLoss")
metrics = dict(top1=dict(type="Accuracy"))
optimizer = dict(type="SGD", lr=0.1)
hooks = dict(count=dict(type="CountSteps", file="steps.txt"), tensorboard=None)
train_for = "1 epoch"
threads = 1
"""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed("small_plugin", tmp_path_factory.mktemp("small_plugin"))


def test_it_is_listed_with_its_version(prefix: Path, pegboard_cli: Command) -> None:
    listed = pegboard_cli("plugins", path=[prefix]).stdout
    [line] = [line for line in listed.splitlines() if line.startswith("small ")]
    assert line.split(maxsplit=3) == ["small", "small-pegs", "0.3.0", "1 transforms, 1 models, 1 hooks"]
    described = pegboard_cli("plugins", "MODELS", "small:*", path=[prefix]).stdout
    assert described.split(maxsplit=2)[:2] == ["SmallNet", "small"]
    assert "Mean colours of a grid of cells" in described


def test_its_parts_train_by_name(prefix: Path, python: Command, tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(CONFIG)
    before = files()
    done = python(REPOSITORY / "tools" / "train.py", "config.py", "--work-dir", "run", path=[prefix])
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "steps.txt").read_text() == "4 steps of SmallNet\n"
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["exit"] == "finished"
    assert (summary["epochs"], summary["iterations"]) == (1, 4)
    assert 0 <= summary["final"]["val/top1"] <= 1
    assert files() == before


def test_its_arguments_are_checked_without_importing_its_parts(prefix: Path, python: Command, tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(CONFIG)
    script = """
import sys
from pegboard.cli import main
status = main(["check", "config.py", "--cfg-options", "model.cels=3", "train.transforms.0.most='all'"])
print(status, "small_pegs" in sys.modules, "small_pegs.parts" in sys.modules, "torch" in sys.modules)
"""
    done = python("-c", script, path=[prefix])
    assert done.stdout == "2 True False False\n"
    assert "model.cels: SmallNet takes no 'cels'; did you mean 'cells'?" in done.stderr
    assert "train.transforms.0.most: must be float, got 'all'" in done.stderr


def test_without_it_the_same_config_says_what_is_missing(pegboard_cli: Command, tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(CONFIG)
    done = pegboard_cli("check", "config.py")
    assert done.returncode == 2
    assert "no 'SmallNet' in models" in done.stderr
    assert "no 'Darken' in transforms" in done.stderr
    assert "no 'CountSteps' in hooks" in done.stderr


def files() -> set[Path]:
    """What lies in the project and in the plugin's source, compiled files aside."""
    folders = ("core", "plugins", "configs", "tools", "tests/external")
    found = [path for folder in folders for path in (REPOSITORY / folder).rglob("*")]
    return {path for path in found if "__pycache__" not in path.parts}
