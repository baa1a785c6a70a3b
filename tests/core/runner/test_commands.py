"""``tools/train.py`` and ``tools/test.py`` as a user calls them, each in a process of its own."""

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from pegboard import cli
from tests import runs

REPOSITORY = Path(__file__).resolve().parents[3]

CONFIG = """\
norm = dict(mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25])
train = dict(
    dataset=dict(type="DrawnShapes", count=40),
    transforms=[dict(type="RandomHorizontalFlip"), dict(type="ToFloat"), dict(type="Normalize", **norm)],
    batch_size=8,
    shuffle=True,
)
val = dict(
    dataset=dict(type="DrawnShapes", count=20, split="val"),
    transforms=[dict(type="ToFloat"), dict(type="Normalize", **norm)],
    batch_size=20,
)
test = dict(
    dataset=dict(type="DrawnShapes", count=30, split="test"),
    transforms=[dict(type="ToFloat"), dict(type="Normalize", **norm)],
    batch_size=20,
)
model = dict(type="LeNet")
loss = dict(type="CrossEntropyLoss")
optimizer = dict(type="SGD", lr=0.1, momentum=0.9)
metrics = dict(top1=dict(type="Accuracy"))
train_for = "2 epochs"
device = "cpu"
threads = 1
"""

SLOW_PLUGIN = """\
import time
from pegboard import HOOKS, Hook

@HOOKS.register
class Slow(Hook):
    state = ("count",)
    count = 0

    def after_train_iter(self, run, batch, loss, outputs):
        self.count += 1
        time.sleep(0.05)
        if run.iteration == 4:
            print("HALF WAY", flush=True)
"""

Done = subprocess.CompletedProcess[str]
Call = Callable[..., Done]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm", "COLUMNS": "200"}


def command(tool: str, *arguments: object) -> list[str]:
    return [sys.executable, str(REPOSITORY / "tools" / f"{tool}.py"), *map(str, arguments)]


def call(folder: Path, tool: str, *arguments: object) -> Done:
    return subprocess.run(
        command(tool, *arguments), cwd=folder, env=environment(), capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """The same as ``call`` in this process, which saves the seconds that importing torch takes."""
    log = logging.getLogger("pegboard")
    handlers, level, propagate = list(log.handlers), log.level, log.propagate

    def call_here(folder: Path, tool: str, *arguments: object) -> Done:
        monkeypatch.chdir(folder)
        capsys.readouterr()
        status = cli.run(tool, list(map(str, arguments)), f"tools/{tool}.py")
        return Done(arguments, status, *capsys.readouterr())

    yield call_here
    log.handlers, log.level, log.propagate = handlers, level, propagate


def one_line(done: Done) -> str:
    """A user's mistake: status 2, nothing on standard output, one line on standard error."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("train:", "val:", "test:"))]
    assert len(lines) == 1, done.stderr
    return lines[0]


def summary(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return values


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """A folder in which ``tools/train.py tiny.py`` was called once; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.py").write_text(CONFIG)
    done = call(folder, "train", "tiny.py")
    assert done.returncode == 0, done.stderr
    return folder, done


@pytest.fixture
def copy(trained: tuple[Path, Done], tmp_path: Path) -> Path:
    """The same folder, to do with as one likes."""
    return Path(shutil.copytree(trained[0], tmp_path / "copy", symlinks=True))


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A folder with nothing but the config."""
    (tmp_path / "tiny.py").write_text(CONFIG)
    return tmp_path


# -- a run and what it leaves ---------------------------------------------------------------------------------------


def test_a_run_leaves_its_folder(trained: tuple[Path, Done]) -> None:
    latest = trained[0] / "runs" / "tiny" / "latest"
    assert latest.is_symlink() and not latest.readlink().is_absolute()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", str(latest.readlink()))
    files = {"config.py", "config.json", "environment.json", "metrics.jsonl", "timing.jsonl", "summary.json", "log.txt"}
    assert {path.name for path in latest.iterdir()} >= files | {
        "checkpoints",
        "tensorboard",
        "origins.json",
        "report.html",
    }
    assert not list(latest.rglob(".*")), "temporary files were left"
    assert {path.name for path in (latest / "checkpoints").iterdir()} == {
        "index.json", "iteration_00000005.pt", "iteration_00000010.pt",
    }  # fmt: skip
    assert list((latest / "tensorboard").rglob("*tfevents*"))


def test_a_summary_has_every_key(trained: tuple[Path, Done]) -> None:
    found = summary(trained[0] / "runs" / "tiny" / "latest")
    assert set(found) == {
        "config", "data", "seed", "epochs", "iterations", "final", "best", "images_per_second", "data_wait",
        "hook_seconds", "wall_seconds", "versions", "exit",
    }  # fmt: skip
    assert (found["config"], found["data"], found["seed"]) == ("tiny", "drawn shapes", 0)
    assert (found["epochs"], found["iterations"], found["exit"]) == (2, 10, "finished")
    assert set(found["final"]) == set(found["best"]) == {"train/loss", "train/top1", "val/loss", "val/top1"}
    assert set(found["best"]["val/top1"]) == {"value", "epoch"}
    assert found["versions"]["torch"] == metadata.version("torch")
    assert found["wall_seconds"] > 0


def test_an_environment_says_what_the_figures_depend_on(trained: tuple[Path, Done]) -> None:
    found = json.loads((trained[0] / "runs" / "tiny" / "latest" / "environment.json").read_text())
    assert found["hooks"] == ["log", "progress", "checkpoint", "tensorboard", "report"]
    assert (found["device"], found["threads"], found["engine"], found["seed"]) == ("cpu", 1, "memory", 0)
    assert re.fullmatch(r"[0-9a-f]{16}", found["data_fingerprint"])
    assert found["command"][-1] == "tiny.py"


def test_the_metrics_of_the_last_epoch_are_those_of_the_summary(trained: tuple[Path, Done]) -> None:
    folder = trained[0] / "runs" / "tiny" / "latest"
    last = runs.records(folder)[-1]
    assert {name: last[name] for name in summary(folder)["final"]} == summary(folder)["final"]
    assert (last["epoch"], last["iteration"]) == (2, 10)


def test_the_written_config_checks_and_has_the_same_values(trained: tuple[Path, Done]) -> None:
    from pegboard import Config

    folder = trained[0] / "runs" / "tiny" / "latest"
    assert Config.load(folder / "config.py").values == Config.load(trained[0] / "tiny.py").values
    assert json.loads((folder / "config.json").read_text())["train_for"] == "2 epochs"


def test_no_control_characters_where_there_is_no_terminal(trained: tuple[Path, Done]) -> None:
    done = trained[1]
    for text in (done.stdout, done.stderr, (trained[0] / "runs" / "tiny" / "latest" / "log.txt").read_text()):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)
    assert re.search(r"^epoch 2/2  iteration 10/10  .*val/top1 0\.\d{4}", done.stdout, re.MULTILINE)
    assert re.search(r"^val/top1 +\d\.\d{4} +\d\.\d{4} +\d$", done.stdout, re.MULTILINE)
    assert "train: 40 samples, memory engine" in done.stderr
    assert "data: " not in done.stderr  # of the two samples that the run tries itself on


def test_on_a_terminal_a_bar_shows(fresh: Path) -> None:
    main, side = os.openpty()
    process = subprocess.Popen(command("train", "tiny.py"), cwd=fresh, env=environment(), stdout=side, stderr=side)
    os.close(side)
    output = b""
    while True:
        try:
            piece = os.read(main, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        output += piece
    os.close(main)
    assert process.wait(timeout=60) == 0
    text = output.decode()
    assert "\x1b[" in text and "━" in text
    assert re.search(r"10/10", text)
    assert "images/s" in text


# -- arguments of train ---------------------------------------------------------------------------------------------


def test_check_builds_nothing(fresh: Path, here: Call) -> None:
    done = here(fresh, "train", "tiny.py", "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "tiny.py: no problems\n", "")
    assert [path.name for path in fresh.iterdir()] == ["tiny.py"]
    line = one_line(here(fresh, "train", "tiny.py", "--check", "--cfg-options", "optimizer.lrr=1"))
    assert "optimizer.lrr" in line and "did you mean 'lr'?" in line


def test_try_runs_two_iterations_of_everything(fresh: Path, here: Call) -> None:
    done = here(fresh, "train", "tiny.py", "--try", "--seed", 7)
    assert done.returncode == 0, done.stderr
    (folder,) = (fresh / "runs" / "tiny").iterdir()  # and no 'latest': a trial is nothing to resume
    assert folder.name.startswith("try_")
    found = summary(folder)
    assert (found["iterations"], found["exit"], found["seed"]) == (2, "finished", 7)
    assert "val/top1" in found["final"]
    assert (folder / "checkpoints" / "iteration_00000002.pt").is_file()
    assert list((folder / "tensorboard").rglob("*tfevents*"))


def test_an_unknown_device_is_one_line(fresh: Path, here: Call) -> None:
    assert "device: must be auto, cpu, cuda, cuda:N or mps, got 'nonsense'" in one_line(
        here(fresh, "train", "tiny.py", "--device", "nonsense")
    )
    assert not (fresh / "runs").exists()


def test_a_run_folder_is_not_used_twice(copy: Path, here: Call) -> None:
    done = here(copy, "train", "tiny.py", "--work-dir", "runs/tiny/latest")
    assert "holds a run already; --resume goes on with it" in one_line(done)


def test_a_missing_config_names_the_nearest(fresh: Path, here: Call) -> None:
    assert "did you mean 'tiny.py'?" in one_line(here(fresh, "train", "tinny.py"))


# -- resuming -------------------------------------------------------------------------------------------------------


def test_interrupted_by_ctrl_c_and_resumed(fresh: Path) -> None:
    (fresh / "slow.py").write_text(SLOW_PLUGIN)
    (fresh / "slow_config.py").write_text(CONFIG + 'plugins = ["./slow.py"]\nhooks = dict(slow=dict(type="Slow"))\n')
    whole = call(fresh, "train", "slow_config.py", "--work-dir", "whole")
    assert whole.returncode == 0, whole.stderr

    process = subprocess.Popen(
        command("train", "slow_config.py"), cwd=fresh, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line == "HALF WAY\n":
            process.send_signal(signal.SIGINT)
            break
    process.communicate(timeout=60)
    assert process.returncode == 130
    folder = fresh / "runs" / "slow_config" / "latest"
    part = summary(folder)
    assert part["exit"] == "interrupted"
    assert part["stop_reason"] == "interrupted by Ctrl-C"
    assert 4 <= part["iterations"] < 10

    again = call(fresh, "train", "slow_config.py", "--resume")  # no PATH: the newest run of this config
    assert again.returncode == 0, again.stderr
    assert f"resumed at iteration {part['iterations']} of 10" in again.stderr
    assert summary(folder)["exit"] == "finished"
    assert "stop_reason" not in summary(folder)
    assert summary(folder)["final"] == summary(fresh / "whole")["final"]
    assert (folder / "metrics.jsonl").read_bytes() == (fresh / "whole" / "metrics.jsonl").read_bytes()
    assert runs.same(runs.newest(folder)["model"], runs.newest(fresh / "whole")["model"])
    assert runs.newest(folder)["hooks"]["slow"] == {"count": 10}


@pytest.mark.parametrize(
    "path", ["runs/tiny", "runs/tiny/latest", "runs/tiny/latest/checkpoints/iteration_00000005.pt"]
)
def test_resume_takes_a_folder_or_a_checkpoint(copy: Path, path: str, here: Call) -> None:
    folder = copy / "runs" / "tiny" / "latest"
    before = (folder / "metrics.jsonl").read_bytes()
    done = here(copy, "train", "tiny.py", "--resume", path)
    assert done.returncode == 0, done.stderr
    assert f"resumed at iteration {5 if path.endswith('.pt') else 10} of 10" in done.stderr
    assert (folder / "metrics.jsonl").read_bytes() == before
    assert len(list((copy / "runs" / "tiny").iterdir())) == 2  # the run and 'latest': no new folder


def test_resume_of_what_is_not_there(fresh: Path, here: Call) -> None:
    assert "there is no runs/tiny" in one_line(here(fresh, "train", "tiny.py", "--resume"))


def test_a_second_run_moves_latest(copy: Path, here: Call) -> None:
    latest = copy / "runs" / "tiny" / "latest"
    first = latest.readlink()
    time.sleep(1.1)  # folders are named by the second
    assert here(copy, "train", "tiny.py", "--cfg-options", "train_for='1 iters'").returncode == 0
    assert latest.readlink() != first
    assert summary(latest)["iterations"] == 1


# -- test -----------------------------------------------------------------------------------------------------------


def accuracy_by_hand(checkpoint: Path) -> float:
    """Share of the 30 test images that the checkpoint's LeNet gets right, computed without any of the runner."""
    from pegboard_data.drawn_shapes import DrawnShapes
    from pegboard_models.lenet import LeNet

    model = LeNet(10)
    model.load_state_dict(torch.load(checkpoint, weights_only=True)["model"])
    data = DrawnShapes(count=30, split="test")
    images = (torch.stack([data[i][0] for i in range(30)]) / 255 - 0.5) / 0.25
    with torch.no_grad():
        hits = model.eval()(images).argmax(1) == torch.tensor([data[i][1] for i in range(30)])
    return hits.float().mean().item()


def test_test_prints_and_writes_the_accuracy(copy: Path) -> None:
    folder = copy / "runs" / "tiny" / "latest"
    # what lies in the run folder must not be run: the checkpoint holds the config as data
    (folder / "config.py").write_text("raise RuntimeError('this config was run')")
    (copy / "tiny.py").write_text("raise RuntimeError('this config was run')")
    done = call(copy, "test", "runs/tiny/latest")
    assert done.returncode == 0, done.stderr
    line = re.search(r"^test/top1  (0\.\d{4})$", done.stdout, re.MULTILINE)
    assert line, done.stdout
    expected = accuracy_by_hand(folder / "checkpoints" / "iteration_00000010.pt")
    assert float(line[1]) == pytest.approx(expected, abs=5e-5)
    written = json.loads((folder / "test.json").read_text())
    assert written["metrics"]["test/top1"] == pytest.approx(expected)
    assert written["split"] == "test"


def test_test_of_another_split_and_checkpoint(copy: Path, here: Call) -> None:
    path = copy / "runs" / "tiny" / "latest" / "checkpoints" / "iteration_00000005.pt"
    done = here(copy, "test", path, "--split", "val")
    assert done.returncode == 0, done.stderr
    records = [r for r in runs.records(copy / "runs" / "tiny" / "latest") if "val/top1" in r]
    assert f"val/top1  {records[0]['val/top1']:.4f}\n" in done.stdout


def test_test_runs_no_plugin_file_of_the_run_unless_asked(fresh: Path) -> None:
    plugin = fresh / "parts.py"
    good = "from pegboard import METRICS\nfrom pegboard_metrics.accuracy import Accuracy\n\n"
    good += "@METRICS.register\nclass MyAccuracy(Accuracy):\n    pass\n"
    plugin.write_text(good)
    (fresh / "own.py").write_text(CONFIG + 'plugins = ["./parts.py"]\n')
    options = ["--work-dir", "run", "--cfg-options", "train_for='1 iters'"]
    assert call(fresh, "train", "own.py", *options).returncode == 0
    plugin.write_text("from pathlib import Path\nPath('ran').touch()\n" + good)
    done = call(fresh, "test", "run")
    assert done.returncode == 0, done.stderr
    assert not (fresh / "ran").exists()
    done = call(fresh, "test", "run", "--plugins", "./parts.py", "--cfg-options", "metrics.top1.type='MyAccuracy'")
    assert done.returncode == 0, done.stderr
    assert (fresh / "ran").exists()


def test_test_of_bare_weights_needs_a_config(copy: Path, here: Call) -> None:
    newest = copy / "runs" / "tiny" / "latest" / "checkpoints" / "iteration_00000010.pt"
    torch.save(torch.load(newest, weights_only=True)["model"], copy / "weights.pt")
    line = one_line(here(copy, "test", "weights.pt"))
    assert "weights.pt is no checkpoint of pegboard but a bare file of weights; say --config CONFIG" in line
    done = here(copy, "test", "weights.pt", "--config", "tiny.py")
    assert done.returncode == 0, done.stderr
    assert f"test/top1  {accuracy_by_hand(newest):.4f}\n" in done.stdout


def test_test_of_a_checkpoint_with_a_config_takes_its_weights(copy: Path, here: Call) -> None:
    newest = copy / "runs" / "tiny" / "latest" / "checkpoints" / "iteration_00000010.pt"
    done = here(copy, "test", newest, "--config", "tiny.py")
    assert done.returncode == 0, done.stderr
    assert f"test/top1  {accuracy_by_hand(newest):.4f}\n" in done.stdout


def test_only_the_split_that_is_evaluated_must_be_there(copy: Path, here: Call) -> None:
    assert here(copy, "test", "runs/tiny", "--split", "val", "--cfg-options", "test=None").returncode == 0
    line = one_line(here(copy, "test", "runs/tiny", "--cfg-options", "test=None"))
    assert "the config says nothing about 'test' data; add test=dict(dataset=...)" in line


@pytest.mark.parametrize(
    ("path", "message"),
    [("runs/tinny", "did you mean 'tiny'?"), ("tiny.py", "tiny.py"), (".", "is no run folder")],
)
def test_test_of_a_wrong_path_says_so(copy: Path, path: str, message: str, here: Call) -> None:
    assert message in one_line(here(copy, "test", path))
