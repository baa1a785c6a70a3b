"""The worst and the most confident mistakes are those, and their pictures are those of the dataset."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pegboard import PegboardError, Pictures, Runner
from pegboard.checkpoint import load
from pegboard.cli import main
from pegboard.runner.inference import probabilities
from pegboard_visual.drawing.image_grid import Strip
from pegboard_visual.drawing.picture import as_picture
from pegboard_visual.hooks.mistakes import Mistakes
from pegboard_visual.outcomes import Outcome
from pegboard_visual.pictures import mistakes as drawing
from pegboard_visual.pictures.mistakes import listed, mistakes_csv, most_confident, worst
from tests import runs
from tests.plugins.pegboard_visual.conftest import status_of

NAMES = ["a", "b", "c"]


def outcome() -> Outcome:
    """Six samples, numbered in tens, four of them wrong."""
    truth, predicted = np.array([0, 1, 2, 0, 1, 2]), np.array([0, 2, 0, 1, 1, 1])
    probability = np.array([0.9, 0.5, 0.8, 0.6, 0.7, 0.8], np.float32)
    of_truth = np.array([0.9, 0.4, 0.1, 0.05, 0.7, 0.15], np.float32)
    return Outcome(3, np.arange(6) * 10, truth, predicted, probability, of_truth)


pytestmark = pytest.mark.usefixtures("tiny_parts")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_parts: None) -> Runner:
    folder = tmp_path_factory.mktemp("trained")
    return runs.train(folder, hooks={"mistakes": {"type": "Mistakes", "images": 3, "every": "2 epochs"}})


def test_worst_and_most_confident() -> None:
    assert worst(outcome(), 9).tolist() == [3, 2, 5, 1]
    assert most_confident(outcome(), 3).tolist() == [2, 5, 3]  # of two alike the first
    [one] = listed(outcome(), worst(outcome(), 1), NAMES)
    assert one == {"sample": 30, "truth": "a", "predicted": "b", "probability": 0.6, "truth_probability": 0.05}
    table = list(csv.reader(mistakes_csv(outcome(), NAMES, ["w", "x", "y", "z"]).splitlines()))
    assert table[0] == ["sample", "truth", "predicted", "probability", "truth_probability", "file"]
    assert [row[0] for row in table[1:]] == ["30", "20", "50", "10"] and [row[-1] for row in table[1:]] == list("wxyz")


def strips(monkeypatch: pytest.MonkeyPatch, *given: Any) -> list[Strip]:
    """What would be drawn."""
    kept: list[Strip] = []
    monkeypatch.setattr(drawing, "draw_grid", lambda title, strips, columns, notes: kept.extend(strips))
    drawing.draw_mistakes(*given)
    return kept


def test_the_images_are_those_of_the_samples_and_none_is_shown_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(256, (60, 3, 5, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    samples = [(image, 0) for image in images]
    first, second = strips(monkeypatch, outcome(), NAMES, samples, 2, "Mistakes_valid")
    for strip, places in ((first, [3, 2]), (second, [5, 1])):
        for cell, place in zip(strip.cells, places, strict=True):
            assert (cell.image == images[place * 10].permute(1, 2, 0).numpy()).all()
    assert [text for text, _ in first.cells[0].lines] == ["b 60.0 %", "true: a", "5.0 %, sample 30"]


def test_a_model_without_mistakes_is_said_to_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    good = outcome()._replace(predicted=outcome().truth)
    [strip] = strips(monkeypatch, good, NAMES, [], 5, "Mistakes_valid")
    assert strip.heading == "no mistakes among 6 samples" and strip.cells == []
    monkeypatch.undo()
    assert drawing.draw_mistakes(good, NAMES, [], 5, "Mistakes_valid").ndim == 3


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_dataset_may_give_other_tensors(channels: int) -> None:
    image = as_picture(torch.linspace(-3, 3, channels * 6).view(channels, 2, 3))
    assert image.shape == (2, 3, 3) and image.dtype == np.uint8 and image.min() == 0 and image.max() == 255
    with pytest.raises(PegboardError, match=r"a sample of shape \(3,\) is no image"):
        as_picture(torch.zeros(3))


def test_hook_and_command_find_the_mistakes_of_the_model(
    trained: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dots = runs.Dots(12, 1)
    state = load(trained.folder / "checkpoints" / "iteration_00000006.pt")
    trained.model.load_state_dict(state["model"])
    chances = probabilities(trained.model.eval()(dots.images / 255))
    truth = torch.arange(12) % 4
    wrong = (chances.argmax(1) != truth).nonzero()[:, 0]
    expected = wrong[chances[wrong, truth[wrong]].argsort()].tolist()
    assert len(expected) >= 3
    [shown] = Pictures(trained.folder / "figures").all()
    assert (shown.name, shown.data["kind"], shown.data["split"]) == ("Mistakes_valid", "mistakes", "valid")
    assert [one["sample"] for one in shown.data["worst"]] == expected[:3] and shown.data["mistakes"] == len(expected)
    table = list(csv.reader(shown.path.with_suffix(".csv").read_text().splitlines()))
    assert [int(row[0]) for row in table[1:]] == expected

    assert main(["mistakes", str(trained.folder), "--out", str(tmp_path), "--images", "3"]) == 0
    out = capsys.readouterr().out.splitlines()
    record = json.loads((tmp_path / "Mistakes_valid.json").read_text())
    assert record["data"] == shown.data
    assert out[0] == f"{len(expected)} mistakes among 12 samples, epoch 2, iteration 6"
    assert [int(line.split()[0]) for line in out[2 : 2 + 3]] == expected[:3]
    assert (tmp_path / "Mistakes_valid.csv").read_text() == shown.path.with_suffix(".csv").read_text()


@pytest.mark.parametrize("images", [0, 61, True, "3"])
def test_a_wrong_number_of_images_is_said(images: Any, trained: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PegboardError, match="images must be an integer from 1 to 60"):
        Mistakes(images=images)
    if images in (0, 61):
        assert status_of("mistakes", str(trained.folder), "--images", str(images)) == 2
        assert "--images: expected an integer from 1 to 60" in capsys.readouterr().err
