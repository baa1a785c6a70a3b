"""`pegboard init`: a project for a folder of images, whose next commands work as they are printed."""

import logging
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from pegboard import Config
from pegboard_data.index_files import read_index
from pegboard_data.project import batch_size, best_side
from pegboard_data.statistics import Tally

COLOURS = {"red & blue": (200, 20, 160), "green": (30, 180, 40)}


def draw(folder: Path, count: int = 10, size: int = 24) -> Path:
    """``count`` images a class, each of one colour that is a little different from the others of its class."""
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            shade = tuple(value + 4 * number for value in colour)
            Image.new("RGB", (size + number, size), shade).save(folder / name / f"{number} a.png")
    return folder


@pytest.fixture
def _log_as_before() -> Iterator[None]:
    log = logging.getLogger("pegboard")
    handlers, level, propagate = list(log.handlers), log.level, log.propagate
    yield
    log.handlers, log.level, log.propagate = handlers, level, propagate


def commands(printed: str) -> list[list[str]]:
    """What stands under "Next:", as a shell would split it."""
    lines = printed.split("\nNext:\n")[1].strip().splitlines()
    return [shlex.split(line, comments=True) for line in lines]


SHORTER = ("--cfg-options", "train_for=2 epochs")


@pytest.mark.usefixtures("_log_as_before")
@pytest.mark.parametrize("shorter", [SHORTER, pytest.param((), marks=pytest.mark.slow)], ids=["short", "whole"])
def test_the_next_three_commands_work(pegboard, tmp_path: Path, shorter: tuple[str, ...]) -> None:
    draw(tmp_path / "my pictures")
    (tmp_path / "my pictures" / "green" / "broken.jpg").write_bytes(b"")
    shutil.copytree(tmp_path / "my pictures" / "green", tmp_path / "my pictures" / "largé" / "deep er")
    status, out, _ = pegboard("init", "my pictures")
    assert status == 0
    following = commands(out)
    assert [words[:2] for words in following] == [["pegboard", "train"], ["pegboard", "train"], ["pegboard", "test"]]
    following[1] += shorter
    for words in following:
        status, out, err = pegboard(*words[1:])
        assert status == 0, err
    [accuracy] = re.findall(r"test/top1\s+([0-9.]+)", out)
    assert 0 <= float(accuracy) <= 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my pictures", "my-pictures-project", "runs"]
    assert sorted(path.name for path in (tmp_path / "my pictures").iterdir()) == sorted([*COLOURS, "largé"])


def test_the_parts_share_no_image_and_hold_all(pegboard, tmp_path: Path) -> None:
    draw(tmp_path / "pictures", 20)
    assert pegboard("init", "pictures", "--out", "deep/project")[0] == 0
    index = tmp_path / "deep" / "project" / "index"
    parts = {name: read_index(index / f"{name}.txt") for name in ("train", "valid", "test")}
    listed = [str((index / path).resolve()) for part in parts.values() for path in part.paths]
    assert len(listed) == len({*listed}) == 40
    assert [len(part.paths) for part in parts.values()] == [28, 6, 6]
    assert parts["test"].classes == sorted(COLOURS)


def test_the_config_has_the_mean_and_deviation_of_the_training_images_alone(pegboard, tmp_path: Path) -> None:
    draw(tmp_path / "pictures", 12, 32)
    assert pegboard("init", "pictures")[0] == 0
    config = Config.load(tmp_path / "pictures-project" / "config.py").values
    [normalize] = [part for part in config["val"]["transforms"] if part["type"] == "Normalize"]
    index = tmp_path / "pictures-project" / "index"
    tally = Tally()
    for path in read_index(index / "train.txt").paths:
        tally.add(Image.open(index / path).resize((32, 32), Image.Resampling.BILINEAR))
    assert normalize["mean"] == pytest.approx(tally.mean(), abs=1e-4)
    assert normalize["std"] == pytest.approx(tally.std(), abs=1e-4)


def test_images_that_cannot_be_read_are_left_out_and_named(pegboard, tmp_path: Path) -> None:
    draw(tmp_path / "pictures", 12)
    for number in range(7):
        (tmp_path / "pictures" / "green" / f"bad {number}.jpg").write_bytes(b"" if number else b"no image")
    status, out, _ = pegboard("init", "pictures")
    assert status == 0
    assert out.count("left out: pictures/green/bad ") == 5 and "and 2 more; `pegboard verify pictures`" in out
    index = tmp_path / "pictures-project" / "index"
    listed = [path for name in ("train", "valid", "test") for path in read_index(index / f"{name}.txt").paths]
    assert len(listed) == 24 and not [path for path in listed if "bad" in path]


@pytest.mark.parametrize(("count", "parts"), [(1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1]), (6, [4, 1, 1])])
def test_a_small_class_has_an_image_in_each_part_while_they_last(
    pegboard, tmp_path: Path, count: int, parts: list[int]
) -> None:
    draw(tmp_path / "pictures", 20)
    rare = tmp_path / "pictures" / "稀 有"
    rare.mkdir()
    for number in range(count):
        Image.new("RGB", (24, 24), (0, 0, 20 * number)).save(rare / f"é {number}.png")
    status, out, _ = pegboard("init", "pictures")
    assert status == 0 and f"one to each part while they last: '稀 有' ({count})" in out
    index = tmp_path / "pictures-project" / "index"
    read = [read_index(index / f"{name}.txt") for name in ("train", "valid", "test")]
    assert [sum("稀 有" in path for path in part.paths) for part in read] == parts
    assert [len(part.paths) for part in read] == [28 + parts[0], 6 + parts[1], 6 + parts[2]]


def test_parts_that_are_there_stay_and_one_that_is_missing_is_cut_from_train(pegboard, tmp_path: Path) -> None:
    draw(tmp_path / "data" / "train", 20)
    draw(tmp_path / "data" / "test", 3)
    status, out, _ = pegboard("init", "data")
    assert status == 0 and "the parts as they are, but for valid: 15% of train" in out
    index = tmp_path / "data-project" / "index"
    sizes = {name: len(read_index(index / f"{name}.txt").paths) for name in ("train", "valid", "test")}
    assert sizes == {"train": 34, "valid": 6, "test": 6}
    assert all("/test/" in path for path in read_index(index / "test.txt").paths)


def test_among_the_images_the_project_and_its_runs_go_elsewhere(pegboard, tmp_path: Path, monkeypatch) -> None:
    folder = draw(tmp_path / "pictures")
    monkeypatch.chdir(folder)
    status, out, _ = pegboard("init")
    assert status == 0
    first, *rest = commands(out)
    assert first == ["cd", str(tmp_path / "pictures-project")]
    assert rest[0] == ["pegboard", "train", "config.py", "--try"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(COLOURS)
    monkeypatch.chdir(first[1])
    assert pegboard("check", "config.py")[0] == 0


def _damaged(folder: Path) -> None:
    draw(folder)
    for path in (folder / "green").iterdir():
        path.write_bytes(path.read_bytes()[:60])


def _single(folder: Path) -> None:
    draw(folder)
    shutil.rmtree(folder / "green")


def _taken(folder: Path) -> None:
    draw(folder)
    (folder.parent / "pictures-project").mkdir()
    (folder.parent / "pictures-project" / "config.py").write_text("seed = 1\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("prepare", "arguments", "message"),
    [
        (draw, ["pictrues"], "no such file or folder; did you mean 'pictures'"),
        (lambda folder: folder.mkdir(), ["pictures"], "no class folders in it"),
        (
            lambda folder: draw(folder, 1),
            ["pictures"],
            "the valid part would be empty; expected a class with at least 3 images",
        ),
        (lambda folder: draw(folder, 2), ["pictures"], "the test part would be empty"),
        (draw, ["pictures", "--out", "pictures/project"], "lies among the images"),
        (draw, ["pictures", "--seed", "-1"], "seed"),
        (_taken, ["pictures"], "holds a config.py already"),
        (_single, ["pictures"], "pictures has one class, 'red & blue', and there is nothing to tell it from"),
        (_damaged, ["pictures"], "no image of class 'green' in pictures can be read"),
        (lambda folder: folder.write_text(""), ["pictures"], "is a file; expected a folder"),
    ],
)
def test_what_cannot_be_begun_is_said_and_nothing_is_written(
    pegboard, tmp_path: Path, prepare, arguments: list[str], message: str
) -> None:
    prepare(tmp_path / "pictures")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    status, out, err = pegboard("init", *arguments)
    assert status == 2 and out == ""
    assert message in err and len(err.splitlines()) == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("sides", "best"), [([8], 32), ([28], 32), ([52], 64), ([50, 640, 100], 64), ([480], 128)])
def test_the_side_follows_the_images(tmp_path: Path, sides: list[int], best: int) -> None:
    paths = [tmp_path / f"{side}.png" for side in sides]
    for side, path in zip(sides, paths, strict=True):
        Image.new("RGB", (side, 2 * side)).save(path)
    assert best_side(paths) == best


@pytest.mark.parametrize(("count", "size"), [(1, 4), (79, 4), (80, 8), (500, 32), (640, 64), (100_000, 64)])
def test_the_batch_size_follows_the_number_of_images(count: int, size: int) -> None:
    assert batch_size(count) == size
