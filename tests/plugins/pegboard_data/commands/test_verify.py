"""``pegboard verify``: what is wrong, what is odd, and the exit status."""

import shutil

import numpy as np
import pytest
from PIL import Image

from tests.plugins.pegboard_data.pictures import noise, write_awkward, write_broken, write_classes_of_noise, write_parts


@pytest.fixture
def data(tmp_path):
    return write_parts(tmp_path / "data", {"train": {"cat": 3, "dog": 2}, "test": {"cat": 1, "dog": 2}})


def test_the_command_line(pegboard_cli, data, tmp_path):
    done = pegboard_cli("verify", "data")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[:3] == [["class", "data/train", "data/test"], ["cat", "3", "1"], ["dog", "2", "2"]]
    assert ["8", "x", "8", "8"] in rows and done.stdout.endswith("8 images: nothing wrong\n")
    noise(0).save(data / "test" / "dog" / "leak.bmp")  # the first training image, in another format
    done = pegboard_cli("verify", "data")
    assert done.returncode == 1
    assert "WRONG: in two parts: 1\n" in done.stdout and done.stdout.endswith("9 images: 1 wrong\n")
    assert "  data/test/dog/leak.bmp (data/test) = data/train/cat/000.png (data/train)\n" in done.stdout


def test_what_cannot_be_read_is_wrong(pegboard, data):
    broken = write_broken(data / "train" / "dog")
    status, out, _ = pegboard("verify", "data")
    assert status == 1 and f"WRONG: unreadable: {len(broken) - 1}\n" in out  # one is a folder, which is no image
    for name in broken:
        assert (f"data/train/dog/{name}: cannot be read as an image: " in out) == (name != "folder.png")


def test_what_is_odd_is_a_note(pegboard, tmp_path):
    write_awkward(tmp_path / "odd" / "a")
    status, out, _ = pegboard("verify", "odd")
    assert status == 0 and "nothing wrong" in out
    assert "note: extension of another format: 1\n  odd/a/really_a_jpeg.png: .png but JPEG\n" in out
    for kind, name in {"mode L": "grey.png", "mode P": "palette.gif", "mode RGBA": "rgba.png", "mode 1": "one_bit.png",
                       "mode LA": "la.png", "mode CMYK": "cmyk.tif", "mode I;16": "sixteen.png"}.items():  # fmt: skip
        assert f"note: {kind}, read as RGB: " in out and f"  odd/a/{name}\n" in out
    assert "note: alike within a part: " in out and "odd/a/sixteen.png = odd/a/" in out
    assert "mode RGB, " not in out


def test_the_same_image_in_two_parts_is_found_whatever_its_file(pegboard, tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    (tmp_path / "data" / "train" / "a").mkdir(parents=True)
    (tmp_path / "data" / "test" / "b").mkdir(parents=True)
    Image.fromarray(grey).save(tmp_path / "data" / "train" / "a" / "0.png")
    Image.fromarray(np.stack([grey] * 3, axis=2)).save(tmp_path / "data" / "test" / "b" / "1.bmp")
    Image.fromarray(grey.reshape(4, 16)).save(tmp_path / "data" / "test" / "b" / "2.png")  # same bytes, another shape
    status, out, _ = pegboard("verify", "data")
    assert status == 1 and "in two parts: 1\n" in out and "alike within a part" not in out


def test_index_files_are_parts(pegboard, data, tmp_path):
    assert pegboard("index", "data", "--out", "lists")[0] == 0
    assert pegboard("verify", "lists")[0] == 0
    with (tmp_path / "lists" / "valid.txt").open("w") as file:
        file.write("../data/test/dog/000.png 1\n../data/test/dog/none.png 1\n../data/test/dog/000.png 0\n")
    status, out, _ = pegboard("verify", "lists")
    assert status == 1
    assert "WRONG: in two parts: 1\n" in out and "WRONG: unreadable: 1\n" in out
    assert "image 1 of lists/valid.txt: '../data/test/dog/none.png' is not there; tried lists/../data" in out
    assert "note: listed more than once: 1\n  lists/valid.txt: 1 of 3 lines\n" in out
    assert "note: of two classes: 1\n" in out
    header, cat, dog = (line.split() for line in out.splitlines()[:3])
    assert header == ["class", "lists/train.txt", "lists/valid.txt", "lists/test.txt"]
    assert (cat, dog) == (["cat", "3", "1", "1"], ["dog", "2", "2", "2"])


def test_against_other_data(pegboard, data, tmp_path):
    write_classes_of_noise(tmp_path / "new", {"cat": 1, "bird": 1}, seed=7)
    assert pegboard("verify", "new", "--against", "data")[0] == 0
    shutil.copy(data / "test" / "cat" / "000.png", tmp_path / "new" / "bird" / "copy.png")
    status, out, _ = pegboard("verify", "new", "--against", "data")
    assert status == 1 and "data/test/cat/000.png (data/test) = new/bird/copy.png (new)" in out
    status, _, err = pegboard("verify", "data", "--against", "data/train")
    assert status == 2 and "data/train, which is part of SOURCE itself" in err


def test_alike_within_a_part_is_a_note_that_tells_the_classes(pegboard, data):
    shutil.copy(data / "train" / "cat" / "000.png", data / "train" / "dog" / "copy.png")
    status, out, _ = pegboard("verify", "data/train")
    assert status == 0
    assert "  data/train/dog/copy.png = data/train/cat/000.png, of classes 'dog' and 'cat'\n" in out


def test_a_class_without_images_is_a_note(pegboard, data):
    shutil.rmtree(data / "test" / "cat")
    status, out, _ = pegboard("verify", "data")
    assert status == 0 and "note: no image: 1\n  data/test: none of class 'cat'\n" in out


def test_a_turned_copy_with_its_orientation_is_the_same_image(pegboard, data):
    exif = Image.Exif()
    exif[0x0112] = 3
    noise(0).rotate(180).save(data / "test" / "dog" / "turned.png", exif=exif)
    status, out, _ = pegboard("verify", "data")
    assert status == 1 and "turned.png (data/test) = data/train/cat/000.png" in out


def test_long_lists_are_cut_short(pegboard, tmp_path):
    (tmp_path / "data" / "a").mkdir(parents=True)
    for number in range(30):
        (tmp_path / "data" / "a" / f"{number}.png").touch()
    status, out, _ = pegboard("verify", "data")
    assert status == 1 and "unreadable: 30\n" in out and "  and 10 more\n" in out and len(out.splitlines()) < 32


def test_what_is_no_data_set_is_a_mistake(pegboard, tmp_path):
    status, out, err = pegboard("verify", "none")
    assert (status, out) == (2, "") and "none: no such file or folder" in err
