"""Confusion matrices: right numbers, and pictures in which nothing overlaps."""

import csv
import json
import logging
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from torch import Tensor, nn

from pegboard import Batch, Hook, PegboardError, Pictures, Runner
from pegboard.cli import main
from pegboard.registry import BOARDS
from pegboard_visual.drawing.lettering import printable
from pegboard_visual.hooks.confusion import ConfusionMatrix
from pegboard_visual.outcomes import Outcomes
from pegboard_visual.pictures import confusion as drawing
from pegboard_visual.pictures.confusion import class_figures, confused_pairs, confusion_csv, confusion_data, top1
from tests import runs
from tests.conftest import restored_boards
from tests.plugins.pegboard_visual.conftest import status_of

HOOK = {"type": "ConfusionMatrix", "every": "1 epoch"}


pytestmark = pytest.mark.usefixtures("tiny_parts")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_parts: None) -> Path:
    """A run folder whose hook has looked at both splits."""
    folder = tmp_path_factory.mktemp("trained")
    hooks = {"val": {**HOOK, "every": "2 epochs"}, "train": {**HOOK, "split": "train", "pairs": 0}}
    runs.train(folder, hooks=hooks, test=runs.values()["val"])
    return folder


def counted(classes: int, samples: int = 5000) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Two thirds right, the others among the neighbours."""
    random = np.random.default_rng(0)
    truth = random.integers(0, classes, samples)
    wrong = (truth + random.integers(1, max(2, classes // 5), samples)) % classes
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, np.where(random.random(samples) < 0.66, truth, wrong)), 1)
    return counts


# -- numbers ---------------------------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(500, 7, generator=generator), torch.randint(7, (500,), generator=generator)
    outcomes = Outcomes()
    for part in torch.arange(500).split(64):
        outcomes.add(logits[part], targets[part], part)
    outcome = outcomes.read()
    predicted = logits.argmax(1)
    counts = outcome.counts()
    assert (counts == confusion_matrix(targets, predicted)).all()
    precision, recall, f1, support = precision_recall_fscore_support(targets, predicted)
    for row, *expected in zip(class_figures(counts, list("abcdefg")), precision, recall, f1, support, strict=True):
        assert [row.precision, row.recall, row.f1, row.count] == pytest.approx(expected)
    assert top1(counts) == pytest.approx(float((predicted == targets).float().mean()))
    assert outcome.probability == pytest.approx(logits.softmax(1).amax(1).numpy(), abs=1e-6)
    assert outcome.truth_probability == pytest.approx(logits.softmax(1)[torch.arange(500), targets].numpy(), abs=1e-6)
    assert outcome.sample.tolist() == list(range(500))


@pytest.mark.parametrize("given", [torch.Tensor.softmax, torch.Tensor.log_softmax])
def test_probabilities_and_their_logarithms_mean_the_same_as_logits(given: Any) -> None:
    logits, targets = torch.randn(9, 4, generator=torch.Generator().manual_seed(0)), torch.arange(9) % 4
    seen = []
    for outputs in (logits, given(logits, 1)):
        outcomes = Outcomes()
        outcomes.add(outputs, targets, torch.arange(9))
        seen.append(outcomes.read())
    assert seen[1].probability == pytest.approx(seen[0].probability, abs=1e-6)
    assert seen[1].truth_probability == pytest.approx(seen[0].truth_probability, abs=1e-6)


def test_targets_may_be_shares_and_those_of_no_class_are_left_out() -> None:
    outcomes = Outcomes()
    outcomes.add(torch.eye(3) * 9, torch.tensor([[0.8, 0.2, 0], [0, 1, 0], [0.6, 0, 0.4]]), torch.arange(3))
    outcomes.add(torch.eye(3) * 9, torch.tensor([0, -100, 7]), torch.arange(3))
    outcome = outcomes.read()
    assert outcome.counts().tolist() == [[2, 0, 1], [0, 1, 0], [0, 0, 0]] and outcome.left_out == 2


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64), r"gives shape \(2, 3, 4, 4\)"),
        (torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64), "at least two classes"),
        ({"out": 1}, torch.zeros(2, dtype=torch.int64), "gives a dict"),
        (torch.zeros(2, 3), torch.zeros(2), "targets are torch.float32 of shape"),
        (torch.zeros(2, 3), [1, 2], "targets are <class 'list'>"),
    ],
)
def test_what_is_no_classification_is_refused(outputs: Any, targets: Any, message: str) -> None:
    with pytest.raises(PegboardError, match=message):
        Outcomes().add(outputs, targets, torch.arange(2))


def test_nan_is_refused() -> None:
    outcomes = Outcomes()
    outcomes.add(torch.tensor([[float("nan"), 1.0], [0.0, 1.0]]), torch.tensor([0, 1]), torch.arange(2))
    with pytest.raises(PegboardError, match="nan for 1 of 2 samples"):
        outcomes.read()


def test_an_empty_class_has_a_row_of_zeros_and_no_figures() -> None:
    counts = np.array([[3, 1, 0], [0, 0, 0], [2, 0, 0]])
    rows = class_figures(counts, ["a", "b", "c"])
    assert (rows[1].recall, rows[1].precision, rows[1].f1) == (None, 0, 0)  # it was predicted once, wrongly
    assert (rows[2].recall, rows[2].precision, rows[2].f1) == (0, None, 0)
    table = list(csv.reader(confusion_csv(counts, ["a", "b", "c"]).splitlines()))
    assert table[2] == ["b", "0", "0", "0", "n/a", "0", "0", "0", "0"]
    assert table[0][:6] == ["true class", "count", "correct", "precision", "recall", "f1"]
    text = json.dumps(confusion_data(counts, ["a", "b", "c"], "valid"), allow_nan=False)
    assert json.loads(text)["per_class"][1]["recall"] is None
    nothing = class_figures(np.zeros((2, 2), np.int64), ["a", "b"])
    assert [(row.recall, row.precision, row.f1) for row in nothing] == [(None, None, None)] * 2
    assert top1(np.zeros((2, 2), np.int64)) is None


def test_confused_pairs_stand_in_order() -> None:
    counts = np.array([[5, 4, 0], [4, 90, 1], [7, 0, 1]])
    pairs = confused_pairs(counts, 3)
    assert [(pair.truth, pair.predicted, pair.count) for pair in pairs] == [(2, 0, 7), (0, 1, 4), (1, 0, 4)]
    assert pairs[0].share == 7 / 8


# -- the picture -----------------------------------------------------------------------------------------------------


def drawn(monkeypatch: pytest.MonkeyPatch, counts: Any, names: list[str]) -> Figure:
    """The figure itself, laid out, instead of its pixels."""
    kept: list[Figure] = []

    def keep(figure: Figure) -> Any:
        kept.append(figure)
        figure.draw_without_rendering()
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr(drawing, "rendered", keep)
    drawing.draw_confusion(counts, names, "Confusion_Matrix_valid", "below")
    return kept[0]


def assert_readable(figure: Figure, classes: int) -> None:
    """No name touches another, no number leaves its cell, all letters can be read."""
    axes = figure.axes[0]
    across, down = axes.get_xticklabels(), axes.get_yticklabels()
    boxes = [label.get_window_extent() for label in down]
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))
    assert all(label.get_rotation() == 60 for label in across)
    starts = [axes.transData.transform((label.get_position()[0], 0))[0] for label in across]
    height = across[0].get_fontsize() * figure.dpi / 72
    assert all((b - a) * np.sin(np.pi / 3) >= 1.1 * height for a, b in pairwise(starts))
    cell = axes.get_window_extent().width / classes
    numbers = [text for text in axes.texts if isinstance(text, Text) and text.get_text().isdigit()]
    for text in numbers:
        box = text.get_window_extent()
        assert box.width <= cell and box.height <= cell, f"{text.get_text()} leaves its cell"
    assert all(text.get_fontsize() >= 6 for text in [*numbers, *down, *across])


@pytest.mark.parametrize("classes", [2, 10, 40, 100, 200])
def test_a_matrix_of_any_size_is_readable(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = counted(classes)
    figure = drawn(monkeypatch, counts, [f"a long name of class {i}" for i in range(classes)])
    assert_readable(figure, classes)
    axes, bar = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted label", "True label")
    assert axes.get_title() == "Confusion_Matrix_valid" and bar.get_ylabel() == "share of the true class"
    [image] = axes.images
    assert image.get_cmap().name == "Greys" and image.get_clim() == (0, 1)
    shares = np.asarray(image.get_array())
    assert shares.sum(1) == pytest.approx(1) and shares[1, 0] == counts[1, 0] / counts[1].sum()
    shown = {text.get_text() for text in axes.texts}
    assert (str(counts[0, 0]) in shown) == (classes <= 40)  # numbers drop out
    assert len(axes.get_yticklabels()) == (classes if classes <= 100 else 100)  # names thin out


def test_a_matrix_whose_names_overlap_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "LETTERS", 14.0)
    figure = drawn(monkeypatch, counted(40), [f"class {i}" for i in range(40)])
    figure.axes[0].set_yticks(range(40), [f"class {i}" for i in range(40)], fontsize=22)
    figure.draw_without_rendering()
    with pytest.raises(AssertionError):
        assert_readable(figure, 40)


def test_names_in_any_script_and_of_any_length() -> None:
    names = ["кошка", "γάτα", "a$b$c", "", "two\nlines", "x" * 60 + "end", "\U00013000\U00013001"]
    shown = printable(names)
    assert shown[:3] == ["кошка", "γάτα", "a$b$c"] and shown[4] == "two lines"
    assert shown[3] == "[3]" and shown[6] == "[6]"  # nothing to show, and hieroglyphs
    assert len(shown[5]) == 24 and shown[5].endswith("end") and "…" in shown[5]
    pixels = drawing.draw_confusion(counted(7), names, "Confusion_Matrix_valid")
    assert pixels.ndim == 3 and pixels.dtype == np.uint8 and pixels.std() > 10


# -- the hook --------------------------------------------------------------------------------------------------------


def test_the_hook_counts_what_the_run_counts(trained: Path) -> None:
    record = runs.records(trained)[-1]
    shown = {one.name: one for one in Pictures(trained / "figures").all() if one.iteration == 6}
    for name, split, count in (("Confusion_Matrix_valid", "val", 12), ("Confusion_Matrix_train", "train", 24)):
        counts = np.array(shown[name].data["counts"])
        assert shown[name].data["kind"] == "confusion" and shown[name].data["classes"] == ["a", "b", "c", "d"]
        assert counts.sum() == count and counts.trace() / counts.sum() == pytest.approx(record[f"{split}/top1"])
        table = list(csv.reader(shown[name].path.with_suffix(".csv").read_text().splitlines()))
        assert [[int(cell) for cell in row[6:]] for row in table[1:]] == counts.tolist()
    pairs = shown["Confused_Pairs_valid"].data
    assert pairs["kind"] == "confused_pairs" and all(len(pair["samples"]) == pair["count"] for pair in pairs["pairs"])
    assert all(sample % 4 == pair["truth"] for pair in pairs["pairs"] for sample in pair["samples"])


class StopsAt(Hook):
    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        if run.iteration == 5:
            run.stop("for the test")


def test_a_training_epoch_that_is_resumed_is_counted_whole(trained: Path, tmp_path: Path) -> None:
    hooks = {"train": {**HOOK, "split": "train", "pairs": 0}}
    with restored_boards():
        stops = runs.hang("hooks", "stops", StopsAt())
        runs.train(tmp_path, hooks={**hooks, "stops": stops})
    runs.runner(tmp_path, runs.newest(tmp_path), hooks=hooks).train()
    counts = [
        next(one.data["counts"] for one in Pictures(folder / "figures").all() if one.path.stem.endswith("_train")
             and one.iteration == 6)
        for folder in (trained, tmp_path)
    ]  # fmt: skip
    assert counts[0] == counts[1]


def mean_output() -> Any:
    """A loss that takes any output."""
    return lambda outputs, targets: outputs.mean()


def test_a_model_that_classifies_nothing_switches_it_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Maps(nn.Module):
        """Gives an image."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, images: Tensor) -> Tensor:
            return self.conv(images)

    with restored_boards(), caplog.at_level(logging.ERROR, "pegboard"):
        BOARDS["models"].register(Maps)
        BOARDS["losses"].register(mean_output)
        changes = {"model": {"type": "Maps"}, "loss": {"type": "mean_output"}, "metrics": {}}
        run = runs.train(tmp_path, **changes, hooks={"confusion": HOOK})
    assert run.iteration == run.total_iterations
    [error] = [r.exc_info[1] for r in caplog.records if r.exc_info]
    assert "the model gives shape (8, 4, 8, 8)" in str(error)


def test_a_run_without_validation_is_told_what_to_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "pegboard"):
        runs.train(tmp_path, val=None, hooks={"confusion": HOOK})
    [error] = [r.exc_info[1] for r in caplog.records if r.exc_info]
    assert "no val data to look at; set split='train'" in str(error)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "test"}, "split must be 'val' or 'train', got 'test'"),
        ({"split": "valid"}, "did you mean 'val'"),
        ({"pairs": 21}, "pairs must be an integer from 0 to 20, got 21"),
        ({"every": "5"}, "'5' is not a duration"),
    ],
)
def test_mistakes_are_said(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PegboardError, match=message):
        ConfusionMatrix(**arguments)


# -- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("split", "count"), [("val", 12), ("train", 24), ("test", 12)])
def test_the_command_draws_the_whole_split(
    split: str, count: int, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "Confusion_Matrix_" + {"val": "valid"}.get(split, split)
    assert main(["confusion", str(trained), "--split", split, "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    record = json.loads((tmp_path / "out" / f"{name}.json").read_text())
    counts = np.array(record["data"]["counts"])
    assert counts.sum() == count and record["epoch"] == 2 and record["iteration"] == 6
    assert f"top-1 {counts.trace() / count:.4f}: {counts.trace()} of {count} samples" in out
    assert out.splitlines()[0].split() == ["class", "count", "correct", "recall", "precision", "f1"]
    row = class_figures(counts, list("abcd"))[0]
    expected = ["n/a" if value is None else f"{value:.4f}" for value in (row.recall, row.precision, row.f1)]
    assert out.splitlines()[1].split() == ["a", str(row.count), str(row.correct), *expected]
    assert (tmp_path / "out" / f"{name}.png").is_file() and (tmp_path / "out" / f"{name}.csv").is_file()
    main(["test", str(trained), "--split", split])
    if split != "train":  # there, test shows augmented images
        assert f"{counts.trace() / count:.4f}" in capsys.readouterr().out


def test_without_out_the_run_gets_the_pictures(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["confusion", str(trained), "--split", "test", "--pairs", "0"]) == 0
    [one] = [shown for shown in Pictures(trained / "figures").all() if shown.name == "Confusion_Matrix_test"]
    assert one.iteration == 6 and one.path.with_suffix(".csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "there is no nowhere"),
        (["RUN", "--pairs", "21"], "--pairs: expected an integer from 0 to 20, got '21'"),
        (["RUN", "--checkpoint", "bets"], "there is no"),
        (["RUN", "--out", "FILE"], "is a file; expected a folder"),
        (["RUN", "--split", "test", "--cfg-options", "test=None"], "has no 'test' data; try --split train or val"),
    ],
)
def test_mistakes_at_the_command_line_are_said(
    arguments: list[str], message: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    names = {"RUN": str(trained), "FILE": str(file)}
    assert status_of("confusion", *(names.get(word, word) for word in arguments)) == 2
    assert message in capsys.readouterr().err
