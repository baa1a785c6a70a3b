"""``pegboard cross-validate``: the folds, their runs, what they say together, and going on after any end."""

import json
import logging
import math
import os
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pegboard import Config, Hook, Transform
from pegboard.console import show_log
from pegboard.runner.lock import FolderLock
from pegboard_data.image_folder import ImageFolder
from pegboard_data.subset import read_indices
from tests import runs
from tests.plugins.pegboard_data.pictures import write_classes_of_noise

# A hook kills its process after the iteration that the environment names.
PARTS = """
import os, signal
from torch import nn
from pegboard import HOOKS, MODELS, Hook

@MODELS.register(supplied=("num_classes",))
class Drops(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.drop, self.fc = nn.Dropout(0.3), nn.Linear(192, num_classes)

    def forward(self, images):
        return self.fc(self.drop(images.flatten(1)))

@HOOKS.register
class Ends(Hook):
    def after_train_iter(self, run, batch, loss, outputs):
        if os.environ.get("SIGKILL") == f"{run.name}:{run.iteration}":
            os.kill(os.getpid(), signal.SIGKILL)
"""
CONFIG = """
to_float = [dict(type="ToFloat"), dict(type="Normalize", mean=(0.5,) * 3, std=(0.25,) * 3)]
train = dict(
    dataset=dict(type="ImageFolder", root="data"),
    transforms=[dict(type="RandomHorizontalFlip"), *to_float],
    batch_size=4,
    shuffle=True,
)
val = dict(dataset=dict(type="ImageFolder", root="not_used"), transforms=to_float, batch_size=5)
test = dict(dataset=dict(type="ImageFolder", root="not_read"), transforms=to_float)
model = dict(type="Tiny")
loss = dict(type="CrossEntropyLoss")
optimizer = dict(type="SGD", lr=0.05, momentum=0.9)
metrics = dict(top1=dict(type="Accuracy"))
train_for = "2 epochs"
log_every = "1 iters"
device = "cpu"
threads = 1
hooks = dict(tensorboard=None, progress=None)
"""
PLUGIN = CONFIG.replace('"Tiny"', '"Drops"') + (
    'plugins = ["./parts.py"]\nhooks["ends"] = dict(type="Ends")\ncheckpoint = dict(every="1 iters")\n'
)
COUNTS = {"a": 10, "b": 8}


def lay_out(folder):
    write_classes_of_noise(folder / "data", COUNTS)
    (folder / "config.py").write_text(CONFIG)
    (folder / "plugin.py").write_text(PLUGIN)
    (folder / "parts.py").write_text(PARTS)


@pytest.fixture
def here(tmp_path, boards, monkeypatch, caplog):
    """The working directory of the tests that stay in this process, with the data and the config."""
    lay_out(tmp_path)
    runs.hang_up()
    monkeypatch.setattr("pegboard.console.show_log", lambda: None)  # it would stay for the tests that follow
    caplog.set_level(logging.INFO, "pegboard")
    return tmp_path


def record(folder):
    return json.loads((folder / "cross_validation.json").read_text(encoding="utf-8"))


def summary(folder):
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def indices(folder):
    return [read_indices(folder / f"{part}_indices.txt").tolist() for part in ("train", "val")]


# -- the command line, in processes of its own -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A cross-validation that nothing disturbed: its working directory, and what it printed."""
    folder = tmp_path_factory.mktemp("whole")
    lay_out(folder)
    script = "from pegboard.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", script, "cross-validate", "plugin.py", "--folds", "3", "--work-dir", "cv"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return folder, subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_folds_are_trained_and_their_figures_put_together(whole):
    folder, done = whole
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert (
        "train.dataset has 18 samples: 3 runs (kfold, stratified, seed 0) in cv; val.dataset is not used" in done.stderr
    )
    assert re.findall(r"this fold took \d+:\d\d; (\d) more will take about \d+:\d\d", done.stderr) == ["2", "1"]
    finals = [summary(folder / "cv" / f"fold_{number}")["final"] for number in (1, 2, 3)]
    rows = {line[:18].strip(): line[18:].split() for line in done.stdout.splitlines()}
    assert rows[""] == ["samples", "val/loss", "val/top1"]
    for column, name in enumerate(("val/loss", "val/top1")):
        values = [final[name] for final in finals]
        assert [rows[f"fold_{number}"][column + 1] for number in (1, 2, 3)] == [f"{value:.5g}" for value in values]
        mean, std = sum(values) / 3, statistics.stdev(values)
        half = 4.302652729911275 * std / math.sqrt(3)  # Student's t, 2 degrees of freedom, 0.975
        found = record(folder / "cv")["metrics"][name]
        assert found["per_fold"] == values
        assert [found["mean"], found["std"], *found["interval"]] == pytest.approx([mean, std, mean - half, mean + half])
        assert rows["mean"][column] == f"{mean:.5g}" and rows["standard deviation"][column] == f"{std:.5g}"
        assert rows["95 % interval from"[:18]][-2 + column] == f"{mean - half:.5g}"
    assert "Student's t with 2 degrees of freedom" in done.stdout and "pooled" not in done.stdout


def test_a_fold_alone_is_that_fold_after_others_bit_for_bit(whole, pegboard_cli):
    """Its config is one that `pegboard train` runs by itself; nothing leaks from the runs before it."""
    folder, _ = whole
    done = pegboard_cli("train", "cv/fold_2/config.py", "--work-dir", "alone", cwd=folder)
    assert done.returncode == 0, done.stderr
    alone, among = runs.newest(folder / "alone"), runs.newest(folder / "cv" / "fold_2")
    assert alone["hooks"].pop("log") and among["hooks"].pop("log")  # lengths of files, of which timing.jsonl is one
    assert runs.same(alone, among)
    for file in ("metrics.jsonl", "config.json"):
        assert (folder / "alone" / file).read_bytes() == (folder / "cv" / "fold_2" / file).read_bytes()


def test_killed_it_goes_on_to_the_same_figures(whole, pegboard_cli, tmp_path):
    lay_out(tmp_path)
    command = ("cross-validate", "plugin.py", "--folds", "3", "--work-dir", "cv")
    killed = pegboard_cli(*command, SIGKILL="plugin_fold_2:4")
    assert killed.returncode == -9 and not (tmp_path / "cv" / "fold_3").exists()
    assert record(tmp_path / "cv")["asked"]["folds"] == 3
    first = (tmp_path / "cv" / "fold_1" / "summary.json").stat().st_mtime_ns
    done = pegboard_cli(*command)
    assert done.returncode == 0, done.stderr
    assert "fold 1 of 3 is over already" in done.stderr and "resumed at iteration 3 of 6" in done.stderr
    assert (tmp_path / "cv" / "fold_1" / "summary.json").stat().st_mtime_ns == first
    folder, undisturbed = whole
    assert done.stdout == undisturbed.stdout
    for file in ("cross_validation.json", *(f"fold_{number}/metrics.jsonl" for number in (1, 2, 3))):
        assert (tmp_path / "cv" / file).read_bytes() == (folder / "cv" / file).read_bytes()


# -- side by side, and one a command --------------------------------------------------------------------------------


def begin(folder, *arguments, **environment):
    """The command in a process of its own, which is not waited for."""
    script = "from pegboard.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", script, "cross-validate", *arguments]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=variables, **streams)


def children(process):
    """Numbers of the processes that a live one has started."""
    return [int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def wait_until(done, seconds=120):
    """Wait for something to come true."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_side_by_side_killed_and_gone_on_with_gives_the_same_figures(whole, pegboard_cli, tmp_path):
    lay_out(tmp_path)
    command = ("cross-validate", "plugin.py", "--folds", "3", "--work-dir", "cv", "--jobs", "2")
    killed = pegboard_cli(*command, SIGKILL="plugin_fold_2:4")
    assert killed.returncode == 2 and killed.stdout == ""
    assert killed.stderr.splitlines()[-1] == (
        "fold 2 of 3: its process was ended by SIGKILL; what it printed is in cv/job_2.txt"
    )
    assert not (tmp_path / "cv" / "fold_2" / "summary.json").exists()
    done = pegboard_cli(*command)
    assert done.returncode == 0, done.stderr
    assert any("resumed at iteration 3 of 6" in path.read_text() for path in (tmp_path / "cv").glob("job_*.txt"))
    assert "2 folds at a time, each with at most " in killed.stderr  # the second time one may be all that is left
    assert "fold 2 of 3 is over" in done.stderr
    folder, undisturbed = whole
    assert done.stdout == undisturbed.stdout
    for file in ("cross_validation.json", *(f"fold_{number}/metrics.jsonl" for number in (1, 2, 3))):
        assert (tmp_path / "cv" / file).read_bytes() == (folder / "cv" / file).read_bytes()


SLEEPS = """
hooks["sleeps"] = dict(type="Sleeps")
"""
SLEEPY = """
import time
@HOOKS.register
class Sleeps(Hook):
    def after_train_iter(self, run, batch, loss, outputs):
        if run.iteration == 3 and os.environ.get("SLEEP"):
            (run.folder / "asleep").write_text("")
            while not run.interrupted:
                time.sleep(0.05)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for child processes where Linux lists them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_ends_the_command_ends_all_folds_with_their_state_saved(tmp_path, number):
    """Ctrl-C, and a kill that leaves the command no time to tell anybody."""
    lay_out(tmp_path)
    (tmp_path / "plugin.py").write_text(PLUGIN + SLEEPS)
    (tmp_path / "parts.py").write_text(PARTS + SLEEPY)
    process = begin(tmp_path, "plugin.py", "--folds", "2", "--work-dir", "cv", "--jobs", "2", SLEEP="1")
    folds = [tmp_path / "cv" / f"fold_{number}" for number in (1, 2)]
    wait_until(lambda: all((fold / "asleep").exists() for fold in folds) or process.poll() is not None)
    jobs = children(process.pid)
    process.send_signal(number)
    status, (out, err) = process.wait(60), process.communicate()
    assert (status, out) == (130 if number == signal.SIGINT else -9, ""), err
    if number == signal.SIGINT:
        assert err.splitlines()[-1] == "interrupted; the same command with --work-dir cv goes on"
    wait_until(lambda: not any(Path(f"/proc/{job}").exists() for job in jobs), 60)
    assert [summary(fold)["exit"] for fold in folds] == ["interrupted", "interrupted"]
    assert [summary(fold)["iterations"] for fold in folds] == [3, 3]


def test_one_command_a_fold(pegboard, here):
    command = ("cross-validate", "config.py", "--folds", 2, "--no-stratify", "--seed", 3)
    options = ("--cfg-options", "optimizer.lr=0.1", "name='a b'")
    assert pegboard(*command, "--work-dir", "serial", *options)[0] == 0
    status, out, err = pegboard(*command, "--work-dir", "the queue", *options, "--print-commands")
    lines = out.splitlines()
    assert status == 0 and len(lines) == 2 and "pegboard cross-validate --collect 'the queue' puts" in err
    assert not (here / "the queue" / "fold_1").exists()
    for number, line in enumerate(lines, 1):  # a process that collects too early is told what is missing
        status, out, err = pegboard("cross-validate", "--collect", "the queue")
        missing = ["fold_1 (not begun)", "fold_2 (not begun)"][number - 1 :]
        assert status == 1 and err == f"{3 - number} of 2 folds are not over: {', '.join(missing)}\n"
        assert ("fold_1" in out) == (number == 2)
        cd, there, also, program, *words = shlex.split(line)
        assert [cd, there, also, program] == ["cd", str(here), "&&", "pegboard"]
        status, out, err = pegboard(*words)
        assert status == 0 and re.fullmatch(rf"fold_{number}: val/loss \S+, val/top1 \S+\n", out)
        assert err.startswith("1 of 2 folds are not over" if number == 1 else "pegboard cross-validate --collect")
    assert pegboard(*command, "--work-dir", "the queue", *options, "--print-commands")[1] == ""
    status, out, err = pegboard("cross-validate", "--collect", "the queue")
    assert status == 0 and out.endswith("everything is in the queue\n"), err
    assert record(here / "the queue") == record(here / "serial")


@pytest.mark.slow
def test_commands_run_as_printed(whole, pegboard_cli, tmp_path):
    """By a shell, all at once, as a queue does."""
    lay_out(tmp_path)
    done = pegboard_cli("cross-validate", "plugin.py", "--folds", "3", "--work-dir", "cv", "--print-commands")
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    script = "from pegboard.cli import main; raise SystemExit(main())"
    (bin_folder / "pegboard").write_text(f'#!/bin/sh\nexec {sys.executable} -c "{script}" "$@"\n')
    (bin_folder / "pegboard").chmod(0o755)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{bin_folder}:{os.environ['PATH']}"}
    lines = done.stdout.splitlines()
    running = [subprocess.Popen(line, shell=True, cwd=bin_folder, env=environment) for line in lines]  # from anywhere
    assert [process.wait(300) for process in running] == [0, 0, 0]
    collected = pegboard_cli("cross-validate", "--collect", "cv")
    assert collected.returncode == 0 and collected.stdout == whole[1].stdout


def test_a_fold_that_another_process_trains_is_left_alone(pegboard, here):
    command = ("cross-validate", "config.py", "--folds", 2, "--work-dir", "cv")
    assert pegboard(*command, "--print-commands")[0] == 0
    (here / "cv" / "fold_1").mkdir()
    (here / "cv" / "fold_1" / "log.txt").write_text("another's")
    lock = FolderLock()
    lock.take(here / "cv" / "fold_1")
    with lock:
        status, _, err = pegboard(*command, "--fold", 1)
    assert status == 2 and "cv/fold_1 is used by a run that still goes on" in err
    assert (here / "cv" / "fold_1" / "log.txt").read_text() == "another's"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "CONFIG is missing; expected pegboard cross-validate CONFIG, or --collect DIR"),
        (["config.py", "--jobs", 0], "--jobs 0; expected at least 1"),
        (["config.py", "--fold", 1], "--fold 1 needs the --work-dir that all folds have in common"),
        (["config.py", "--fold", 6, "--work-dir", "cv"], "--fold 6; expected 1 to 5"),
        (["--collect", "nowhere"], "nowhere holds no cross-validation; expected the --work-dir of one that was begun"),
        (["--collect", "data"], "data holds no cross-validation"),
        (["config.py", "--collect", "data"], "--collect takes no CONFIG, since data says what was trained"),
    ],
)  # fmt: skip
def test_ways_of_running_that_cannot_be(pegboard, here, arguments, message):
    status, out, err = pegboard("cross-validate", *arguments)
    assert (status, out) == (2, "") and message in err and err.count("\n") == 1
    assert not (here / "cv").exists()


# -- what the folds hold --------------------------------------------------------------------------------------------


def test_folds_partition_the_data(pegboard, here):
    assert pegboard("cross-validate", "config.py", "--folds", 4, "--seed", 7, "--work-dir", "cv")[0] == 0
    found = [indices(here / "cv" / f"fold_{number}") for number in (1, 2, 3, 4)]
    targets = ImageFolder(str(here / "data")).targets
    assert sorted(index for _, val in found for index in val) == list(range(18))
    for train, val in found:
        assert sorted(train + val) == list(range(18))
        assert np.bincount(targets[val]).tolist() in ([2, 2], [3, 2])
    assert pegboard("cross-validate", "config.py", "--folds", 4, "--seed", 7, "--work-dir", "again")[0] == 0
    assert [indices(here / "again" / f"fold_{number}") for number in (1, 2, 3, 4)] == found


class Shouts(Transform):
    """No image without it is as bright."""

    def apply(self, images, rows):
        return images + 10


class Listens(Hook):
    essential = True

    def __init__(self):
        self.trained = self.validated = 0

    def before_train_iter(self, run, batch):
        assert batch.inputs.min() >= 10
        self.trained += 1

    def before_val_iter(self, run, batch):
        assert batch.inputs.max() <= 1 and len(batch.inputs) <= 5
        self.validated += 1


def test_val_sees_its_own_transforms_and_batch_size(pegboard, here):
    listens = Listens()
    text = CONFIG.replace(
        'dict(type="RandomHorizontalFlip"), *to_float', "*to_float, " + str(runs.hang("transforms", "shouts", Shouts()))
    )
    text = text.replace(', dict(type="Normalize", mean=(0.5,) * 3, std=(0.25,) * 3)', "")
    (here / "config.py").write_text(text + f"hooks['listens'] = {runs.hang('hooks', 'listens', listens)}\n")
    assert pegboard("cross-validate", "config.py", "--folds", 2, "--work-dir", "cv")[0] == 0
    assert (listens.trained, listens.validated) == (2 * 2 * 3, 2 * 2 * 2)
    fold = Config.load(here / "cv" / "fold_1" / "config.py").values
    assert [part["type"] for part in fold["val"]["transforms"]] == ["ToFloat"] and fold["val"]["batch_size"] == 5
    assert (
        fold["train"]["dataset"]["dataset"]
        == fold["val"]["dataset"]["dataset"]
        == {"type": "ImageFolder", "root": "data"}
    )
    assert fold["test"]["dataset"]["root"] == "not_read"


def test_a_val_without_a_dataset_is_enough(pegboard, here):
    (here / "config.py").write_text(
        CONFIG.replace('val = dict(dataset=dict(type="ImageFolder", root="not_used"), ', "val = dict(")
    )
    assert pegboard("cross-validate", "config.py", "--folds", 2, "--work-dir", "cv")[0] == 0


def test_statistics_are_those_of_the_folds_training_images(pegboard, here):
    text = CONFIG.replace(
        "*to_float]", 'dict(type="RandomApply", transforms=[dict(type="torchvision:RandomInvert")]), *to_float]'
    )
    (here / "config.py").write_text(text)
    assert pegboard("cross-validate", "config.py", "--folds", 2, "--statistics", "--work-dir", "cv")[0] == 0
    images = ImageFolder(str(here / "data"))
    for number in (1, 2):
        folder = here / "cv" / f"fold_{number}"
        pixels = np.concatenate([np.asarray(images[index][0]).reshape(-1, 3) / 255 for index in indices(folder)[0]])
        values = Config.load(folder / "config.py").values
        for loader in ("train", "val", "test"):
            normalize = values[loader]["transforms"][-1]
            assert normalize["mean"] == pytest.approx(pixels.mean(axis=0), abs=1e-6)
            assert normalize["std"] == pytest.approx(pixels.std(axis=0), abs=1e-6)


def test_images_of_a_group_stay_together(pegboard, here):
    status, _, err = pegboard(
        "cross-validate", "config.py", "--folds", 2, "--group-by", r"/00(\d)", "--no-stratify", "--work-dir", "cv"
    )
    assert status == 0, err
    for number in (1, 2):
        train, val = (
            {ImageFolder("data").paths[index][-7:] for index in part}
            for part in indices(here / "cv" / f"fold_{number}")
        )
        assert train and val and not train & val


def test_a_bootstrap_draws_anew_for_each_fold(pegboard, here):
    assert pegboard("cross-validate", "config.py", "--scheme", "bootstrap", "--folds", 3, "--work-dir", "cv")[0] == 0
    found = [indices(here / "cv" / f"fold_{number}") for number in (1, 2, 3)]
    for train, val in found:
        assert (
            len(train) == 18 > len({*train}) and sorted({*train} | {*val}) == list(range(18)) and not {*train} & {*val}
        )
    assert found[0] != found[1] != found[2] != found[0]
    assert pegboard("cross-validate", "config.py", "--scheme", "bootstrap", "--folds", 2, "--work-dir", "fewer")[0] == 0
    assert indices(here / "fewer" / "fold_2") == found[1]


def test_leaving_one_group_out_pools_by_samples(pegboard, here, caplog):
    for path in (here / "data" / "a").glob("00[5-9].png"):
        path.rename(path.with_name(f"2{path.name}"))
    command = ("cross-validate", "config.py", "--scheme", "loo", "--group-by", r"/(2|00[0-3]|00)", "--work-dir", "cv")
    status, out, err = pegboard(*command, "--cfg-options", "train_for=1 epochs")
    assert status == 0, err
    assert "leaving one out: 6 runs, about 0:0" in err
    assert "leaving one out" not in pegboard(*command, "--cfg-options", "train_for=1 epochs")[2]  # nothing is left
    assert "6 runs (loo, seed 0)" in caplog.text and "5 more will take about" in caplog.text
    found = record(here / "cv")
    sizes = [fold["val"] for fold in found["folds"]]
    assert sum(sizes) == 18 and len({*sizes}) > 1
    finals = [summary(here / "cv" / f"fold_{number}")["final"]["val/top1"] for number in range(1, 7)]
    pooled = sum(size * value for size, value in zip(sizes, finals, strict=True)) / 18
    assert found["metrics"]["val/top1"]["pooled"] == pytest.approx(pooled)
    assert f"{pooled:.5g}" in next(line for line in out.splitlines() if line.startswith("pooled mean  "))
    assert "pooled mean: each fold's value times its number of samples, summed, over all 18" in out


def test_many_runs_want_a_yes(pegboard, here, monkeypatch):
    monkeypatch.setattr("pegboard.console.show_log", show_log)  # as a user has it: the trial run says nothing
    write_classes_of_noise(here / "data", {"c": 90})
    (here / "config.py").write_text(CONFIG.replace(", mean=(0.5,) * 3, std=(0.25,) * 3", ""))
    logger = logging.getLogger("pegboard")
    before = list(logger.handlers), logger.level, logger.propagate
    try:
        status, _, err = pegboard("cross-validate", "config.py", "--scheme", "loo", "--statistics")
    finally:
        logger.handlers, logger.level, logger.propagate = before
    assert "finished" not in err
    assert status == 2 and re.search(r"makes 108 runs, about \d+:\d\d.*; say --yes to train them all", err), err
    assert not (here / "runs").exists()


def test_a_folder_is_made_unless_one_is_named(pegboard, here):
    status, out, _ = pegboard("cross-validate", "config.py", "--folds", 2)
    [folder] = (here / "runs" / "config").iterdir()
    assert (
        status == 0
        and folder.name.startswith("cross_validation_20")
        and f"everything is in {folder.relative_to(here)}" in out
    )


def test_a_fold_that_a_hook_ends_is_over(pegboard, here):
    hook = "hooks['early'] = dict(type='EarlyStop', metric='val/top1', better='higher', patience=1)\n"
    (here / "config.py").write_text(CONFIG + hook)
    command = ("cross-validate", "config.py", "--folds", 2, "--work-dir", "cv", "--cfg-options", "train_for=60 epochs")
    status, out, _ = pegboard(*command)
    assert status == 0 and out.count("ended early: val/top1 has not improved") == 2
    before = (here / "cv" / "fold_2" / "summary.json").read_bytes()
    assert pegboard(*command)[:2] == (0, out)
    assert (here / "cv" / "fold_2" / "summary.json").read_bytes() == before


def test_a_stand_in_is_said_to_be_one(pegboard, here, monkeypatch):
    monkeypatch.setattr(ImageFolder, "stand_in", True, raising=False)
    monkeypatch.setattr(ImageFolder, "label", "stand-in", raising=False)
    status, out, _ = pegboard("cross-validate", "config.py", "--folds", 2, "--work-dir", "cv")
    assert status == 0 and "the data is a STAND-IN drawn by code" in out
    assert record(here / "cv")["data"]["label"] == "stand-in"


# -- what is refused ------------------------------------------------------------------------------------------------


def test_another_cross_validation_is_not_gone_on_with(pegboard, here):
    command = ("cross-validate", "config.py", "--work-dir", "cv")
    assert pegboard(*command, "--folds", 2)[0] == 0
    before = (here / "cv" / "cross_validation.json").read_bytes()

    def refused(*options):
        status, out, err = pegboard(*command, *options)
        assert (status, out) == (2, "") and err.endswith("; expected the same, or another --work-dir\n")
        start = "cv holds a cross-validation of something else: "
        assert err.startswith(start)
        return err.removeprefix(start).removesuffix("; expected the same, or another --work-dir\n")

    assert refused() == "--folds was 2, is 5"
    assert refused("--folds", 2, "--seed", 1) == "--seed was 0, is 1"
    assert refused("--folds", 2, "--scheme", "bootstrap") == "--scheme was 'kfold', is 'bootstrap'"
    assert refused("--folds", 2, "--statistics") == "--statistics was False, is True"
    assert refused("--folds", 2, "--cfg-options", "optimizer.lr=0.1") == "optimizer.lr was 0.05, is 0.1"
    changed = refused("--folds", 2, "--cfg-options", "accumulate=2", "hooks.progress=dict()")
    assert changed == "hooks.progress was not given, is {}, accumulate was not given, is 2"
    write_classes_of_noise(here / "data", {"a": 11})
    assert re.fullmatch(
        r"the data's samples was 18, is 19, the data's digest was '\w+', is '\w+'", refused("--folds", 2)
    )
    assert (here / "cv" / "cross_validation.json").read_bytes() == before


def test_folds_that_were_drawn_otherwise_are_refused(pegboard, here):
    command = ("cross-validate", "config.py", "--folds", 2, "--work-dir", "cv")
    assert pegboard(*command)[0] == 0
    (here / "cv" / "fold_2" / "val_indices.txt").write_text("0\n")
    status, _, err = pegboard(*command)
    assert status == 2 and err.startswith("cv/fold_2/val_indices.txt holds other samples than are drawn now")


def test_a_fold_whose_checkpoints_are_all_damaged_begins_anew(pegboard, here):
    command = ("cross-validate", "config.py", "--folds", 2, "--work-dir", "cv")
    assert pegboard(*command)[0] == 0
    expected = (here / "cv" / "cross_validation.json").read_bytes()
    fold = here / "cv" / "fold_2"
    (fold / "summary.json").unlink()
    for path in (fold / "checkpoints").glob("*.pt"):
        path.write_bytes(b"damaged")
    assert pegboard(*command)[0] == 0
    assert (here / "cv" / "cross_validation.json").read_bytes() == expected


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ("del val", [], "config.py has no val, which says how a fold is validated; expected val=dict(transforms=[...]"),
        ("train = None", [], "config.py has no train.dataset; expected train=dict(dataset=dict(type=...))"),
        ("", ["--folds", 1], "--folds 1; expected at least 2"),
        ("", ["--folds", 9], "class 'b' has 8 images, too few to be in each part: expected at least 9"),
        ("", ["--folds", 19, "--no-stratify"], "train.dataset has 18 images; expected at least 19, one for each fold"),
        ("", ["--folds", 3, "--scheme", "loo"], "--folds belongs to --scheme kfold or bootstrap, not to loo"),
        ("", ["--seed", -1], "--seed -1; expected 0 to 4294967295"),
        ("", ["--group-by", "("], "--group-by '(' is no regular expression"),
        ("", ["--group-by", "x"], "--group-by 'x' matches nothing in 'a/000.png'"),
        ("train['transforms'].pop()", ["--statistics"], "--statistics: config.py has no Normalize in train.transforms"),
        ("optimizer['lrr'] = 1", [], "optimizer.lrr"),
        ("train['dataset']['root'] = 'dta'", [], "dta: no such folder"),
        ("train['dataset'] = dict(type='Repeat', dataset=train['dataset'], times=2)", [], "Repeat shows sample"),
        ("train['dataset'] = dict(type='Dots')", ["--group-by", "x"], "asks for the paths of the images"),
        ("", ["--work-dir", "data"], "--work-dir data holds something else; expected a cross-validation"),
        ("", ["--work-dir", "config.py"], "--work-dir config.py is a file; expected a folder"),
        ("", ["--work-dir", "damaged"], "cross_validation.json is damaged"),
        ("", ["--device", "tpu"], "device: must be auto, cpu, cuda, cuda:N or mps, got 'tpu'"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(pegboard, here, change, arguments, message):
    (here / "config.py").write_text(f"{CONFIG}{change}\n")
    (here / "damaged").mkdir()
    (here / "damaged" / "cross_validation.json").write_text('{"asked": 3}')
    status, out, err = pegboard("cross-validate", "config.py", *arguments)
    assert (status, out) == (2, "") and message in err and err.count("\n") == 1
    assert not (here / "runs").exists()


def test_one_colour_has_no_statistics(pegboard, here):
    shutil.rmtree(here / "data")
    for name in ("a", "b"):
        (here / "data" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (8, 8), (7, 0, 0)).save(here / "data" / name / f"{number}.png")
    status, _, err = pegboard("cross-validate", "config.py", "--folds", 2, "--statistics")
    assert status == 2 and err == "--statistics: every red value of the training images is the same\n"


class PressesCtrlC(Hook):
    def after_train_iter(self, run, batch, loss, outputs):
        if (run.name, run.iteration) == ("config_fold_2", 4):
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_in_a_run(pegboard, here, caplog):
    presses = runs.hang("hooks", "presses", PressesCtrlC())
    (here / "config.py").write_text(CONFIG + f"hooks['presses'] = {presses}\n")
    command = ("cross-validate", "config.py", "--folds", 2, "--work-dir")
    status, out, err = pegboard(*command, "cv")
    assert (status, out, err) == (130, "", "interrupted; the same command with --work-dir cv goes on\n")
    assert summary(here / "cv" / "fold_2")["exit"] == "interrupted"
    assert pegboard(*command, "cv")[0] == 0 and "resumed at iteration 4 of 6" in caplog.text
    runs.hang("hooks", "presses", Hook())
    assert pegboard(*command, "undisturbed")[0] == 0
    assert record(here / "cv") == record(here / "undisturbed")


def test_a_fold_that_was_ended_before_its_first_checkpoint_begins_anew(pegboard, here):
    command = ("cross-validate", "config.py", "--folds", 2, "--work-dir", "cv")
    assert pegboard(*command)[0] == 0
    expected = (here / "cv" / "cross_validation.json").read_bytes()
    fold = here / "cv" / "fold_2"
    shutil.rmtree(fold / "checkpoints")
    (fold / "summary.json").write_text('{"exit":')
    (fold / "val_indices.txt").unlink()
    assert pegboard(*command)[0] == 0
    assert (here / "cv" / "cross_validation.json").read_bytes() == expected
    assert len(runs.records(fold)) == 8  # six iterations, two epochs: nothing of the run before


def test_ctrl_c_between_runs(pegboard, here, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pegboard_data.folds.targets_of", interrupted)
        status, _, err = pegboard("cross-validate", "config.py", "--folds", 2)
    nothing = (130, "interrupted before the first fold; nothing was begun\n")
    assert (status, err) == nothing
    with monkeypatch.context() as patch:
        patch.setattr("pegboard.Runner.train", interrupted)  # while it finds out how long a fold takes
        status, _, err = pegboard("cross-validate", "config.py", "--scheme", "loo", "--work-dir", "loo")
    assert (status, err) == nothing and not (here / "loo").exists()
    with monkeypatch.context() as patch:
        patch.setattr("pegboard_data.cross_validation.statistics_of", interrupted)
        status, _, err = pegboard("cross-validate", "config.py", "--folds", 2, "--statistics", "--work-dir", "cv")
    assert (status, err) == (130, "interrupted; the same command with --work-dir cv goes on\n")
    assert pegboard("cross-validate", "config.py", "--folds", 2, "--statistics", "--work-dir", "cv")[0] == 0
