"""Every file and command on a page is written and run, in the page's order, in one folder."""

import argparse
import importlib
import io
import json
import logging
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from itertools import zip_longest
from pathlib import Path
from string import Template

import pytest

from pegboard import cli, plugins
from pegboard.cli.new_plugin_command import TEMPLATES
from tests.conftest import restored_boards
from tests.docs.blocks import DOCS, Block, blocks, left_behind

OFF = "is switched off"
# What takes a reader a minute takes a test seconds, with fewer images and epochs.
SHORTER = {"count=2000": "count=200", '"10 epochs"': '"2 epochs"'}
PAGES = ("tutorial.md", "writing_a_hook.md", "writing_a_plugin.md", "coming_from.md")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    log = logging.getLogger("pegboard")
    before = list(log.handlers), log.level, log.propagate
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    modules = set(sys.modules)
    with restored_boards():
        yield tmp_path
    log.handlers, log.level, log.propagate = before
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            plugin = sys.modules.pop(name)
            if plugins.manager().is_registered(plugin):
                plugins.manager().unregister(plugin)


def follow(steps: list[Block], folder: Path, shorter: Mapping[str, str] = SHORTER) -> int:
    """Do what the blocks say, with the words ``shorter`` for others; how many commands there were."""
    count = 0
    for block in steps:
        if block.file:
            text = block.text
            for long, short in shorter.items():
                text = text.replace(long, short)
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(text, encoding="utf-8")
        for command in block.commands:
            run(command, folder)
            count += 1
    for log in folder.rglob("log.txt"):  # a hook that fails is switched off, and the run goes on
        assert not (said := [line for line in log.read_text(encoding="utf-8").splitlines() if OFF in line]), said
    return count


def run(command: str, folder: Path) -> None:
    program, *arguments = shlex.split(command)
    if program == "python":
        exec(
            compile((folder / arguments[0]).read_text(encoding="utf-8"), arguments[0], "exec"), {"__name__": "__main__"}
        )
        return
    assert program == "pegboard", f"{command}: this test runs pegboard and python alone"
    try:
        status = cli.main(arguments)
    except SystemExit as error:
        status = error.code  # of argparse
    assert status == 0, f"{command} exited with {status}"


def said_by(module: str, *words: str) -> str:
    """What the command of a module prints."""
    command, parser = importlib.import_module(module), argparse.ArgumentParser()
    command.add_arguments(parser)
    with redirect_stdout(io.StringIO()) as said:
        assert command.run(parser.parse_args(words)) == 0
    return said.getvalue()


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_command_of_a_page_works(page: str, folder: Path) -> None:
    steps = blocks(DOCS / page)
    assert follow(steps, folder) > 0
    if page == "tutorial.md":
        for name in ("first", "finetune", "losses", "optimizers", "explained"):
            assert json.loads((folder / "runs" / name / "summary.json").read_text())["exit"] == "finished"
        there = {path.name for path in (folder / "runs" / "explained").iterdir()}
        assert there ^ left_behind() <= {"uncommitted.patch"}, "the README's list of what a run leaves behind"
    if page == "writing_a_plugin.md":
        assert said_by("acme_pegs.right", "runs/acme").endswith("% right\n")  # a command is found once it is installed
    if page == "writing_a_hook.md":
        first, *_, last = (folder / "runs" / "told" / "diary.txt").read_text(encoding="utf-8").splitlines()
        assert first.startswith("begins: told") and last == "finished"


@pytest.mark.slow
def test_the_tutorial_as_it_stands_gives_what_it_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = blocks(DOCS / "tutorial.md")
    follow(steps, folder, shorter={})
    [statistics] = [block.text.strip() for block in steps if block.language == "text"]
    assert statistics in capsys.readouterr().out

    def records(name: str) -> list[dict[str, float]]:
        lines = (folder / "runs" / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return [record for record in map(json.loads, lines) if "val/top1" in record]

    first, tuned = records("first"), records("finetune")
    assert first[-1]["iteration"] == 440 and first[0]["train/loss"] == pytest.approx(2.30, abs=0.02)
    assert first[-1]["val/top1"] > 0.7 and tuned[0]["val/top1"] > first[-1]["val/top1"] - 0.03


@pytest.mark.parametrize("command", ["pegboard chekc shapes.py", "pegboard stats nowhere", "pegboard check --no-such"])
def test_a_page_that_is_wrong_is_found(command: str, folder: Path) -> None:
    with pytest.raises(AssertionError, match="exited with 2"):
        follow([Block("console", "", f"$ {command}\n")], folder)


def test_a_hook_of_a_page_that_fails_is_found(folder: Path) -> None:
    page = [
        block._replace(text=block.text.replace("run.show", "run.shwo")) for block in blocks(DOCS / "writing_a_hook.md")
    ]
    with pytest.raises(AssertionError, match=f"hardest.*{OFF}"):
        follow(page[:3], folder)


def test_the_three_lines_that_try_a_plugin_are_those_that_new_plugin_writes() -> None:
    [shown] = [b.text for b in blocks(DOCS / "writing_a_plugin.md") if "import Case, cases" in b.text]
    template = TEMPLATES / "tests" / "test_contract.py.template"
    assert shown == Template(template.read_text(encoding="utf-8")).substitute(module="birch_pegs")


def differences(page: Path, other: Path) -> list[str]:
    """Where two pages' blocks of code are not the same: whatever one language can do, the other can."""
    pairs = zip_longest(blocks(page), blocks(other))
    return [f"block {number}: {one!r} is not {two!r}" for number, (one, two) in enumerate(pairs) if one != two]


@pytest.mark.parametrize("page", PAGES)
def test_the_guide_in_chinese_has_the_same_files_and_commands(page: str) -> None:
    """So the run of the English page is a run of the Chinese one."""
    assert differences(DOCS / "zh" / page, DOCS / page) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("count=6", "count=8"), ("$ pegboard check hardest.py\n", ""), ('title="my_parts.py"', 'title="my_part.py"')],
)
def test_a_guide_in_chinese_that_has_fallen_behind_is_found(tmp_path: Path, old: str, new: str) -> None:
    text = (DOCS / "zh" / "writing_a_hook.md").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "page.md").write_text(text.replace(old, new), encoding="utf-8")
    assert differences(tmp_path / "page.md", DOCS / "writing_a_hook.md")
