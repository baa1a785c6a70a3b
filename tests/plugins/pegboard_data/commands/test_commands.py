"""All the commands: that they are there, and what they import."""

import pytest

from tests.plugins.pegboard_data.pictures import write_parts

SCRIPT = (
    "import sys; from pegboard.cli import main; status = main(sys.argv[1:]);"
    "print('HEAVY', sorted({'torch', 'torchvision', 'sklearn', 'scipy'} & {*sys.modules}), status)"
)


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], []),
        (["plugins"], []),
        (["plugins", "DATASETS", "*"], []),
        (["index", "data", "--out", "lists"], []),
        (["verify", "data"], []),
        (["stats", "data"], []),
        (["split", "data/train", "--scheme", "kfold", "--folds", "2", "--out", "lists"], ["scipy", "sklearn"]),
    ],
    ids=lambda value: " ".join(value[:2]),
)
def test_heavy_libraries_are_imported_only_where_used(python, tmp_path, arguments, heavy):
    write_parts(tmp_path / "data", {"train": {"a": 2, "b": 2}, "test": {"a": 1, "b": 1}})
    done = python("-c", SCRIPT, *arguments)
    assert done.stdout.splitlines()[-1] == f"HEAVY {heavy} 0", done.stderr


def test_help_lists_the_commands(pegboard):
    status, out, err = pegboard("--help")
    assert (status, err) == (0, "")
    for command in ("split", "index", "verify", "stats", "cross-validate"):
        assert f"\n  {command} " in out
        status, its_help, _ = pegboard(command, "--help")
        assert status == 0 and its_help.startswith(f"usage: pegboard {command} ")


def test_a_misspelt_command_is_answered_with_the_nearest(pegboard):
    status, _, err = pegboard("splt")
    assert status == 2 and "did you mean 'split'?" in err
