"""Images that an index file lists, as a dataset."""

import pickle

import numpy as np
import pytest

from pegboard import DataError
from pegboard_data.index_dataset import IndexFile
from tests.plugins.pegboard_data.pictures import noise, write_classes_of_noise


@pytest.fixture
def listed(tmp_path):
    """Three images of two classes, and the index file that lists them."""
    write_classes_of_noise(tmp_path / "images", {"cat": 2, "great dane": 1})
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "classes.txt").write_text("cat\ngreat dane\n", encoding="utf-8")
    lines = ["../images/cat/000.png 0", "../images/great dane/000.png 1", "../images/cat/001.png cat"]
    (tmp_path / "lists" / "train.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "lists" / "train.txt"


def test_images_and_classes_are_those_of_the_lines(listed):
    dataset = IndexFile(str(listed))
    assert (len(dataset), dataset.classes, dataset.num_classes) == (3, ["cat", "great dane"], 2)
    assert dataset.targets.tolist() == [0, 1, 0] == [target for _, target in dataset]
    for index, seed in enumerate([0, 1000, 1]):
        assert np.array_equal(np.asarray(dataset[index][0]), np.asarray(noise(seed)))
    assert isinstance(dataset[0][1], int)


def test_the_working_directory_as_root(listed, monkeypatch):
    (listed.parent / "here.txt").write_text("images/cat/000.png 0\n")
    monkeypatch.chdir(listed.parent.parent)
    assert len([*IndexFile("lists/here.txt", root=".")]) == 1
    with pytest.raises(
        DataError, match=r"image 0 of lists/here\.txt: 'images/cat/000\.png' is not there; tried lists/"
    ):
        IndexFile("lists/here.txt")
    with pytest.raises(DataError, match="root nowhere: no such folder"):
        IndexFile("lists/here.txt", root="nowhere")


def test_an_image_that_is_missing_or_damaged_is_named(listed):
    images = listed.parent.parent / "images"
    (images / "cat" / "001.png").write_bytes(b"")
    (images / "great dane" / "000.png").unlink()
    dataset = IndexFile(str(listed), root=str(images))
    with pytest.raises(DataError, match=rf"cat/001\.png: cannot be read as an image \(image 2 of {listed}\)"):
        dataset[2]
    with pytest.raises(DataError, match=rf"image 1 of {listed}: .* is not there; tried {images}/\.\./images/great"):
        dataset[1]


def test_a_copy_that_goes_to_a_worker_is_the_same(listed):
    dataset = pickle.loads(pickle.dumps(IndexFile(str(listed))))
    assert [target for _, target in dataset] == [0, 1, 0]
