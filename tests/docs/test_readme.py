"""What the README shows is what happens."""

import shutil
from pathlib import Path

import pytest

from pegboard import Config
from pegboard.cli import main
from tests.conftest import REPOSITORY
from tests.docs.blocks import Block, blocks, tables
from tests.docs.settings import wrong_in

README = REPOSITORY / "README.md"
BLOCKS = blocks(README)


def shown(words: str) -> Block:
    [block] = [block for block in BLOCKS if words in block.text]
    return block


def values(config: str, folder: Path) -> dict[str, object]:
    shutil.copytree(REPOSITORY / "configs" / "_base_", folder / "_base_", dirs_exist_ok=True)
    (folder / "shown.py").write_text(config, encoding="utf-8")
    return dict(Config.load(folder / "shown.py").values)


def test_the_config_is_that_of_the_main_job_in_short(tmp_path: Path) -> None:
    """Whatever it says of the main job is so; what it leaves out is not shown as something else."""
    main_job = Config.load(REPOSITORY / "configs" / "lenet_cifar.py").values
    short = values(shown("60 epochs").text, tmp_path)
    for key in ("model", "loss", "metrics", "optimizer", "train_for"):
        assert short[key] == main_job[key], key
    assert short["scheduler"].items() <= main_job["scheduler"].items()  # type: ignore[attr-defined]


def test_the_config_is_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values(shown("60 epochs").text, tmp_path)
    assert main(["check", str(tmp_path / "shown.py")]) == 0, capsys.readouterr().err


def test_the_mistakes_are_found_in_these_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").symlink_to(REPOSITORY / "configs")
    Path("mine.py").write_text(shown("optimzer =").text, encoding="utf-8")
    assert main(["check", "mine.py"]) == 2
    assert capsys.readouterr().err.splitlines() == shown("$ pegboard check mine.py").text.splitlines()[1:]


def test_the_change_from_the_command_line_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    line = shown("--cfg-options data_root=").text.split("--cfg-options ")[1]
    config = Config.load(REPOSITORY / "configs" / "lenet_cifar.py", line.split())
    train, optimizer, hooks = (config.values[key] for key in ("train", "optimizer", "hooks"))
    assert (train["dataset"]["root"], optimizer["lr"], hooks["progress"]) == ("/data/cifar10", 0.1, None)


def test_what_a_config_can_say_it_can_say(tmp_path: Path) -> None:
    [rows] = [rows for rows in tables(README) if rows[0][0] == "data"]
    assert len(rows) >= 7
    assert wrong_in([row[-1] for row in rows], tmp_path) == []
