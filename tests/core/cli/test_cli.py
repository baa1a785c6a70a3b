"""The command line: what it prints where, its exit statuses, and no traceback for a user's mistake."""

import re
from pathlib import Path

import pytest

from pegboard import Config
from pegboard.cli import COMMANDS
from tests.conftest import REPOSITORY, Command

LENET = REPOSITORY / "configs" / "lenet_cifar.py"


def refuses(done: object, *words: str) -> None:
    """A user's mistake: status 2, the words on stderr, nothing on stdout, no traceback."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr  # type: ignore[attr-defined]
    assert "Traceback" not in done.stderr  # type: ignore[attr-defined]
    for word in words:
        assert word in done.stderr  # type: ignore[attr-defined]


def test_help_lists_every_command(pegboard_cli: Command) -> None:
    done = pegboard_cli("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\w", done.stdout, re.M)


def test_no_command_shows_the_help_and_is_a_mistake(pegboard_cli: Command) -> None:
    done = pegboard_cli()
    assert done.returncode == 2
    assert "usage: pegboard COMMAND" in done.stdout


def test_a_misspelt_command_is_answered_with_the_nearest(pegboard_cli: Command) -> None:
    refuses(pegboard_cli("chek", "x.py"), "there is no command 'chek'; did you mean 'check'?")
    refuses(pegboard_cli("zzz"), "there is no command 'zzz'; there are train, test, check, ")


def test_the_version(pegboard_cli: Command) -> None:
    done = pegboard_cli("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"pegboard \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help(pegboard_cli: Command, command: str) -> None:
    done = pegboard_cli(command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: pegboard {command}")


def test_the_console_script_is_the_same_function() -> None:
    from importlib.metadata import entry_points

    from pegboard.cli import main

    [script] = entry_points(group="console_scripts", name="pegboard")
    assert script.load() is main


# -- configs that cannot be read -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "print", "train"])
def test_a_config_that_is_not_there(pegboard_cli: Command, tmp_path: Path, command: str) -> None:
    (tmp_path / "lenet.py").touch()
    refuses(pegboard_cli(command, "lenett.py"), "lenett.py: there is no such file; did you mean 'lenet.py'?")


@pytest.mark.parametrize("command", ["check", "print", "train"])
def test_a_directory_as_config(pegboard_cli: Command, tmp_path: Path, command: str) -> None:
    refuses(pegboard_cli(command, "."), "is a directory")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = 1\nname = undefined\n", "config.py:2: NameError: name 'undefined' is not defined"),
        ("seed = 1\n\nseed = = 2\n", "config.py:3: syntax error: invalid syntax"),
        ("raise SystemExit('enough')\n", "config.py:1: SystemExit: enough"),
    ],
    ids=["raises", "syntax", "exits"],
)
def test_a_config_that_cannot_be_run(pegboard_cli: Command, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "config.py").write_text(text)
    for command in ("check", "print", "train"):
        refuses(pegboard_cli(command, "config.py"), message)


def test_debug_shows_the_traceback_of_a_mistake(pegboard_cli: Command, tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("name = undefined\n")
    done = pegboard_cli("print", "config.py", "--debug")
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_an_override_that_matches_nothing(pegboard_cli: Command) -> None:
    refuses(
        pegboard_cli("print", LENET, "--cfg-options", "optimzer.lr=1"),
        "--cfg-options: optimzer.lr: ",
        "did you mean 'optimizer'",
    )
    refuses(pegboard_cli("check", LENET, "--cfg-options", "no_equals_sign"), "no_equals_sign")


# -- check and train --check ---------------------------------------------------------------------------------------


def test_check_prints_each_problem_and_how_many(pegboard_cli: Command) -> None:
    done = pegboard_cli("check", LENET, "--cfg-options", "model.type='LeNett'", "train_for=20")
    refuses(done, "model.type: no 'LeNett' in models; did you mean 'LeNet'?", "train_for: 20 is not a duration")
    assert done.stderr.endswith("2 problems\n")


def test_a_sound_config_has_no_problems(pegboard_cli: Command) -> None:
    for arguments in (["check", LENET], ["train", LENET, "--check"]):
        done = pegboard_cli(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{LENET}: no problems\n", "")


def test_train_refuses_a_wrong_config_before_it_writes_anything(pegboard_cli: Command, tmp_path: Path) -> None:
    refuses(pegboard_cli("train", LENET, "--cfg-options", "optimizer.momentm=1"), "SGD takes no 'momentm'")
    assert list(tmp_path.iterdir()) == []


def test_the_tools_are_the_commands(python: Command) -> None:
    for name in ("train", "test"):
        done = python(REPOSITORY / "tools" / f"{name}.py", "--help")
        assert done.returncode == 0
        assert done.stdout.startswith(f"usage: tools/{name}.py")
    refuses(python(REPOSITORY / "tools" / "train.py", "nothing.py"), "nothing.py: there is no such file")


# -- print ---------------------------------------------------------------------------------------------------------


def test_what_is_printed_is_a_config_with_the_same_values(pegboard_cli: Command, tmp_path: Path) -> None:
    options = ["optimizer.lr=0.5", "data_root='else where'"]
    done = pegboard_cli("print", LENET, "--cfg-options", *options)
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "again.py").write_text(done.stdout)
    again = Config.load(tmp_path / "again.py")
    assert again.values == Config.load(LENET, options).values
    assert again.values["optimizer"]["lr"] == 0.5
    assert again.values["train"]["dataset"]["root"] == "else where"


def test_origin_says_who_set_each_value(pegboard_cli: Command) -> None:
    done = pegboard_cli("print", LENET, "--origin", "--cfg-options", "optimizer.momentum=0.5")
    assert done.returncode == 0
    rows = dict(re.findall(r"^(\S+) = .*# (.+)$", done.stdout, re.M))
    assert len(rows) == len(done.stdout.splitlines())
    assert rows["optimizer.momentum"] == "--cfg-options"
    for path, file in {"optimizer.lr": LENET, "train.batch_size": LENET.parent / "_base_" / "cifar10.py"}.items():
        place, _, line = rows[path].rpartition(":")
        assert Path(place).resolve() == file
        assert path.rpartition(".")[2] in file.read_text().splitlines()[int(line) - 1]


# -- plugins -------------------------------------------------------------------------------------------------------


def test_plugins_lists_plugins_and_bridges(pegboard_cli: Command) -> None:
    done = pegboard_cli("plugins")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^pegboard_models +pegboard [\d.]+ +\d+ models", done.stdout, re.M)
    assert re.search(r"^torch +torch +\d+ optimizers", done.stdout, re.M)
    assert "BROKEN" not in done.stdout


def test_plugins_lists_the_parts_that_match_with_a_line_about_each(pegboard_cli: Command) -> None:
    done = pegboard_cli("plugins", "MODELS", "res*")
    assert done.returncode == 0
    rows = [re.split(r"  +", line, maxsplit=2) for line in done.stdout.splitlines()]
    assert ["resnet18", "torchvision"] in [row[:2] for row in rows]
    assert all(row[0].lower().startswith("res") and row[2] for row in rows)
    assert pegboard_cli("plugins", "models", "RES*").stdout == done.stdout  # case does not matter


def test_an_unknown_board_or_pattern(pegboard_cli: Command) -> None:
    refuses(pegboard_cli("plugins", "MODLES"), "there is no board 'MODLES'; did you mean 'MODELS'?")
    refuses(pegboard_cli("plugins", "zzz"), "there is no board 'zzz'; there are DATASETS,")
    refuses(
        pegboard_cli("plugins", "MODELS", "resnett18"),
        "no name in MODELS matches 'resnett18'; did you mean 'resnet18'?",
    )
    refuses(pegboard_cli("plugins", "MODELS", "qqq*"), "no name in MODELS matches 'qqq*'")


def test_a_reader_that_stops_early_is_no_error(python: Command) -> None:
    script = f"""
import subprocess, sys
command = [sys.executable, "-c", "from pegboard.cli import main; raise SystemExit(main())", "plugins", "MODELS"]
lister = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd={str(REPOSITORY)!r})
lister.stdout.close()
print(lister.wait(), lister.stderr.read())
"""
    assert python("-c", script).stdout.split("\n")[0].strip() == "0"
