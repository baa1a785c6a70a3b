"""Colours, overlays and sheets."""

import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pegboard import PegboardError
from pegboard_visual.drawing.picture import save
from pegboard_visual.pictures.cam import Row, _bars, coloured, gradient_picture, jet, overlay, percent, sheet
from tests.conftest import Command

IMAGE = np.full((30, 40, 3), 200, dtype=np.uint8)


@pytest.fixture
def without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where OpenCV's system libraries are missing."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setattr("pegboard_visual.pictures.cam.jet", jet.__wrapped__)


def test_the_colours_are_jets() -> None:
    colours = jet()
    assert colours.shape == (256, 3) and colours.dtype == np.uint8
    assert colours[0].tolist() == [0, 0, 128] and colours[255].tolist() == [128, 0, 0]
    assert coloured(np.array([[0.0, 1.0]], np.float32)).tolist() == [[[0, 0, 128], [128, 0, 0]]]


def test_without_opencv_matplotlib_colours(without_opencv: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pegboard"):
        colours = jet.__wrapped__()
    assert "OpenCV cannot be imported" in caplog.text
    difference = np.abs(colours.astype(int) - jet().astype(int))
    assert difference.max() <= 40 and difference.mean() < 8  # JET's corners lie a little elsewhere
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    assert overlay(IMAGE, values).shape == IMAGE.shape


def test_without_either_a_sentence(without_opencv: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PegboardError, match="OpenCV or matplotlib, and neither can be imported"):
        jet.__wrapped__()


def test_an_overlay_is_half_image_half_map() -> None:
    values = np.array([[0.0, 0.0], [0.0, 5.0]], np.float32)
    mixed = overlay(IMAGE, values)
    assert mixed.shape == IMAGE.shape and mixed.dtype == np.uint8
    assert mixed[0, 0].tolist() == [100, 100, 164] and mixed[-1, -1].tolist() == [164, 100, 100]
    flat = overlay(IMAGE, np.full((2, 2), 3.0, np.float32))
    assert (flat == [100, 100, 164]).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_gradients_lie_around_grey(channels: int) -> None:
    gradient = np.zeros((channels, 4, 4), np.float32)
    assert (gradient_picture(gradient) == 128).all()
    gradient[:, 0, 0], gradient[:, 1, 1] = 2.0, -2.0
    picture = gradient_picture(gradient)
    assert picture[0, 0].tolist() == [255] * 3 and picture[1, 1].tolist() == [0] * 3


def test_the_figure_of_a_certain_class_is_within_the_sheet() -> None:
    pixels = sheet([Row(IMAGE, IMAGE, IMAGE, "image", 0, [1.0, 0.0], "", 0)], ["a", "b"], "Grad-CAM")
    assert (pixels[:, -3:] == 255).all()
    assert (pixels[:, -60:] < 255).any()  # it ends there


@pytest.mark.parametrize("count", [1, 3, 12])
def test_a_sheet_of_any_number_of_classes_and_any_names(tmp_path: Path, count: int) -> None:
    classes = ["$x_1$", "<script>", "日本", "a very long name of a class, indeed " * 3, *map(str, range(8))][:count]
    shares = [1 / count] * count
    rows = [
        Row(image, IMAGE[:5, :5], image, "image" * 30, count - 1, shares, note, 0)
        for image, note in ((IMAGE, ""), (IMAGE[:2], "flat map"), (IMAGE[:, :2], ""))
    ]
    pixels = sheet(rows, classes, "Grad-CAM of $1")
    save(pixels, tmp_path / "deep" / "sheet.png")
    with Image.open(tmp_path / "deep" / "sheet.png") as image:
        assert np.array_equal(np.asarray(image), pixels) and pixels.shape[2] == 3
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["sheet.png"]


def test_the_bars_hold_the_explained_and_the_true_class() -> None:
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    shares = [0.3, 0.2, 0.15, 0.12, 0.11, 0.08, 0.04]
    _bars(axes, Row(IMAGE, IMAGE, IMAGE, "image", 5, shares, truth=6), list("abcdefg"))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c", "f", "g (true)"]


def test_percentages() -> None:
    assert [percent(share) for share in (0, 0.01, 0.05, 87.34, 100)] == [
        "0.0 %", "< 0.1 %", "0.1 %", "87.3 %", "100.0 %",
    ]  # fmt: skip


def test_listing_plugins_imports_none_of_it(python: Command) -> None:
    script = (
        "import sys; from pegboard.cli import main; main(['cam', '--help']) if len(sys.argv) > 1 else main([]);"
        "print(sorted({'torch', 'cv2', 'matplotlib', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    done = python("-c", script)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
    assert any(line.split()[:1] == ["cam"] for line in done.stdout.splitlines())
