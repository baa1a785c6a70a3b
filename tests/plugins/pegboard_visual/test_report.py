"""The page of a run: complete, escaped, small, and written whenever a run ends."""

import json
import logging
import os
import re
import signal
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pegboard import Batch, Config, Hook, PegboardError, Pictures, Runner
from pegboard.cli import main
from pegboard.registry import BOARDS
from pegboard_visual.hooks.report import Report
from pegboard_visual.report import embed, page, words
from pegboard_visual.report.curves import POINTS, charts
from pegboard_visual.report.run_folder import read
from tests import processes, runs
from tests.conftest import Command
from tests.plugins.pegboard_visual.pictured import hung

EVIL = "<script>alert(1)</script>"
CLASSES = [EVIL, "b & \"c\" 'd'", "</script><img src=x onerror=alert(2)>", "d"]
REPORT = {"type": "Report"}


@pytest.fixture(scope="module", autouse=True)
def _tiny_parts() -> Iterator[None]:
    with hung():
        BOARDS["hooks"].register(Spoils)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with pictures of every kind, and classes that would be code if they were not escaped."""
    place = tmp_path_factory.mktemp("runs") / EVIL.replace("/", "_") / "one"
    hooks = {"report": REPORT, "pictured": {"type": "Pictured", "classes": CLASSES}}
    groups = [{"match": "*.bias", "lr_mult": 2}]
    runs.train(
        place, hooks=hooks, train_for="3 epochs", name=EVIL, optimizer={"type": "SGD", "lr": 0.1, "groups": groups}
    )
    return place


class Parsed(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts.append(data)
        elif self.inside != "style":
            self.words.append(data)

    def ids(self) -> set[str | None]:
        return {attributes["id"] for _, attributes in self.tags if "id" in attributes}


def parsed(folder: Path) -> Parsed:
    return Parsed((folder / "report.html").read_text(encoding="utf-8"))


def assert_holds_no_code_but_its_own(text: str) -> None:
    """One script of the page's own and one block of data; no attribute that runs anything, no address outside."""
    found = Parsed(text)
    scripts = [attributes for tag, attributes in found.tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "data"}, {}]
    json.loads(found.scripts[0])
    for tag, attributes in found.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href", "action"):
            assert re.match(r"(data:|#|$|[\w./]*report\.html$)", attributes.get(name) or ""), (tag, attributes[name])


def test_every_text_is_escaped(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert_holds_no_code_but_its_own(text)
    shown = "".join(Parsed(text).words)
    for name in CLASSES:
        assert name in shown  # as text
    assert "<b>here</b>" in "".join(str(attributes.get("alt")) for _, attributes in Parsed(text).tags)


@pytest.mark.parametrize("name", CLASSES[::2])
def test_text_that_is_not_escaped_would_be_caught(folder: Path, name: str) -> None:
    """The broken specimen: a page into which a class name went as it is."""
    text = (folder / "report.html").read_text(encoding="utf-8")
    with pytest.raises(AssertionError):
        assert_holds_no_code_but_its_own(text.replace("</main>", f"{name}</main>"))


def test_the_page_allows_no_script_but_its_own_and_no_network(folder: Path) -> None:
    [policy] = [a["content"] for tag, a in parsed(folder).tags if tag == "meta" and "http-equiv" in a]
    assert policy is not None
    assert "default-src 'none'" in policy and re.search(r"script-src 'sha256-[\w+/=]{44}'", policy)


def test_every_section_is_there(folder: Path) -> None:
    found = parsed(folder)
    wanted = {"curves", *page.KINDS, "others", "config", "environment", "repeat"}
    assert wanted <= found.ids()
    links = {attributes["href"] for tag, attributes in found.tags if tag == "a" and attributes["href"]}
    assert {f"#{name}" for name in wanted} <= links
    assert all(attributes.get("alt") is not None for tag, attributes in found.tags if tag == "img")


def test_a_section_without_pictures_is_left_out_and_its_hook_is_named(tmp_path: Path) -> None:
    runs.train(tmp_path, hooks={"report": REPORT})
    found = parsed(tmp_path)
    assert not found.ids() & {*page.KINDS, "others"}
    said = "".join(found.words)
    assert "Not in this report" in said and "GradCAM" in said
    assert "loss" in said and "finished" in said


def test_it_says_what_was_trained_on_what_and_how_it_went(folder: Path) -> None:
    said = re.sub(r"\s+", " ", " ".join(parsed(folder).words)).replace(" .", ".")
    summary = json.loads((folder / "summary.json").read_text())
    assert "Tiny trained on Dots for 3 epochs (9 iterations) in" in said
    assert f"val/top1 {summary['final']['val/top1']:.4f}" in said
    assert "Stand-in data" not in said


def test_the_figure_that_stands_first_is_a_metric_and_no_part_of_the_loss(tmp_path: Path) -> None:
    losses = {"entropy": {"type": "CrossEntropyLoss"}, "margin": {"type": "MultiMarginLoss"}}
    runs.train(tmp_path, hooks={"report": REPORT}, loss=losses, train_for="1 epoch")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    tiles = re.findall(r"<dt>(val/\w+)</dt>", text)
    assert tiles == ["val/top1", "val/loss", "val/loss_entropy", "val/loss_margin"]


def test_a_stand_in_is_said_in_red(tmp_path: Path) -> None:
    class StandIn(runs.Dots):
        label, stand_in = "stand-in", True

    loader = {**runs.values()["train"], "dataset": runs.hang("datasets", "drawn by code", StandIn())}
    runs.train(tmp_path, hooks={"report": REPORT}, train=loader)
    found = parsed(tmp_path)
    assert "Stand-in data." in found.words
    assert [a for tag, a in found.tags if a.get("class") == "alarm" and a.get("role") == "alert"]


def test_each_groups_rate_is_logged_and_drawn(folder: Path) -> None:
    [first, *_] = runs.records(folder)
    assert first["lr"] == first["lr/*.bias"] == 2 * first["lr/rest"]
    [rates] = [chart for chart in charts([read(folder)]) if chart.title == "learning rate"]
    assert {series.label: series.values[0] for series in rates.series} == {"*.bias": 0.2, "rest": 0.1}


def test_one_group_is_logged_as_lr_alone(tmp_path: Path) -> None:
    runs.train(tmp_path, train_for="1 epoch")
    assert not [name for record in runs.records(tmp_path) for name in record if name.startswith("lr/")]


def test_origins_are_kept_and_shown(tmp_path: Path) -> None:
    file = tmp_path / "tiny.py"
    values = runs.values(hooks={"report": REPORT}, train_for="1 epoch")
    file.write_text("".join(f"{name} = {value!r}\n" for name, value in values.items()))
    Runner(Config.load(file, ["optimizer.lr=0.3"]), tmp_path / "run").train()
    settings = {setting.path: setting for setting in read(tmp_path / "run").settings}
    assert settings["optimizer.lr"][1:] == ("0.3", "--cfg-options")
    line = [*values].index("model") + 1
    assert settings["model.type"][1:] == ('"Tiny"', f"{file}:{line}")
    assert f"{file}:{line}" in parsed(tmp_path / "run").words


def test_curves_hold_what_was_recorded(folder: Path) -> None:
    loss = charts([read(folder)])[0]
    assert loss.title == "loss"
    found = {series.role: series for series in loss.series}
    records = runs.records(folder)
    assert found["val"].values == [r["val/loss"] for r in records if "val/loss" in r]
    assert found["val"].epochs == [1, 2, 3] and found["val"].iterations == [3, 6, 9]
    assert found["step"].epochs[:4] == [0.333, 0.667, 1, 1.333]


def test_a_long_series_keeps_its_spikes(tmp_path: Path, folder: Path) -> None:
    values = [1.0] * 20_000
    values[7_777], values[15_001] = 9.0, -5.0
    recorded = read(folder)
    recorded.records[:] = [{"iteration": i, "epoch": 1, "loss": value} for i, value in enumerate(values)]
    [[series]] = [chart.series for chart in charts([recorded])]
    assert len(series.values) == len(series.iterations) == len(series.epochs) <= POINTS + 2
    assert {9.0, -5.0} <= {*series.values} and series.iterations[-1] == 19_999


def test_numbers_that_do_not_fit_leave_their_picture(tmp_path: Path) -> None:
    runs.train(tmp_path, train_for="1 epoch")
    pictures, image = Pictures(tmp_path / "figures"), np.zeros((8, 8, 3), np.uint8)
    broken: dict[str, dict[str, Any]] = {
        "ragged": {"kind": "confusion", "classes": ["a", "b"], "counts": [[1, 2]]},
        "no counts": {"kind": "confusion"},
        "beyond": {"kind": "embedding", "classes": ["a"], "points": [[0, 0]], "targets": [3]},
        "few edges": {"kind": "histograms", "tensors": {"w": {"edges": [0], "counts": [1]}}},
        "no list": {"kind": ["cam"]},
    }
    for name, data in broken.items():
        pictures.add(name, image, iteration=3, data=data)
    page.write(read(tmp_path), tmp_path / "report.html")
    images = [attributes["alt"] for tag, attributes in parsed(tmp_path).tags if tag == "img" and attributes["alt"]]
    assert sorted(images) == sorted(f"{name}, epoch 0, iteration 3" for name in broken)


def test_a_picture_that_is_damaged_is_said(tmp_path: Path) -> None:
    runs.train(tmp_path, train_for="1 epoch")
    shown = Pictures(tmp_path / "figures").add("Hurt", np.zeros((8, 8, 3), np.uint8))
    shown.path.write_bytes(b"no picture")
    page.write(read(tmp_path), tmp_path / "report.html")
    assert "damaged: hurt" in "".join(parsed(tmp_path).words).lower()


def noise(width: int, height: int, seed: int) -> Image.Image:
    generator = np.random.default_rng(seed)
    return Image.fromarray(generator.integers(256, size=(height, width, 3), dtype=np.uint8))


def test_many_large_pictures_stay_within_five_megabytes_and_it_is_said(tmp_path: Path) -> None:
    runs.train(tmp_path, train_for="1 epoch")
    for number in range(3):
        for name in ("one", "two", "three"):
            Pictures(tmp_path / "figures").add(name, noise(1600, 500, number), iteration=number)
    page.write(read(tmp_path), tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 5_000_000
    found = parsed(tmp_path)
    assert {"one", "two", "three"} <= {*found.words}
    assert "large pictures are made smaller" in "".join(found.words).lower()


def test_the_first_and_the_newest_of_many_pictures_are_there(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path)
    found = [pictures.add("dot", noise(8, 8, i), iteration=i) for i in range(40)]
    [strip] = embed.Embedder().strips({"dot": found}, 10_000_000)
    iterations = [one.shown.iteration for one in strip.steps]
    assert iterations == sorted(iterations) and len(iterations) == embed.MOST_STEPS
    assert iterations[0] == 0 and iterations[-1] == 39 and strip.of == 40


def test_a_page_that_is_written_again_encodes_nothing_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = embed.Embedder()
    page.write(read(folder), tmp_path / "first.html", embedder)
    monkeypatch.setattr(embed, "_embed", None)  # would fail if it were called
    page.write(read(folder), tmp_path / "second.html", embedder)
    assert (tmp_path / "first.html").stat().st_size == (tmp_path / "second.html").stat().st_size


# -- the hook ----------------------------------------------------------------------------------------------------------


class Spoils(Hook):
    """Fails, or interrupts, at the fifth iteration."""

    essential = True

    def __init__(self, how: str) -> None:
        self.how = how

    def after_train_iter(self, run: Runner, batch: Batch, loss: torch.Tensor, outputs: Any) -> None:
        if run.iteration == 5:
            if self.how == "interrupt":
                run.interrupt()
            elif self.how == "control-c":
                raise KeyboardInterrupt
            else:
                raise ValueError(f"no luck {EVIL}")


@pytest.mark.parametrize(
    ("how", "exit"), [("interrupt", "interrupted"), ("control-c", "interrupted"), ("fail", "failed")]
)
def test_it_is_written_however_the_run_ends(tmp_path: Path, how: str, exit: str) -> None:
    run = runs.runner(tmp_path, hooks={"report": REPORT, "spoils": {"type": "Spoils", "how": how}})
    try:
        run.train()
    except (ValueError, KeyboardInterrupt):
        assert how != "interrupt"
    said = "".join(parsed(tmp_path).words)
    assert exit in said
    assert (f"no luck {EVIL}" in said) == (how == "fail")  # the end of the log, as text
    assert_holds_no_code_but_its_own((tmp_path / "report.html").read_text(encoding="utf-8"))


def writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    write: Callable[..., None] = Report._write

    def noted(self: Report, run: Runner, summary: dict[str, Any]) -> None:
        found.append(summary["exit"])
        write(self, run, summary)

    monkeypatch.setattr(Report, "_write", noted)
    return found


def test_a_refresh_keeps_to_its_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = writes(monkeypatch)
    runs.train(tmp_path / "short", hooks={"report": REPORT})
    assert found == ["finished"]  # nothing in the first seconds
    found.clear()
    runs.train(tmp_path / "rich", hooks={"report": {**REPORT, "share": 1e6}})
    assert found == ["running", "running", "finished"]


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(PegboardError, match="share must be a number from 0, got -1"):
        Report(share=-1)


def test_training_is_the_same_with_it(tmp_path: Path) -> None:
    changes = {"model": {"type": "Tiny", "dropout": 0.5}}
    runs.train(tmp_path / "without", **changes)
    run = runs.train(tmp_path / "with", hooks={"report": {**REPORT, "share": 1e6}}, **changes)
    one, other = runs.newest(tmp_path / "without"), runs.newest(tmp_path / "with")
    for key in one.keys() - {"config", "hooks"}:
        assert runs.same(one[key], other[key]), key
    assert runs.records(tmp_path / "without") == runs.records(tmp_path / "with")
    assert run.hook_seconds["report"] > 0


def test_what_the_last_page_took_is_in_the_summary(folder: Path) -> None:
    assert json.loads((folder / "summary.json").read_text())["hook_seconds"]["report"] > 0


def test_nothing_is_imported_before_a_page_is_written(python: Command) -> None:
    script = "import sys, pegboard_visual.hooks.report; print({'jinja2', 'PIL', 'matplotlib'} & {*sys.modules})"
    done = python("-c", script)
    assert done.stdout.strip() == "set()", done.stderr


def test_the_last_line_names_the_report(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pegboard"):
        runs.train(tmp_path / "with", hooks={"report": REPORT})
        runs.train(tmp_path / "without")
    ends = [record.getMessage() for record in caplog.records if "everything is in" in record.getMessage()]
    assert ends[0].endswith(f"its report is {tmp_path / 'with' / 'report.html'}")
    assert ends[1].endswith(f"everything is in {tmp_path / 'without'}")


# -- the commands ------------------------------------------------------------------------------------------------------


def test_a_finished_run_and_several(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    runs.train(other, train_for="2 epochs", name="other", optimizer={"type": "SGD", "lr": 0.5})
    capsys.readouterr()
    assert main(["report", str(other)]) == 0
    assert capsys.readouterr().out == f"written to {other.resolve() / 'report.html'}\n"
    both = tmp_path / "both.html"
    assert main(["report", str(folder), str(other), "--out", str(both)]) == 0
    text = both.read_text(encoding="utf-8")
    found = Parsed(text)
    words_found = [word.strip() for word in found.words]
    assert EVIL in words_found and "other" in words_found
    assert "0.5" in words_found and "optimizer.lr" in words_found  # what differs
    assert "loss.type" not in words_found  # what does not
    data = json.loads(found.scripts[0])
    assert {series["run"] for series in data["charts"][0]["series"]} == {0, 1}
    assert_holds_no_code_but_its_own(re.sub(r'href="[^"#]*report.html"', 'href="report.html"', text))


def test_curves_as_a_picture(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "curves.png"
    assert main(["curves", str(folder), str(folder), "--out", str(file)]) == 0
    assert np.asarray(Image.open(file)).std() > 5
    assert main(["curves", str(folder)]) == 0
    assert (folder / "figures" / "curves.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "RUNS/onne"], "there is no RUNS/onne; did you mean 'one'?"),
        (["report", "RUNS"], "RUNS is no run folder: there is no config.json in it, nor a folder 'latest' of a run"),
        (["report", "RUNS/one", "--out", "RUNS/none/x.html"], "expected a file in a folder that exists"),
        (["curves", "RUNS/one", "--out", "RUNS/x.gif"], "expected one of .png, .svg, .pdf"),
        (["curves", "RUNS/onne"], "did you mean 'one'?"),
    ],
)
def test_mistakes_are_said(
    folder: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(folder.parent)
    assert main([argument.replace("RUNS", place) for argument in arguments]) == 2
    assert message.replace("RUNS", place) in capsys.readouterr().err


def test_damaged_files_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.train(tmp_path, train_for="1 epoch")
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 1, "itera')
    page.write(read(tmp_path), tmp_path / "report.html")
    assert "line 5 of metrics.jsonl is damaged" in "".join(parsed(tmp_path).words)
    (tmp_path / "summary.json").write_text("{")
    assert main(["report", str(tmp_path)]) == 2
    assert "summary.json is damaged" in capsys.readouterr().err


def test_a_run_that_was_killed_says_that_nobody_knows(tmp_path: Path) -> None:
    runs.train(tmp_path, train_for="1 epoch")
    (tmp_path / "summary.json").unlink()
    page.write(read(tmp_path), tmp_path / "report.html")
    said = "".join(parsed(tmp_path).words)
    assert "unfinished" in said and "still goes on, or it was killed" in said


@pytest.mark.parametrize(
    ("called", "line"),
    [
        (["/x/pegboard", "train", "a b.py", "--seed", "3"], "pegboard train 'a b.py' --seed 3"),
        (["tools/train.py", "c.py", "--work-dir", "out", "--try"], "pegboard train c.py --try"),
        (["pegboard", "train", "c.py", "--resume", "--seed=1"], "pegboard train c.py --seed=1"),
        (["pegboard", "train", "c.py", "--resume", "runs/x", "--work-dir=y"], "pegboard train c.py"),
        (["-c"], "pegboard train FOLDER/config.py"),
    ],
)
def test_the_command_that_repeats_the_run(folder: Path, called: list[str], line: str) -> None:
    run = read(folder)
    run.environment.update({"command": called, "working_directory": "/some where"})
    first, last = words.repeats(run).splitlines()
    assert first == "cd '/some where'"
    assert last.replace(f"'{folder}", "FOLDER").replace("config.py'", "config.py") == line


def killed(folder: Path) -> None:
    """A run, for a process of its own, that is killed after its eighth iteration; its last checkpoint is the fourth."""

    class Kills(Hook):
        def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
            if run.iteration == 8:
                os.kill(os.getpid(), signal.SIGKILL)

    runs.hang_up()
    runs.train(folder, **OFTEN, hooks={**drawing(), "kills": runs.hang("hooks", "kills", Kills())})


OFTEN = {"train_for": "4 epochs", "val_every": "2 iters", "checkpoint": {"every": "4 iters"}}


def drawing() -> dict[str, Any]:
    class Draws(Hook):
        def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
            run.show("grey", np.full((4, 4), 20 * run.iteration, np.uint8))

    return {"report": REPORT, "draws": runs.hang("hooks", "draws", Draws())}


def test_nothing_stands_twice_in_the_report_of_a_run_that_was_killed_and_resumed(tmp_path: Path) -> None:
    part, whole = tmp_path / "part", tmp_path / "whole"
    assert processes.call(killed, part) == -signal.SIGKILL
    assert [shown.iteration for shown in read(part).pictures] == list(range(1, 9))  # four of them come again
    runs.runner(part, runs.newest(part), **OFTEN, hooks=drawing()).train()
    runs.train(whole, **OFTEN, hooks=drawing())
    assert read(part).records == read(whole).records
    drawn = [
        [(one.name, one.iteration, one.pixels().tolist()) for one in read(folder).pictures] for folder in (part, whole)
    ]
    assert drawn[0] == drawn[1] and len(drawn[0]) == 12
    pages = [Parsed((folder / "report.html").read_text()) for folder in (part, whole)]
    pictures = [[there.get("src") for tag, there in page.tags if tag == "img"] for page in pages]
    assert pictures[0] == pictures[1] and pictures[0]
