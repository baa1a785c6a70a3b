"""Images that an index file lists, as a dataset."""

import pickle
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from pegboard import DataError, Loader
from pegboard_data.index_dataset import IndexFile
from pegboard_data.index_files import read_index
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


# -- the memory of worker processes ---------------------------------------------------------------------------------

COUNT = 200_000
PRIVATE = re.compile(r"^Private_(?:Clean|Dirty): +(\d+) kB", re.MULTILINE)


class Looks:
    """Every sample is a look at all lines of an index."""

    def __init__(self, paths: Sequence[str], targets: Sequence[int]) -> None:
        self.paths, self.targets = paths, targets

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        length = sum(len(self.paths[i]) + int(self.targets[i]) for i in range(len(self.paths)))
        return torch.zeros(3, 1, 1, dtype=torch.uint8), length


def private_of_workers(dataset: Looks) -> int:
    """Bytes that two worker processes have for themselves alone, the larger number, after they have looked."""
    loader = Loader(dataset, mode="workers", workers=2)
    list(loader.batches(0))
    of_each = [
        PRIVATE.findall(Path(f"/proc/{worker.pid}/smaps_rollup").read_text())
        for worker in loader.engine.loader._iterator._workers
    ]
    return max(1024 * sum(map(int, kilobytes)) for kilobytes in of_each)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads the memory of processes from Linux")
def test_worker_processes_share_the_index_of_the_process_that_trains(tmp_path):
    lines = (f"some/class/of/images/n{i % 1000:08}/photograph_{i:08}.jpeg {i % 1000}\n" for i in range(COUNT))
    (tmp_path / "train.txt").write_text("".join(lines), encoding="utf-8")
    index = read_index(tmp_path / "train.txt")
    nothing = private_of_workers(Looks([], []))
    shared = private_of_workers(Looks(index.paths, index.targets))
    assert (shared - nothing) / COUNT < 10  # the text alone is 55 a line
    copied = private_of_workers(Looks(list(index.paths), index.targets))  # each look changes a string's count
    assert (copied - nothing) / COUNT > 55
