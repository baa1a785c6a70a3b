"""What is written about the code is what the code says."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from pegboard.cli import own_commands
from pegboard.config.keys import LOADER_KEYS, RUN_KEYS
from pegboard.documents import reference, reference_pages
from pegboard.documents.boards import USE
from pegboard.hooks.hook import POINTS, WHEN
from pegboard.registry import BOARDS, HOOKS, Registry
from tests.conftest import REPOSITORY
from tests.docs.blocks import DOCS, blocks

PAGES = dict(reference_pages())
WRITTEN = [*DOCS.rglob("*.md"), REPOSITORY / "README.md", REPOSITORY / "README.zh.md"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_the_code_says(name: str) -> None:
    found = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert found == PAGES[name], f"docs/reference/{name} has fallen behind; run `pegboard docs --write docs`"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_nothing_that_markdown_would_show_as_it_is(name: str) -> None:
    assert not re.findall(r":(?:class|func|meth|mod|attr):`|^\.\. \w+::", PAGES[name], re.MULTILINE)


def test_no_page_is_left_of_what_is_gone() -> None:
    assert {path.name for path in (DOCS / "reference").iterdir()} == set(PAGES)


def test_every_part_key_point_and_command_has_its_place() -> None:
    for board in BOARDS.values():
        for name in board:
            page = PAGES[f"{board.name}.md"]
            assert f"\n## {name}\n" in page or f"`{name}` is `torch." in page, name
    for key in (*RUN_KEYS, *LOADER_KEYS):
        assert f"\n| `{key}` |" in PAGES["run_keys.md"], key
    for point in POINTS:
        assert f"`{reference.signature_of(point)}`" in PAGES["hook_points.md"]
    for command in own_commands():
        assert f"\n## pegboard {command}\n" in PAGES["commands.md"]


def test_every_hook_point_says_when() -> None:
    assert list(WHEN) == list(POINTS)


def test_every_plugin_hook_is_documented() -> None:
    text = (REPOSITORY / "core" / "pegboard" / "hookspecs.py").read_text(encoding="utf-8")
    assert tuple(re.findall(r"@hookspec\ndef (\w+)\(", text)) == reference.PLUGIN_HOOKS


def test_a_changed_docstring_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The specimen: a page of yesterday's code differs."""
    monkeypatch.setitem(WHEN, "after_val", "Never.")  # type: ignore[arg-type]  # a dict behind a Mapping
    assert dict(reference_pages())["hook_points.md"] != PAGES["hook_points.md"]


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_what_a_registrys_page_says_is_often_used_is_there(board: Registry) -> None:
    """Without the libraries' own lists, which change with their versions, a page of bridges alone says nothing."""
    said = re.findall(r"`([A-Z]\w+)`", USE[board.name].partition("ften used")[2].partition("\n\n")[0])
    assert said or "\n## " in PAGES[f"{board.name}.md"]
    assert not [name for name in said if name not in board]


def test_the_design_names_every_registry() -> None:
    text = " ".join((DOCS / "design.md").read_text(encoding="utf-8").split())
    [names] = re.findall(r"\*\*Ten registries.*? has one: ([\w, ]+)\.", text)
    assert names.split(", ") == [*BOARDS] and len(BOARDS) == 10


# -- the README --------------------------------------------------------------------------------------------------------


def commands_in(text: str) -> list[str]:
    return re.findall(r"^\| `pegboard ([\w-]+)", text, re.MULTILINE)


def complaints(listed: list[str], commands: Iterable[str]) -> str:
    missing, gone = sorted({*commands} - {*listed}), sorted({*listed} - {*commands})
    return "; ".join(filter(None, [missing and f"missing: {missing}", gone and f"no command: {gone}"]))


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_readme_lists_the_commands_that_there_are(name: str) -> None:
    listed = commands_in((REPOSITORY / name).read_text(encoding="utf-8"))
    assert len(listed) == len({*listed})
    assert not (wrong := complaints(listed, own_commands())), wrong


def test_a_readme_that_misses_one_is_found() -> None:
    listed = commands_in("| `pegboard train CONFIG` | trains |\n| `pegboard trian CONFIG` | trains |\n")
    assert complaints(listed, ["train", "test"]) == "missing: ['test']; no command: ['trian']"


def test_the_readmes_hook_draws(tmp_path: Path, boards: None) -> None:
    from tests import runs

    [code] = [block.text for block in blocks(REPOSITORY / "README.md") if "@HOOKS.register" in block.text]
    assert len(code.splitlines()) <= 30
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    runs.hang_up()
    runs.train(tmp_path / "run", hooks={"average": {"type": "AverageImage"}})
    assert "AverageImage" in HOOKS
    [picture] = (tmp_path / "run" / "figures").glob("*/Average_Image.png")
    assert picture.stat().st_size > 0
    assert any("contrast" in record for record in runs.records(tmp_path / "run"))


# -- all pages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere_and_code_is_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)):
        assert target.startswith("https://") or (page.parent / target).exists(), target
    for block in blocks(page):
        if block.language == "python":
            compile(block.text, str(page), "exec")
