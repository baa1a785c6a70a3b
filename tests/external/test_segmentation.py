"""A stranger's package for another task: a class for every pixel. Nothing of the house names it."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tests.conftest import Command
from tests.external.strangers import EXTERNAL, installed

SOURCE = EXTERNAL / "segmentation"
STATED = 0.80  # mean IoU on the test images, as the config says

# A run of a few seconds that learns sixteen scenes by heart, with torchmetrics' own figure beside the package's.
SHORT = [
    "train.dataset.size=32", "val.dataset.size=32", "test.dataset.size=32", "train.transforms.0.size=32",
    "train.transforms.0.padding=1", "train.transforms.3.degrees=5",
    "model.width=8", "train.dataset.count=16", "train.batch_size=8", "val.dataset.count=16", "val.dataset.split=train",
    "test.dataset.count=12", "train_for=40 epochs", "val_every=10 epochs", "threads=1", "hooks.tensorboard=None",
    "metrics.jaccard=dict(type='JaccardIndex', average='macro')", "checkpoint=dict(every='10 epochs', keep=9)",
    "hooks.overlay.every=20 epochs",
]  # fmt: skip

ENGINES = """
import torch
from pegboard import Config, Loader
from pegboard.registry import DATASETS, TRANSFORMS

train = Config.load("config.py").values["train"]
dataset = DATASETS.build({**train["dataset"], "count": 20})
known = {"mean": dataset.mean, "std": dataset.std}

def made(**keys):
    transforms = [TRANSFORMS.build(part, "here", known) for part in train["transforms"]]
    batches = list(Loader(dataset, transforms, batch_size=8, shuffle=True, seed=1, **keys).batches(2))
    return [torch.cat(parts) for parts in zip(*batches)]

whole = made(mode="memory")
assert whole[1].dtype == torch.int64 and whole[1].shape == (20, 48, 48), whole[1].shape
assert set(whole[1].unique().tolist()) == {0, 1, 2, 3, 255}
for keys in (dict(mode="workers"), dict(workers=2)):
    assert all(map(torch.equal, whole, made(**keys))), keys
print("alike")
"""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed("segmentation", tmp_path_factory.mktemp("segmentation"))


def pegboard(prefix: Path, folder: Path, *arguments: object, options: list[str] | None = None) -> Any:
    """The command line with the package installed, in ``folder``."""
    script = "from pegboard.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", script, *map(str, arguments)]
    if options is not None:
        command += ["--cfg-options", *options]
    variables = {**os.environ, "PYTHONPATH": str(prefix), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def trained(prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``run`` holds a short run that is over."""
    folder = tmp_path_factory.mktemp("run")
    shutil.copy(SOURCE / "config.py", folder)
    done = pegboard(prefix, folder, "train", "config.py", "--work-dir", "run", options=SHORT)
    assert done.returncode == 0, done.stderr
    return folder


def summary(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return read


def weights(folder: Path) -> dict[str, torch.Tensor]:
    newest = max((folder / "checkpoints").glob("iteration_*.pt"))
    model: dict[str, torch.Tensor] = torch.load(newest, weights_only=True)["model"]
    return model


def test_it_trains_and_draws_what_it_finds(trained: Path) -> None:
    said = summary(trained / "run")
    assert said["exit"] == "finished"
    assert said["final"]["val/miou"] > 0.3  # finding nothing but ground gives 0.22
    assert said["final"]["val/jaccard"] == pytest.approx(said["final"]["val/miou"], abs=1e-5)
    assert len(list((trained / "run" / "figures").glob("*/Overlay.png"))) == 2
    report = (trained / "run" / "report.html").read_text(encoding="utf-8")
    assert "Validation images with their true masks and those found" in report


def test_a_run_that_is_stopped_shows_what_it_found_last(prefix: Path, trained: Path) -> None:
    ends = "hooks.ends=dict(type='EarlyStop', metric='val/miou', better='higher', patience=1, min_delta=2.0)"
    few = ["val_every=1 epochs", "hooks.overlay.every=90 epochs", ends]
    done = pegboard(prefix, trained, "train", "config.py", "--work-dir", "stopped", options=[*SHORT, *few])
    assert done.returncode == 0, done.stderr
    at = summary(trained / "stopped")["iterations"]
    assert at < 80
    assert [*(trained / "stopped" / "figures").glob("*/Overlay.png")] == [
        trained / "stopped" / "figures" / f"iteration_{at:08}" / "Overlay.png"
    ]


def test_a_resumed_run_ends_in_the_same_weights(prefix: Path, trained: Path) -> None:
    shutil.copytree(trained / "run", trained / "part")
    newest = "checkpoints/iteration_00000080.pt"
    (trained / "part" / newest).unlink()
    half = "part/checkpoints/iteration_00000040.pt"
    done = pegboard(prefix, trained, "train", "config.py", "--resume", half, options=SHORT)
    assert done.returncode == 0, done.stderr
    assert "resumed at iteration 40 of 80" in done.stderr
    whole, part = (torch.load(trained / name / newest, weights_only=True)["model"] for name in ("run", "part"))
    assert whole.keys() == part.keys() and all(torch.equal(whole[name], part[name]) for name in whole)


def test_every_engine_gives_the_same_images_and_masks(prefix: Path, trained: Path, python: Command) -> None:
    done = python("-c", ENGINES, path=[prefix], cwd=trained)
    assert done.stdout == "alike\n", done.stderr


def test_mistakes_in_its_config_are_found(prefix: Path, trained: Path) -> None:
    options = ["metrics.miou.clases=3", "model.widht=3", "hooks.overlay.evry='2 epochs'", "train.dataset.split='trian'"]
    done = pegboard(prefix, trained, "check", "config.py", options=options)
    assert done.returncode == 2
    for found in (
        "model.widht: UNet takes no 'widht'; did you mean 'width'?",
        "hooks.overlay.evry: Overlay takes no 'evry'; did you mean 'every'?",
        "metrics.miou.clases: MeanIoU takes no 'clases'",
        "train.dataset.split: must be 'train', 'val' or 'test', got 'trian'; did you mean 'train'?",
    ):
        assert found in done.stderr


def test_the_commands_take_it_or_say_in_a_sentence_why_not(prefix: Path, trained: Path) -> None:
    done = pegboard(prefix, trained, "test", "run")
    assert done.returncode == 0 and "test/miou" in done.stdout, done.stderr
    done = pegboard(prefix, trained, "test", "run", "--predictions", "all.csv")
    assert done.returncode == 2
    [line] = done.stderr.strip().splitlines()[-1:]
    assert "needs one number a class from the model, (B, K); it gives (12, 4, 32, 32)" in line
    assert not (trained / "all.csv").exists()
    done = pegboard(prefix, trained, "model", "config.py")
    assert done.returncode == 0 and "UNet" in done.stdout, done.stderr
    done = pegboard(prefix, trained, "stats", "config.py", "--sample", 40)
    assert done.returncode == 0 and "std" in done.stdout, done.stderr


def test_its_command_says_how_well_each_class_is_met(prefix: Path, trained: Path) -> None:
    done = pegboard(prefix, trained, "iou", "run")
    assert done.returncode == 0, done.stderr
    said = {name: float(value) for name, value in map(str.split, done.stdout.splitlines())}
    assert [*said] == ["background", "disc", "square", "triangle", "mean"]
    assert said["mean"] == pytest.approx(sum([*said.values()][:-1]) / 4, abs=1e-4)
    assert said["mean"] == pytest.approx(summary(trained / "run")["final"]["val/miou"], abs=1e-4)
    done = pegboard(prefix, trained, "iou", "rum")
    assert done.returncode == 2 and "did you mean 'run'" in done.stderr


def test_it_is_sound(prefix: Path, trained: Path) -> None:
    done = pegboard(prefix, trained, "plugins", "--doctor", "shape_masks")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "promises, all kept" in done.stdout and "could be better" not in done.stdout


def test_its_loss_is_cross_entropy_and_what_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SOURCE)
    loss = importlib.import_module("shape_masks.overlap").EntropyAndDice
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(32).reshape(2, 4, 4) % 3
    targets[0, 0] = 255
    both = loss()(logits, targets)
    torch.testing.assert_close(both["entropy"], F.cross_entropy(logits, targets, ignore_index=255))
    share, known = logits.softmax(1), targets != 255
    met = [2 * share[:, k][targets == k].sum() + 1 for k in range(3)]
    areas = [share[:, k][known].sum() + (targets == k).sum() + 1 for k in range(3)]
    missed = 1 - sum(m / a for m, a in zip(met, areas, strict=True)) / 3
    torch.testing.assert_close(both["dice"], 0.5 * missed)


@pytest.mark.slow
def test_it_reaches_what_its_config_states(prefix: Path, trained: Path) -> None:
    done = pegboard(prefix, trained, "train", "config.py", "--work-dir", "full", options=["threads=2"])
    assert done.returncode == 0, done.stderr
    done = pegboard(prefix, trained, "test", "full")
    assert done.returncode == 0, done.stderr
    figures = json.loads((trained / "full" / "test.json").read_text(encoding="utf-8"))["metrics"]
    assert figures["test/miou"] >= STATED - 0.03  # other machines round otherwise
