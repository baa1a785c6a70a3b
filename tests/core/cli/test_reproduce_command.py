"""``pegboard reproduce``: the same run again from its folder, and what is said where that is not so."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pegboard import PegboardError, cli
from pegboard.recorded import Recorded
from pegboard.runner.repeat import Comparison
from tests.conftest import Command
from tests.core.cli.conftest import Done, Here

PLUGIN = """\
from pegboard import HOOKS, Hook

@HOOKS.register
class Slope(Hook):
    def after_train_iter(self, run, batch, loss, outputs):
        run.log("slope", FACTOR * run.iteration)
"""

CONFIG = """\
plugins = ["./my_parts.py"]
_loader = dict(dataset=dict(type="ImageFolder", root="images"), transforms=[dict(type="ToFloat")], batch_size=4)
train = dict(**_loader, shuffle=True)
val = _loader
model = dict(type="LeNet")
loss = dict(type="CrossEntropyLoss")
optimizer = dict(type="SGD", lr=0.05)
train_for = "2 epochs"
log_every = "1 iters"
hooks = dict(tensorboard=None, progress=None, slope=dict(type="Slope"))
device = "cpu"
threads = 1
"""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config, a plugin file and images, named by relative paths, and a run of them, ``runs/a``."""
    folder = tmp_path_factory.mktemp("reproduce")
    (folder / "config.py").write_text(CONFIG)
    (folder / "my_parts.py").write_text(PLUGIN.replace("FACTOR", "2"))
    for number in range(8):
        place = folder / "images" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (30 * number, 100, 200)).save(place / f"{number}.png")
    log = logging.getLogger("pegboard")
    handlers, level, propagate = list(log.handlers), log.level, log.propagate
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.run("train", ["config.py", "--work-dir", "runs/a"]) == 0
    log.handlers, log.level, log.propagate = handlers, level, propagate
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory is another one than the run's."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def again(here: Here, folder: Path, *options: object) -> tuple[Done, dict[str, Any]]:
    done = here("reproduce", folder / "runs" / "a", "--json", "--work-dir", "again", *options)
    return done, json.loads(done.stdout) if done.stdout else {}


def test_a_run_with_relative_paths_is_repeated_from_another_folder(started: Path, elsewhere: Path, here: Here) -> None:
    done, found = again(here, started)
    assert done.returncode == 0, done.stderr
    assert found == {"run": str(elsewhere / "again"), "same": True, "first_difference": "", "records_compared": 6}
    assert (elsewhere / "again" / "metrics.jsonl").read_bytes() == (started / "runs/a/metrics.jsonl").read_bytes()
    assert Path.cwd() == elsewhere


def test_it_goes_beside_the_run_unless_told_and_says_so_in_words(started: Path, elsewhere: Path, here: Here) -> None:
    for name in ("a_again", "a_again_2"):
        done = here("reproduce", started / "runs" / "a")
        assert done.returncode == 0 and done.stdout.endswith("6 records compared: the runs are the same\n")
        assert "val/loss" in done.stdout
        assert (started / "runs" / name / "summary.json").is_file()
        assert not (started / "runs" / "latest").exists()


def test_the_first_figure_that_differs_is_said(started: Path, elsewhere: Path, here: Here, tmp_path: Path) -> None:
    """A record of the original that was tampered with stands for a run that came out otherwise."""
    copy = Path(shutil.copytree(started / "runs" / "a", tmp_path / "copy"))
    lines = (copy / "metrics.jsonl").read_text().splitlines()
    record = json.loads(lines[3])
    record["loss"] *= 1 + 1e-9
    lines[3] = json.dumps(record)
    (copy / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    done = here("reproduce", copy, "--work-dir", "again")
    place = f"at epoch {record['epoch']}, iteration {record['iteration']}: loss is "
    assert done.returncode == 1
    assert f"the runs first differ {place}" in done.stdout
    assert place in done.stderr
    assert here("reproduce", copy, "--work-dir", "third", "--tolerance", "1e-6").returncode == 0


def test_records_that_are_missing_or_too_many_are_differences(
    started: Path, elsewhere: Path, here: Here, tmp_path: Path
) -> None:
    for name, change in {"fewer": lambda lines: lines[:-1], "more": lambda lines: [*lines, lines[-1]]}.items():
        copy = Path(shutil.copytree(started / "runs" / "a", tmp_path / name))
        lines = (copy / "metrics.jsonl").read_text().splitlines()
        (copy / "metrics.jsonl").write_text("\n".join(change(lines)) + "\n")
        done = here("reproduce", copy, "--work-dir", f"{name}_again")
        assert done.returncode == 1
        assert ("no such record" if name == "fewer" else "ended before") in done.stdout


def test_an_interrupted_run_is_compared_as_far_as_it_came(started: Path, elsewhere: Path, here: Here) -> None:
    copy = Path(shutil.copytree(started / "runs" / "a", elsewhere / "copy"))
    lines = (copy / "metrics.jsonl").read_text().splitlines(keepends=True)
    (copy / "metrics.jsonl").write_text("".join(lines[:2]) + lines[2][:10])  # killed while it wrote
    (copy / "summary.json").unlink()
    done = here("reproduce", copy, "--work-dir", "again")
    assert (done.returncode, done.stdout) == (0, "2 records compared: the runs are the same\n")
    assert json.loads((elsewhere / "again" / "summary.json").read_text())["iterations"] == 2


def refused(done: Done, *words: str) -> None:
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_a_plugin_that_changed_or_is_gone_is_refused(started: Path, elsewhere: Path, here: Here) -> None:
    file = started / "my_parts.py"
    text = file.read_text()
    try:
        file.write_text(text + "# a remark\n")
        refused(again(here, started)[0], f"plugin './my_parts.py' has changed since: {file}; --anyway goes on")
        done, found = again(here, started, "--anyway")
        assert done.returncode == 0 and found["same"] and "has changed since" in done.stderr
        file.unlink()
        refused(again(here, started, "--work-dir", "b")[0], "plugin './my_parts.py' of the run is gone")
    finally:
        file.write_text(text)


def test_data_that_changed_is_refused_and_leaves_nothing(started: Path, elsewhere: Path, here: Here) -> None:
    file = started / "images" / "a" / "0.png"
    content = file.read_bytes()
    try:
        Image.new("RGB", (32, 32), (0, 100, 201)).save(file)
        done = again(here, started)[0]
        refused(done, "the data is not that of", "data_contents.train.hash", "--anyway goes on")
        assert "is removed again" in done.stderr and "everything is in" not in done.stderr
        assert not (elsewhere / "again").exists()
        done, found = again(here, started, "--anyway")
        assert done.returncode == 1 and "epoch 1, iteration 1: loss is" in found["first_difference"]
    finally:
        file.write_bytes(content)


def test_files_that_were_written_since_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A copy is written to later, too; other sizes or contents are refused."""

    def environment(**changes: str) -> dict[str, Any]:
        return {"data_contents": {"train": {"of": "files", "hash": "a", "times": "b"} | changes}}

    original = Recorded(tmp_path, {}, environment(), {}, [])
    Comparison(original).look_at(environment())
    of_before = environment()
    del of_before["data_contents"]["train"]["times"]  # which an older pegboard did not record
    Comparison(original).look_at(of_before)
    assert not caplog.records
    Comparison(original).look_at(environment(times="c"))
    [warning] = caplog.messages
    assert warning == f"files of the data were written to since {tmp_path} was made, and have kept their sizes"
    with pytest.raises(PegboardError, match=r"the data is not that of .*: data_contents.train.hash differ; --anyway"):
        Comparison(original).look_at(environment(times="c", hash="d"))


def test_a_folder_that_has_moved(started: Path, elsewhere: Path, here: Here, pegboard_cli: Command) -> None:
    moved = Path(shutil.copytree(started, elsewhere / "moved"))
    environment = moved / "runs" / "a" / "environment.json"
    gone = elsewhere / "gone"
    values = json.loads(environment.read_text())
    environment.write_text(
        json.dumps({**values, "working_directory": str(gone), "config_file": str(gone / "config.py")})
    )
    refused(again(here, moved)[0], f"the run was started in {gone}", "--started-in says where they are now")
    done = pegboard_cli("reproduce", moved / "runs" / "a", "--started-in", moved, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["same"], done.stderr


@pytest.mark.parametrize("broken", ["environment.json", "config.py", "metrics.jsonl", "summary.json"])
def test_a_damaged_folder_is_answered_with_the_file(started: Path, elsewhere: Path, here: Here, broken: str) -> None:
    copy = Path(shutil.copytree(started / "runs" / "a", elsewhere / "copy"))
    (copy / broken).write_text("seed = open('x', 'w')\n" if broken == "config.py" else "{\n{")
    refused(here("reproduce", copy), broken)
    (copy / broken).unlink()
    if broken != "summary.json":  # without one it counts as interrupted
        refused(here("reproduce", copy), str(copy))
    assert not (elsewhere / "x").exists(), "config.py was run"
