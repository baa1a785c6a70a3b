"""CIFAR-10 from folders, from batches, from a server; and what is said where there is none."""

import hashlib
import io
import logging
import pickle
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pegboard.errors import DataError
from pegboard_data import cifar10
from pegboard_data.cifar10 import BATCHES, CIFAR10, stratified_split

CLASSES = ["airplane", "automobile", "bird"]
REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "cifar10_jpeg.tar.gz"  # beside the repository


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch):
    """Nothing remembered from another test."""
    monkeypatch.setattr(cifar10, "_failed_downloads", {})
    monkeypatch.setattr(cifar10, "_announced", set())


# --- what the data looks like on disk ---


def write_folders(root, parts=("train", "test"), classes=CLASSES, count=10):
    """``count`` images a class, each of one colour: (class number, file number, 0 for train or 1 for test) x 10."""
    for part in parts:
        for number, name in enumerate(classes):
            (root / part / name).mkdir(parents=True)
            for index in range(count):
                colour = (10 * number, 10 * index, 10 * (part == "test"))
                Image.new("RGB", (32, 32), colour).save(root / part / name / f"{index:04}.png")
    return root


class Python2Pickler(pickle._Pickler):
    """Writes what Python 2 wrote: byte strings as they are, and numpy by its name of that time."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012

    def save_bytes_as_str(self, value):
        value = value.encode() if isinstance(value, str) else value
        self.write(pickle.BINSTRING + len(value).to_bytes(4, "little") + value)

    dispatch[bytes] = dispatch[str] = save_bytes_as_str


def python2_pickle(value):
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def batch(part, number, count=6):
    """Labels in turn; image i of batch n has red = n, green = i, and blue counts its rows."""
    pixels = np.zeros((count, 3, 32, 32), dtype=np.uint8)
    pixels[:, 0], pixels[:, 1] = number + 100 * (part == "test"), np.arange(count)[:, None, None]
    pixels[:, 2] = np.arange(32)[:, None]
    labels = [index % len(CLASSES) for index in range(count)]
    return {
        "batch_label": f"{part} {number}",
        "labels": labels,
        "data": pixels.reshape(count, -1),
        "filenames": ["a.png"],
    }


def batch_files(write=python2_pickle):
    """The files of the official folder, by name."""
    files = {f"data_batch_{number}": write(batch("train", number)) for number in range(1, 6)}
    files["test_batch"] = write(batch("test", 0))
    files["batches.meta"] = write({"label_names": CLASSES, "num_cases_per_batch": 6, "num_vis": 3072})
    return files


def write_batches(root, files=None):
    (root / BATCHES).mkdir(parents=True)
    for name, content in (files or batch_files()).items():
        (root / BATCHES / name).write_bytes(content)
    return root


def archive_of(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def answer_with(body):
    def answer(request):
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def everything_under(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# --- image folders ---


def test_folders_give_every_training_image_to_train_or_val_and_the_test_images_to_test(tmp_path):
    write_folders(tmp_path)
    parts = {split: CIFAR10(str(tmp_path), split, download=False) for split in ("train", "val", "test")}
    assert {split: len(part) for split, part in parts.items()} == {"train": 27, "val": 3, "test": 30}
    for part in parts.values():
        assert part.classes == CLASSES and part.num_classes == 3
        assert (part.label, part.stand_in) == ("CIFAR-10", False)
    seen = {split: {image.getpixel((0, 0)) for image, _ in part} for split, part in parts.items()}
    assert not seen["train"] & seen["val"]
    assert seen["train"] | seen["val"] == {(10 * number, 10 * index, 0) for number in range(3) for index in range(10)}
    assert {blue for _, _, blue in seen["test"]} == {10}
    assert sorted(parts["val"].targets) == [0, 1, 2]


def test_an_item_of_a_folder_is_an_rgb_image_and_its_class(tmp_path):
    write_folders(tmp_path, count=2)
    Image.new("L", (32, 32), 7).save(tmp_path / "test" / "bird" / "0000.png")  # grey, on disk
    dataset = CIFAR10(str(tmp_path), "test", download=False)
    image, target = dataset[4]
    assert image.mode == "RGB" and image.getpixel((0, 0)) == (7, 7, 7)
    assert target == dataset.targets[4] == 2


def test_training_never_looks_at_the_test_folder(tmp_path):
    write_folders(tmp_path, parts=["train"])
    (tmp_path / "test" / "something else").mkdir(parents=True)
    assert len(CIFAR10(str(tmp_path), "train", download=False)) == 27


def test_other_files_are_passed_over(tmp_path):
    write_folders(tmp_path)
    for name in ("notes.txt", ".DS_Store", "._0000.png", "Thumbs.db"):
        (tmp_path / "test" / "bird" / name).write_bytes(b"no image")
    (tmp_path / "train" / ".ipynb_checkpoints").mkdir()
    dataset = CIFAR10(str(tmp_path), "test", download=False)
    assert len(dataset) == 30 and dataset.classes == CLASSES


def test_a_damaged_image_is_named(tmp_path):
    path = write_folders(tmp_path) / "test" / "bird" / "0003.png"
    path.write_bytes(path.read_bytes()[:60])
    dataset = CIFAR10(str(tmp_path), "test", download=False)
    with pytest.raises(DataError, match=rf"{path}: cannot be read as an image \(test image 23\)"):
        dataset[23]


def test_a_missing_test_folder_harms_the_test_alone(tmp_path):
    write_folders(tmp_path, parts=["train"])
    assert len(CIFAR10(str(tmp_path), "val", download=False)) == 3
    with pytest.raises(DataError, match=f"{tmp_path / 'test'}: no such folder; expected"):
        CIFAR10(str(tmp_path), "test", download=False)


def test_a_missing_train_folder_is_named(tmp_path):
    write_folders(tmp_path, parts=["test"])
    with pytest.raises(DataError, match=f"{tmp_path / 'train'}: no such folder; expected"):
        CIFAR10(str(tmp_path), "test", download=False)


def test_images_without_class_folders_are_explained(tmp_path):
    (tmp_path / "train").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "train" / "0.png")
    with pytest.raises(DataError, match=r"no class folders in it; expected .*/train/<class>/"):
        CIFAR10(str(tmp_path), "train", on_missing="stand-in", download=False)


def test_an_empty_class_folder_is_named(tmp_path):
    (write_folders(tmp_path) / "train" / "cat").mkdir()
    with pytest.raises(DataError, match=r"train/cat: no image in this class folder; expected files \*\.bmp"):
        CIFAR10(str(tmp_path), "train", download=False)


def test_other_classes_in_test_than_in_train_are_named(tmp_path):
    write_folders(tmp_path)
    (tmp_path / "test" / "airplane").rename(tmp_path / "test" / "aeroplane")
    with pytest.raises(DataError, match=r"test: lacks airplane and adds aeroplane; .* did you mean 'airplane'\?"):
        CIFAR10(str(tmp_path), "test", download=False)


def test_folders_come_before_batches(tmp_path):
    write_batches(write_folders(tmp_path))
    assert len(CIFAR10(str(tmp_path), "test", download=False)) == 30


# --- the official batches ---


@pytest.mark.parametrize("write", [python2_pickle, lambda value: pickle.dumps(value, protocol=2)], ids=["2", "3"])
def test_batches_written_by_python_2_or_3_are_read(tmp_path, write):
    write_batches(tmp_path, batch_files(write))
    parts = {split: CIFAR10(str(tmp_path), split, download=False) for split in ("train", "val", "test")}
    assert {split: len(part) for split, part in parts.items()} == {"train": 27, "val": 3, "test": 6}
    assert parts["val"].classes == CLASSES and sorted(parts["val"].targets) == [0, 1, 2]
    image, target = parts["test"][5]
    assert image.dtype == torch.uint8 and image.shape == (3, 32, 32) and target == 2
    assert image[:, 31, 0].tolist() == [100, 5, 31]  # channel by channel, row by row
    seen = {tuple(image[:2, 0, 0].tolist()) for split in ("train", "val") for image, _ in parts[split]}
    assert seen == {(number, index) for number in range(1, 6) for index in range(6)}


def test_the_root_may_start_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(write_batches(tmp_path / "home").parent / "home"))
    assert len(CIFAR10("~", "test", download=False)) == 6


@pytest.mark.parametrize("name", ["data_batch_3", "batches.meta"])
def test_a_missing_batch_is_named_and_no_stand_in_taken(tmp_path, name):
    (write_batches(tmp_path) / BATCHES / name).unlink()
    with pytest.raises(DataError, match=f"{name}: no such file; expected all files of the official"):
        CIFAR10(str(tmp_path), "train", on_missing="stand-in", download=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"data": print}), r"asks for builtins\.print, which no batch of CIFAR-10 needs"),
        (b"cos\nsystem\n(S'touch harmed'\ntR.", r"asks for os\.system, which no batch of CIFAR-10 needs"),
        (python2_pickle(batch("train", 3))[:-500], "damaged, cannot be unpickled"),
        (b"", "damaged, cannot be unpickled"),
        (b"version https://git-lfs.github.com/spec/v1", "damaged, cannot be unpickled"),
        (pickle.dumps([1]), "holds a list; expected a dict"),
        (pickle.dumps({"labels": []}, 2), r"'data' is not an array of \(N, 3072\) uint8"),
        (pickle.dumps({**batch("train", 3), "labels": [0]}, 2), "'labels' is not a list of 6 numbers"),
        (pickle.dumps({**batch("train", 3), "labels": [0, 1, 2, 3, 0, 1]}, 2), "expected numbers from 0 to 2"),
    ],
    ids=["print", "system", "truncated", "empty", "pointer", "list", "no data", "too few labels", "label out of range"],
)
def test_a_batch_that_is_none_is_refused_and_runs_nothing(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    (write_batches(tmp_path) / BATCHES / "data_batch_3").write_bytes(content)
    with pytest.raises(DataError, match=rf"data_batch_3: .*{message}"):
        CIFAR10(str(tmp_path), "train", download=False)
    assert not Path("harmed").exists()


# --- the network ---


def test_the_archive_is_downloaded_once_and_leaves_only_its_folder(tmp_path, serve):
    body = archive_of({f"{BATCHES}/{name}": content for name, content in batch_files().items()})
    arguments = {"url": serve(answer_with(body)), "md5": hashlib.md5(body).hexdigest()}
    root = tmp_path / "new" / "root"
    assert len(CIFAR10(str(root), "train", **arguments)) == 27
    val = CIFAR10(str(root), "val", **arguments)
    assert (len(val), val.label, val.stand_in) == (3, "CIFAR-10", False)
    assert serve.requests == ["/cifar-10-python.tar.gz"]
    assert [path.name for path in root.iterdir()] == [BATCHES]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({f"{BATCHES}/../../../outside": b"harm"}, "cannot be unpacked"),
        ({"/tmp/outside": b"harm"}, f"no {BATCHES} in the archive"),  # the leading slash is taken off
        ({"another/folder": b""}, f"no {BATCHES} in the archive"),
    ],
)
def test_an_archive_of_something_else_leaves_nothing(tmp_path, serve, files, message):
    body = archive_of(files)
    with pytest.raises(DataError, match=message):
        CIFAR10(str(tmp_path / "a" / "b"), "train", url=serve(answer_with(body)), md5=hashlib.md5(body).hexdigest())
    assert everything_under(tmp_path) == []


@pytest.mark.parametrize(
    "body",
    [b"a web page that asks for a password", archive_of({f"{BATCHES}/test_batch": b""})[:50]],
    ids=["a web page", "half an archive"],  # an archive's own bytes hold the time
)
def test_a_wrong_archive_leaves_nothing(tmp_path, serve, body):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "mine").touch()
    with pytest.raises(DataError, match="expected c58f30108f718f92721af3b95e74349a: not the file meant"):
        CIFAR10(str(tmp_path / "root"), "train", url=serve(answer_with(body)))
    with pytest.raises(DataError, match="cannot be unpacked"):  # nor does the right checksum make it an archive
        url = serve(answer_with(body))
        CIFAR10(str(tmp_path / "root"), "train", url=url, md5=hashlib.md5(body).hexdigest())
    assert everything_under(tmp_path) == ["root", "root/mine"]


def test_an_interrupted_download_leaves_nothing(tmp_path, serve, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(tarfile.TarFile, "extractall", interrupt)
    body = archive_of({f"{BATCHES}/test_batch": b""})
    with pytest.raises(KeyboardInterrupt):
        CIFAR10(str(tmp_path / "root"), "train", url=serve(answer_with(body)), md5=hashlib.md5(body).hexdigest())
    assert everything_under(tmp_path) == []


def test_a_folder_that_another_process_has_put_there_meanwhile_is_taken(tmp_path, serve):
    body = archive_of({f"{BATCHES}/{name}": content for name, content in batch_files().items()})

    def answer(request):
        write_batches(tmp_path)
        answer_with(body)(request)

    assert len(CIFAR10(str(tmp_path), "test", url=serve(answer), md5=hashlib.md5(body).hexdigest())) == 6
    assert [path.name for path in tmp_path.iterdir()] == [BATCHES]


def test_nothing_anywhere_is_an_error_that_names_the_three_ways(tmp_path, closed_port):
    (tmp_path / "cifar10").mkdir()
    root = tmp_path / "cifar-10"
    with pytest.raises(DataError) as caught:
        CIFAR10(str(root), "train", url=closed_port)
    message = str(caught.value)
    for part in (
        f"no data in {root}; did you mean 'cifar10'?",
        root / "train" / "<class>",
        root / BATCHES,
        closed_port,
    ):
        assert str(part) in message
    assert "refused" in message
    assert not root.exists()


def test_no_network_fails_within_seconds(tmp_path, serve):
    done = threading.Event()
    start = time.monotonic()
    with pytest.raises(DataError, match=r"no-such-host\.invalid"):
        CIFAR10(str(tmp_path), "train", url="http://no-such-host.invalid/cifar.tar.gz", timeout=2)
    with pytest.raises(DataError, match=r"timed out|no answer"):
        CIFAR10(str(tmp_path), "train", url=serve(lambda _: done.wait(30)), timeout=0.3)
    assert time.monotonic() - start < 5
    done.set()


def test_a_file_as_root_is_refused(tmp_path):
    (tmp_path / "cifar10").touch()
    with pytest.raises(DataError, match="cifar10 is a file; expected a folder"):
        CIFAR10(str(tmp_path / "cifar10"), "train", on_missing="stand-in", download=False)


# --- the stand-in ---


def test_the_stand_in_warns_once_and_asks_the_network_once(tmp_path, serve, caplog):
    url = serve(lambda request: request.send_error(503))
    root = tmp_path / "data" / "cifar10"
    train, val = (CIFAR10(str(root), split, on_missing="stand-in", url=url) for split in ("train", "val"))
    assert len(serve.requests) == 1
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert caplog.text.count("not CIFAR-10's") == caplog.text.count("no data in") == 1
    for part in (str(root / "train"), str(root / BATCHES), url, "503", "not CIFAR-10's"):
        assert part in caplog.text
    for part, count in ((train, 18000), (val, 2000)):
        assert len(part) == len(part.targets) == count
        assert (part.label, part.stand_in, part.num_classes) == ("stand-in", True, 10)
        assert part.mean != CIFAR10.mean and part.std != CIFAR10.std
        assert "heart" in part.classes and "airplane" not in part.classes
    image, target = val[7]
    assert image.dtype == torch.uint8 and image.shape == (3, 32, 32) and target == 7
    assert not (tmp_path / "data").exists()


def test_an_error_asks_the_network_each_time(tmp_path, serve):
    url = serve(lambda request: request.send_error(503))
    for _ in range(2):
        with pytest.raises(DataError, match="503"):
            CIFAR10(str(tmp_path), "train", url=url)
    assert len(serve.requests) == 2


def test_the_stand_in_needs_no_folder_that_can_be_written(tmp_path, serve, caplog):
    (tmp_path / "file").touch()  # a folder cannot be made in it, whoever runs this test
    dataset = CIFAR10(str(tmp_path / "file" / "root"), "test", on_missing="stand-in", url=serve(answer_with(b"")))
    assert dataset.stand_in and len(dataset) == 2000


def test_data_is_taken_before_the_stand_in(tmp_path):
    write_batches(tmp_path)
    assert not CIFAR10(str(tmp_path), "train", on_missing="stand-in", download=False).stand_in


# --- the split ---


@given(
    sizes=st.lists(st.integers(2, 40), min_size=1, max_size=5),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
    random=st.randoms(use_true_random=False),
)
def test_a_split_is_disjoint_exhaustive_and_stratified(sizes, fraction, seed, random):
    targets = [number for number, size in enumerate(sizes) for _ in range(size)]
    random.shuffle(targets)
    classes = [str(number) for number in range(len(sizes))]
    train, val = stratified_split(targets, classes, fraction, seed)
    assert sorted(train + val) == list(range(len(targets)))
    assert train == sorted(train) and val == sorted(val)
    for number, size in enumerate(sizes):
        held_out = sum(targets[index] == number for index in val)
        assert 1 <= held_out <= size - 1
        assert abs(held_out - fraction * size) <= 1
    assert (train, val) == stratified_split(targets, classes, fraction, seed)


def test_the_seed_and_the_fraction_choose_the_validation_images(tmp_path):
    write_batches(tmp_path)

    def held_out(**arguments):
        return [image[:2, 0, 0].tolist() for image, _ in CIFAR10(str(tmp_path), "val", download=False, **arguments)]

    assert held_out() == held_out(val_seed=0, val_fraction=0.1)
    assert held_out() != held_out(val_seed=1)
    assert len(held_out(val_fraction=0.5)) == 15


def test_a_class_with_one_image_cannot_be_split(tmp_path):
    write_folders(tmp_path, count=1)
    with pytest.raises(DataError, match="class 'airplane' has 1 training image; expected 2 or more"):
        CIFAR10(str(tmp_path), "train", download=False)
    assert len(CIFAR10(str(tmp_path), "test", download=False)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "valid"}, r"CIFAR10: split='valid'; expected one of .*; did you mean 'val'\?"),
        ({"split": "train", "on_missing": "standin"}, r"on_missing='standin'; .*; did you mean 'stand-in'\?"),
        ({"split": "train", "val_fraction": 1.0}, r"val_fraction=1\.0; expected a number above 0 and below 1"),
        ({"split": "train", "val_seed": -1}, "val_seed=-1; expected at least 0"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path, arguments, message):
    write_batches(tmp_path)
    with pytest.raises(DataError, match=message):
        CIFAR10(str(tmp_path), **arguments)


# --- the real thing ---


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """The first 30 training and 10 test photographs of each class, of the real data."""
    if not REAL.is_file():
        pytest.skip(f"no {REAL.name} in shared/data beside the repository")
    root = tmp_path_factory.mktemp("photographs")
    with tarfile.open(REAL) as tar:
        members = [
            member
            for member in tar
            if member.isfile() and int(Path(member.name).stem) < (30 if "/train/" in member.name else 10)
        ]
        tar.extractall(root, members, filter="data")
    return root / "cifar10"


def test_the_real_photographs_are_read(photographs):
    train, val, test = (CIFAR10(str(photographs), split, download=False) for split in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (270, 30, 100)
    assert train.classes == ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    assert np.bincount(val.targets).tolist() == [3] * 10
    pixels = np.stack([np.asarray(image) for image, _ in train]) / 255
    assert pixels.shape == (270, 32, 32, 3)
    assert pixels.mean(axis=(0, 1, 2)).tolist() == pytest.approx(train.mean, abs=0.03)
    assert pixels.std(axis=(0, 1, 2)).tolist() == pytest.approx(train.std, abs=0.03)
