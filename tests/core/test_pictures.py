"""A picture of any usual form is kept whole, under its name, and given back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pegboard import PegboardError, Pictures
from pegboard.pictures import as_pixels, file_name
from tests import runs

RED = np.zeros((4, 6, 3), np.uint8)
RED[..., 0] = 255


@pytest.mark.parametrize(
    "picture",
    [
        RED,
        RED / 255,
        (RED / 255).astype(np.float32),
        Image.fromarray(RED),
        torch.from_numpy(RED).permute(2, 0, 1),
        torch.from_numpy(RED).permute(2, 0, 1) / 255,
        (torch.from_numpy(RED).permute(2, 0, 1) / 255).bfloat16().requires_grad_(),
    ],
    ids=["uint8", "float64", "float32", "Pillow", "tensor", "float tensor", "bfloat16 tensor"],
)
def test_every_form_gives_the_same_pixels(picture: Any, tmp_path: Path) -> None:
    shown = Pictures(tmp_path).add("red", picture, "all red", epoch=2, iteration=7, data={"share": 1.0})
    assert np.array_equal(shown.pixels(), RED)
    assert shown.path == tmp_path / "iteration_00000007" / "red.png"
    assert Pictures(tmp_path).all() == [shown]


def test_grey_pictures() -> None:
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6)
    for picture in (grey, grey[..., None], torch.from_numpy(grey), torch.from_numpy(grey)[None]):
        assert np.array_equal(as_pixels(picture), np.stack([grey] * 3, axis=2))


def test_a_figure(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3, 2), dpi=50, facecolor="lime")
    shown = Pictures(tmp_path).add("green", figure)
    assert shown.pixels().shape == (100, 150, 3) and shown.pixels()[0, 0].tolist() == [0, 255, 0]


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ("a.png", "mine: a str is no picture; expected a matplotlib figure"),
        (np.zeros((2, 2, 5)), r"not \(2, 2, 5\)"),
        (np.zeros((0, 2, 3)), r"not \(0, 2, 3\)"),
        (np.full((2, 2), 7.0), "float pixels go from 0 to 1, these from 7 to 7"),
        (np.full((2, 2), np.nan), "float pixels go from 0 to 1, these from nan"),
        (np.zeros((2, 2), np.int64), "not int64"),
    ],
)
def test_what_is_no_picture(picture: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(PegboardError, match=message):
        Pictures(tmp_path).add("mine", picture)
    assert Pictures(tmp_path).all() == []


def test_names_become_files_that_are_theirs_alone(tmp_path: Path) -> None:
    names = ["conv1/weight", "conv1_weight", "../../etc/passwd", "猫", "", ".hidden", "a" * 300, "a" * 301]
    assert file_name("Confusion_Matrix_valid") == "Confusion_Matrix_valid"
    pictures = Pictures(tmp_path)
    for name in names:
        pictures.add(name, RED)
    assert sorted(shown.name for shown in pictures.all()) == sorted(names)
    assert {path.parent for path in tmp_path.rglob("*.png")} == {tmp_path / "iteration_00000000"}


def test_the_same_name_at_the_same_iteration_is_replaced_and_later_ones_are_forgotten(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path)
    for iteration in (3, 3, 6, 9):
        pictures.add("red", RED, f"at {iteration}", iteration=iteration)
    pictures.forget_after(6)
    assert [shown.caption for shown in pictures.all()] == ["at 3", "at 6"]
    assert len(list(tmp_path.rglob("*.png"))) == 2


def test_a_picture_without_its_record_does_not_count(tmp_path: Path) -> None:
    shown = Pictures(tmp_path).add("red", RED)
    shown.path.with_suffix(".json").unlink()
    assert Pictures(tmp_path).all() == []


def test_a_run_shows_a_picture_everywhere(tmp_path: Path, boards: None) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from pegboard import HOOKS, Hook

    class Red(Hook):
        """Shows red after each epoch."""

        def after_train_epoch(self, run: Any) -> None:
            run.show("red", RED, f"epoch {run.epoch}", data={"share": [1.0]})

    runs.hang_up()
    HOOKS.register(Red)
    runs.train(tmp_path, hooks={"red": {"type": "Red"}, "tensorboard": {"type": "TensorBoard"}}, train_for="2 epochs")
    first, second = Pictures(tmp_path / "figures").all()
    assert (first.caption, first.iteration, first.epoch) == ("epoch 1", 3, 1)
    assert json.loads(second.path.with_suffix(".json").read_text())["data"] == {"share": [1.0]}
    [file] = (tmp_path / "tensorboard").glob("*tfevents*")
    events = EventAccumulator(str(file))
    events.Reload()
    assert [image.step for image in events.Images("red")] == [3, 6]


def test_a_resumed_run_forgets_what_it_had_drawn_since(tmp_path: Path, boards: None) -> None:
    from pegboard import checkpoint

    runs.hang_up()
    runs.train(tmp_path, train_for="2 epochs")
    pictures = Pictures(tmp_path / "figures")
    for iteration in (3, 4):
        pictures.add("red", RED, iteration=iteration)
    runs.train(
        tmp_path, resume=checkpoint.load(tmp_path / "checkpoints" / "iteration_00000003.pt"), train_for="2 epochs"
    )
    assert [shown.iteration for shown in pictures.all()] == [3]
