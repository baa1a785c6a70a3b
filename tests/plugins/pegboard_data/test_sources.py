"""What a command takes a path for."""

import pytest

from pegboard import DataError
from pegboard_data.sources import read_source
from tests.plugins.pegboard_data.pictures import write_classes_of_noise, write_parts


def parts(path, root=None):
    return {part.name: list(part.listed) for part in read_source(str(path), root)}


def test_class_folders_are_one_part(tmp_path):
    write_classes_of_noise(tmp_path / "data", {"b": 1, "a/deep": 1})
    (tmp_path / "data" / "README.txt").write_text("no index\n")
    assert parts(tmp_path / "data") == {"data": ["a/deep/000.png", "b/000.png"]}


def test_folders_of_parts_share_their_classes(tmp_path):
    write_parts(tmp_path, {"train": {"b": 1}, "validation": {"a": 1}, "test": {"c": 1}})
    found = read_source(str(tmp_path))
    assert [part.name for part in found] == ["train", "valid", "test"]
    assert [part.targets.tolist() for part in found] == [[1], [0], [2]]
    assert all(part.classes == ["a", "b", "c"] for part in found)
    assert found[0].missing_classes() == ["a", "c"]
    assert found[0].path(0) == tmp_path / "train" / "b" / "000.png"


def test_index_files_are_parts_train_first(tmp_path):
    for name in ("extra", "test", "train", "classes"):
        (tmp_path / f"{name}.txt").write_text("x.png 0\n")
    (tmp_path / "cat").mkdir()
    assert list(parts(tmp_path)) == ["train", "test", "extra"]
    assert parts(tmp_path / "extra.txt") == {"extra": ["x.png"]}
    (tmp_path / "x.png").touch()
    assert read_source(str(tmp_path), str(tmp_path))[0].path(0) == tmp_path / "x.png"


def test_index_files_without_the_usual_names_count_where_there_are_no_folders(tmp_path):
    (tmp_path / "a.txt").write_text("x.png 0\n")
    assert list(parts(tmp_path)) == ["a"]


def test_what_is_nothing_of_this_is_said(tmp_path):
    with pytest.raises(DataError, match="no class folders in it"):
        read_source(str(tmp_path))
    with pytest.raises(DataError, match="no such file or folder; expected an index file or a folder of class folders"):
        read_source(str(tmp_path / "none" / "there"))
