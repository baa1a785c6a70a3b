"""Images in class folders, as a dataset."""

import numpy as np
import pytest

from pegboard import DataError
from pegboard_data.folders import image_files, part_folders
from pegboard_data.image_folder import ImageFolder
from tests.plugins.pegboard_data.pictures import noise, write_awkward, write_broken, write_classes_of_noise, write_parts


def test_classes_are_numbered_by_sorted_name_and_images_follow_in_order(tmp_path):
    write_classes_of_noise(tmp_path, {"dog": 2, "Ähre": 1, "cat": 3})
    dataset = ImageFolder(str(tmp_path))
    assert (dataset.classes, dataset.num_classes, len(dataset)) == (["cat", "dog", "Ähre"], 3, 6)
    assert dataset.targets.tolist() == [0, 0, 0, 1, 1, 2] == [target for _, target in dataset]
    for index, seed in enumerate([2000, 2001, 2002, 0, 1, 1000]):
        assert np.array_equal(np.asarray(dataset[index][0]), np.asarray(noise(seed)))


def test_any_depth_counts_and_other_files_do_not(tmp_path):
    write_classes_of_noise(tmp_path, {"cat/2020/may": 1, "cat": 1, "dog": 1, "cat/.trash": 1, ".git/x": 1})
    (tmp_path / "cat" / "notes.txt").touch()
    (tmp_path / "cat" / "._000.png").touch()
    (tmp_path / "README.md").touch()
    dataset = ImageFolder(str(tmp_path))
    assert (dataset.classes, dataset.targets.tolist()) == (["cat", "dog"], [0, 0, 1])
    assert image_files(tmp_path / "cat") == ["000.png", "2020/may/000.png"]


def test_links_are_followed_and_may_run_in_a_circle(tmp_path):
    write_classes_of_noise(tmp_path / "elsewhere", {"cat": 2})
    write_classes_of_noise(tmp_path / "root", {"dog": 1})
    (tmp_path / "root" / "cat").symlink_to(tmp_path / "elsewhere" / "cat")
    (tmp_path / "elsewhere" / "cat" / "again").symlink_to(tmp_path / "elsewhere" / "cat")
    assert ImageFolder(str(tmp_path / "root")).targets.tolist() == [0, 0, 1]


def test_awkward_files_are_read_and_broken_ones_named(tmp_path):
    expected = write_awkward(tmp_path / "odd")
    write_broken(tmp_path / "odd" / "worse")
    dataset = ImageFolder(str(tmp_path))
    assert len(dataset) == len(expected) + 5  # a folder called folder.png is no image
    errors = []
    for index in range(len(dataset)):
        try:
            image, _ = dataset[index]
        except DataError as error:
            errors.append(str(error))
            assert f"image {index}" in str(error)
        else:
            assert image.mode == "RGB" and sorted(image.size) == [3, 5]
    assert len(errors) == 5 and all("worse/" in error for error in errors)


def test_a_link_that_leads_nowhere_is_said_to_be_one(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(
        DataError, match=r"a/0\.png: no such file \(image 0.*\); it is a link to .*/gone\.png, which is not"
    ):
        ImageFolder(str(tmp_path))[0]


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    with pytest.raises(DataError, match="none: no such folder; expected one folder a class in it"):
        ImageFolder(str(tmp_path / "none"))
    noise(0).save(tmp_path / "0.png")
    with pytest.raises(DataError, match=r"no class folders in it; expected .*/<class>/\*"):
        ImageFolder(str(tmp_path))
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match=r"cat: no image in this class folder; expected files \*\.bmp"):
        ImageFolder(str(tmp_path))


def test_train_and_test_are_no_classes(tmp_path):
    write_parts(tmp_path, {"train": {"cat": 1}, "test": {"cat": 1}})
    with pytest.raises(DataError, match=rf"are parts, test, train; did you mean '{tmp_path / 'train'}'\?"):
        ImageFolder(str(tmp_path))
    assert list(part_folders(tmp_path)) == ["train", "test"]
    assert len(ImageFolder(str(tmp_path / "train"))) == 1


def test_a_class_may_be_called_train(tmp_path):
    write_classes_of_noise(tmp_path, {"train": 1, "plane": 1})
    assert ImageFolder(str(tmp_path)).classes == ["plane", "train"]
    assert part_folders(tmp_path) == {}
