"""``pegboard stats``: exact figures, as a line to paste."""

import re

import numpy as np
import pytest
from PIL import Image

from pegboard_data.image_folder import ImageFolder
from pegboard_data.statistics import Tally, as_rgb_image
from tests.conftest import REPOSITORY
from tests.plugins.pegboard_data.pictures import noise, write_classes_of_noise, write_parts


def figures(out):
    """mean and std of the line that was printed."""
    assert re.fullmatch(r'dict\(type="Normalize", mean=\(.*\), std=\(.*\)\)\n', out)
    part = eval(out)  # it is Python, to be pasted
    return part["mean"], part["std"]


def reference(images):
    """Mean and standard deviation over all pixels, in float64."""
    pixels = np.concatenate([np.asarray(image, dtype=np.float64).reshape(-1, 3) / 255 for image in images])
    return pixels.mean(axis=0), pixels.std(axis=0)


def assert_figures(out, images):
    for found, expected in zip(figures(out), reference(images), strict=True):
        assert found == pytest.approx(expected, abs=1e-6)


def test_the_command_line(pegboard_cli, tmp_path):
    write_parts(tmp_path / "data", {"train": {"a": 4, "b": 3}, "test": {"a": 5}})
    noise(99, 20, 30).save(tmp_path / "data" / "train" / "b" / "large.png")
    done = pegboard_cli("stats", "data")
    assert done.returncode == 0
    assert done.stderr == "data/train: all 8 images, RGB, 0..1\n"
    assert_figures(done.stdout, [image for image, _ in ImageFolder(str(tmp_path / "data" / "train"))])


def test_red_is_the_first_channel(pegboard, tmp_path):
    (tmp_path / "data" / "a").mkdir(parents=True)
    Image.new("RGB", (5, 5), (255, 0, 51)).save(tmp_path / "data" / "a" / "red.png")
    status, out, err = pegboard("stats", "data")
    assert status == 0 and figures(out) == ((1.0, 0.0, 0.2), (0.0, 0.0, 0.0))
    assert "warning: std of red is 0, since every pixel has the same value" in err and err.count("warning") == 3


def test_index_files(pegboard, tmp_path):
    write_parts(tmp_path / "data", {"train": {"a": 4, "b": 3}, "test": {"a": 5}})
    assert pegboard("index", "data", "--out", "lists")[0] == 0
    folder = pegboard("stats", "data")[1]
    assert pegboard("stats", "lists") == (0, folder, "lists/train.txt: all 7 images, RGB, 0..1\n")
    assert pegboard("stats", "lists/train.txt")[1] == folder
    assert pegboard("stats", "data/train")[1] == folder != pegboard("stats", "data/test")[1]


def test_a_sample_is_drawn_by_the_seed_and_said_to_be_one(pegboard, tmp_path):
    write_classes_of_noise(tmp_path / "data", {"a": 30})
    status, out, err = pegboard("stats", "data", "--sample", 10)
    assert status == 0 and "approximate: 10 of 30 images" in err
    assert out == pegboard("stats", "data", "--sample", 10)[1] != pegboard("stats", "data")[1]
    assert out != pegboard("stats", "data", "--sample", 10, "--seed", 1)[1]
    assert pegboard("stats", "data", "--sample", 30)[1:] == pegboard("stats", "data")[1:]


def test_after_resizing(pegboard, tmp_path):
    write_classes_of_noise(tmp_path / "data", {"a": 3})
    noise(99, 20, 30).save(tmp_path / "data" / "a" / "large.png")
    status, out, _ = pegboard("stats", "data", "--resize", 6, 4)
    images = [image.resize((4, 6), Image.Resampling.BILINEAR) for image, _ in ImageFolder("data")]
    assert status == 0
    assert_figures(out, images)


def test_a_config(pegboard_cli, tmp_path):
    write_classes_of_noise(tmp_path / "data", {"a": 4, "b": 2})
    (tmp_path / "config.py").write_text('root = "data"\ntrain = dict(dataset=dict(type="ImageFolder", root=root))\n')
    done = pegboard_cli("stats", "config.py")
    assert (done.returncode, done.stderr) == (0, "config.py (ImageFolder): all 6 images, RGB, 0..1\n")
    assert_figures(done.stdout, [image for image, _ in ImageFolder(str(tmp_path / "data"))])
    wrong = pegboard_cli("stats", "config.py", "--cfg-options", "root=dta")
    assert (wrong.returncode, wrong.stdout) == (2, "") and "dta: no such folder" in wrong.stderr


def test_a_config_whose_dataset_gives_tensors(pegboard_cli):
    shapes = "train.dataset=dict(type='DrawnShapes', count=2000)"
    done = pegboard_cli("stats", REPOSITORY / "configs" / "lenet_cifar.py", "--cfg-options", shapes)
    assert done.returncode == 0, done.stderr
    mean, std = figures(done.stdout)
    assert mean == pytest.approx((0.345, 0.344, 0.346), abs=0.01) and std == pytest.approx((0.225,) * 3, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "none: no such file or folder"),
        (["lists/test.txt", "--root", "nowhere"], "--root nowhere: no such folder"),
        (["data", "--sample", 0], "--sample 0; expected at least 1"),
        (["data", "--resize", 0, 4], "--resize 0 4; expected at least 1 1"),
        (["data", "--sample", 1, "--seed", -1], "--seed -1; expected at least 0"),
        (["data", "--cfg-options", "a=1"], "--cfg-options belongs to a config, and data is none"),
        (["lists"], "lists has the parts valid, test; expected a train part, or one of them by itself"),
        (["broken"], "broken/a/0.png: cannot be read as an image (image 0): the file is empty"),
        (["none.py"], "none.py: there is no such file"),
        (["empty.py"], "empty.py has no train.dataset; expected train=dict(dataset=dict(type=...))"),
    ],
)
def test_a_mistake_is_one_sentence(pegboard, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr("pegboard.console.show_log", lambda: None)  # it would stay for the tests that follow
    write_classes_of_noise(tmp_path / "data", {"a": 1})
    (tmp_path / "lists").mkdir()
    for name in ("test", "valid"):
        (tmp_path / "lists" / f"{name}.txt").write_text("../data/a/000.png 0\n")
    (tmp_path / "broken" / "a").mkdir(parents=True)
    (tmp_path / "broken" / "a" / "0.png").touch()
    (tmp_path / "empty.py").write_text("seed = 1\n")
    status, out, err = pegboard("stats", *arguments)
    assert (status, out) == (2, "") and message in err


# -- the figures themselves -----------------------------------------------------------------------------------------


def test_figures_are_exact_where_floating_point_is_not():
    """A mean far from 0 and a deviation near it: the difference of two large sums."""
    tally = Tally()
    image = Image.new("RGB", (1000, 1000), (254, 254, 254))
    image.putpixel((0, 0), (255, 255, 255))
    for _ in range(100):
        tally.add(image)
    assert tally.mean()[0] * 255 == pytest.approx(254 + 1e-6, abs=1e-12)
    assert tally.std()[0] * 255 == pytest.approx((1e-6 * (1 - 1e-6)) ** 0.5, rel=1e-12)


def test_what_a_dataset_gives_as_an_image():
    pixels = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
    assert np.array_equal(np.asarray(as_rgb_image(pixels, 0)), pixels.transpose(1, 2, 0))
    assert np.asarray(as_rgb_image(pixels[:1], 0)).shape == (2, 4, 3)
    assert as_rgb_image(Image.new("L", (2, 2)), 0).mode == "RGB"
    with pytest.raises(Exception, match=r"sample 5 is ndarray \(3, 2, 4\) of float32; expected a PIL image or uint8"):
        as_rgb_image(pixels.astype(np.float32), 5)
