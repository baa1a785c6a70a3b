"""Names in any script: every picture chooses the font in one way, and a name that no font has is its number."""

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pegboard import Batch
from pegboard_visual.drawing import lettering
from pegboard_visual.drawing.compose import fitting, length, text
from pegboard_visual.drawing.image_grid import Cell, Strip, draw_grid
from pegboard_visual.drawing.lettering import LEFT_TO_RIGHT, UNSHOWN, printable, unshown
from pegboard_visual.pictures import samples
from pegboard_visual.pictures.cam import explained, sheet

NOBODYS = "\U00010fff"  # no font can have it: it is no character
SERIF_ALONE = "ᴥ"  # in DejaVu Serif, which every matplotlib brings, and not in DejaVu Sans


@pytest.fixture
def serif(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine on which a second font is installed."""
    monkeypatch.setattr(lettering, "MORE_FONTS", ("DejaVu Serif",))
    forget()
    yield
    monkeypatch.undo()
    forget()


def forget() -> None:
    for found in (lettering.families, lettering._shown_characters, lettering.written):
        found.cache_clear()


def ink(picture: NDArray[np.uint8]) -> int:
    return int((picture < 128).any(2).sum())


def test_a_name_that_no_font_has_is_its_number_in_every_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["cat", f"ca{NOBODYS}t"]
    assert unshown(names) == {1} and printable(names) == ["cat", "[1]"]
    seen: list[str] = []
    monkeypatch.setattr(samples, "text", lambda line, *more: seen.append(line) or text(line, *more))
    loader = SimpleNamespace(alone=SimpleNamespace(transforms=()), together=SimpleNamespace(transforms=()))
    batch = Batch(torch.rand(2, 3, 8, 8), torch.arange(2), torch.arange(2))
    drawn = samples.samples_shown(batch, loader, 2, {"classes": names}, "train", 1)
    assert "[1]" in seen and names[1] not in seen
    assert drawn.data["labels"] == names  # the numbers behind it keep the name
    row = explained(np.zeros((8, 8, 3), np.uint8), torch.rand(2, 2), (8, 8), None, "a", 1, [0.2, 0.8])
    assert np.array_equal(sheet([row], names, "CAM"), sheet([row], ["cat", "[1]"], "CAM"))


def test_a_second_font_is_asked_for_what_the_first_lacks(serif: None) -> None:
    assert printable([SERIF_ALONE, NOBODYS]) == [SERIF_ALONE, "[1]"]
    with_it = text(SERIF_ALONE, 40)
    lettering.families.cache_clear()
    lettering.MORE_FONTS = ()
    lettering.written.cache_clear()
    assert not np.array_equal(with_it, text(SERIF_ALONE, 40))  # which is the box of a missing letter


@pytest.mark.parametrize("line", ["קטן", "قطة صغيرة", "😀 grin", "ไทย"])
def test_other_scripts_are_as_high_as_latin_and_as_wide_as_they_say(line: str) -> None:
    picture = text(line)
    assert picture.shape[:2] == (text("cat").shape[0], length(line)) and ink(picture) > 20
    assert (picture[:, -1] == 255).all(), "the end is cut off"
    short = fitting(line * 9, 60)
    assert short.endswith("…") and length(short) <= 60


def test_a_name_read_from_right_to_left_keeps_its_place() -> None:
    [name, latin] = printable(["עברית", "cat"])
    assert name == f"{LEFT_TO_RIGHT}עברית{LEFT_TO_RIGHT}" and latin == "cat"
    figures = text("84.8 %", 40)
    width = figures.shape[1] // 2
    kept, turned = (text(f"{one} 84.8 %", 40)[:, -width:] for one in (name, "עברית"))  # the end of the line
    distance = [abs(int(ink(end)) - ink(figures[:, -width:])) for end in (kept, turned)]
    assert distance[0] < distance[1]


def test_a_grid_is_as_wide_as_its_columns_and_has_every_cell() -> None:
    red = np.zeros((4, 40, 3), np.uint8)
    red[..., 0] = 255
    tall = np.ascontiguousarray(red.transpose(1, 0, 2))
    cells = [Cell(red, [("a wide one", "#000000")]), Cell(tall, [("a tall one " * 9, "#000000")]), Cell(red)]
    two, three = (draw_grid("title", [Strip("heading", cells)], columns) for columns in (2, 3))
    assert three.shape[1] > two.shape[1] and two.shape[0] > three.shape[0]
    for picture in (two, three):
        painted = (picture == (255, 0, 0)).all(2)
        assert painted.sum() == 2 * 160 * 16 + 15 * 148
    noted = draw_grid("title", [], 3, [UNSHOWN])
    assert ink(noted) > ink(draw_grid("title", [], 3))
