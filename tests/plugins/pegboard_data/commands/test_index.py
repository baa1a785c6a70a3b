"""``pegboard index``: index files of folders that are split already."""

from pathlib import Path

import pytest

from pegboard_data.index_dataset import IndexFile
from tests.plugins.pegboard_data.pictures import write_classes_of_noise, write_parts


def test_the_command_line(pegboard_cli, tmp_path):
    write_parts(tmp_path / "data", {"train": {"dog": 3, "cat": 2}, "val": {"dog": 1, "cat": 1}, "test": {"dog": 2}})
    done = pegboard_cli("index", "data", "--out", "lists")
    assert done.returncode == 0
    assert done.stderr == "note: data/test has no image of class 'cat'\n"
    assert done.stdout.splitlines()[-1] == "2 classes, all in lists"
    parts = {name: IndexFile(str(tmp_path / "lists" / f"{name}.txt")) for name in ("train", "valid", "test")}
    assert {name: part.targets.tolist() for name, part in parts.items()} == {
        "train": [0, 0, 1, 1, 1], "valid": [0, 1], "test": [1, 1],
    }  # fmt: skip
    assert all(part.classes == ["cat", "dog"] for part in parts.values())
    assert all(len([*part]) for part in parts.values())
    assert (tmp_path / "lists" / "test.txt").read_text() == "../data/test/dog/000.png 1\n../data/test/dog/001.png 1\n"


def test_a_class_that_train_lacks_does_not_shift_the_numbers(pegboard, tmp_path):
    write_parts(tmp_path / "data", {"train": {"b": 1, "c": 1}, "test": {"a": 1, "b": 1, "c": 1}})
    status, _, err = pegboard("index", "data", "--out", "lists")
    assert status == 0 and err == "note: data/train has no image of class 'a'\n"
    assert IndexFile("lists/train.txt").targets.tolist() == [1, 2]
    assert IndexFile("lists/test.txt").targets.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("flat", "flat: no train/ or test/ with class folders in it; did you mean `pegboard split`"),
        ("file.txt", "file.txt is a file; expected a folder with train/ and test/"),
        ("dta", "dta: no such file or folder; did you mean 'data'?"),
        ("both", "both: holds both valid/ and val/; expected one of them"),
        ("hollow", "hollow/test: no image in its class folders a; expected files *.bmp"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(pegboard, tmp_path, source, message):
    write_parts(tmp_path / "data", {"train": {"a": 1}, "test": {"a": 1}})
    write_parts(tmp_path / "both", {"train": {"a": 1}, "val": {"a": 1}, "valid": {"a": 1}})
    write_parts(tmp_path / "hollow", {"train": {"a": 1}, "test": {"a": 0}})
    write_classes_of_noise(tmp_path / "flat", {"a": 1})
    (tmp_path / "file.txt").touch()
    status, out, err = pegboard("index", source, "--out", "lists")
    assert (status, out) == (2, "") and message in err and err.count("\n") == 1
    assert not Path("lists").exists()


def test_older_lists_are_not_overwritten(pegboard, tmp_path):
    write_parts(tmp_path / "data", {"train": {"a": 1}, "test": {"a": 1}})
    assert pegboard("index", "data", "--out", "lists")[0] == 0
    status, _, err = pegboard("index", "data", "--out", "lists")
    assert status == 2 and "--out lists holds train.txt, test.txt already" in err
