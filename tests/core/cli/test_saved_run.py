"""A run that is over, as those who write a command about it open it."""

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch

from pegboard import CheckpointError, ConfigError, DataError, Hook, PegboardError, SavedRun
from pegboard.registry import BOARDS
from tests import runs


class Counts(Hook):
    """How many samples it was shown."""

    seen = 0

    def after_test_iter(self, run: Any, batch: Any, outputs: Any) -> None:
        self.seen += len(outputs)


@pytest.fixture
def run(boards: None, tmp_path: Path) -> Path:
    runs.hang_up()
    runs.train(tmp_path / "run", train_for="1 epoch")
    return tmp_path / "run"


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def named_by(*words: object) -> SavedRun:
    parser = argparse.ArgumentParser()
    SavedRun.add_arguments(parser)
    return SavedRun.named_by(parser.parse_args([*map(str, words)]))


def test_it_is_evaluated_and_nothing_is_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before, counts = files(tmp_path), Counts()
    saved = SavedRun.open(run)
    assert saved.folder == run.resolve() and saved.file.name == "iteration_00000003.pt"
    again, figures = saved.tested("val", {"counts": counts})
    trained = {name: value for name, value in runs.records(run)[-1].items() if name.startswith("val/")}
    assert figures == pytest.approx(trained)
    assert list(again.classes) == ["a", "b", "c", "d"] and counts.seen == 12
    assert again.metrics["top1"].compute() == figures["val/top1"]
    assert all(map(torch.equal, again.model.state_dict().values(), saved.state["model"].values()))
    assert files(tmp_path) == before


def test_the_arguments_are_those_of_the_other_commands(run: Path) -> None:
    saved = named_by(run, "--device", "cpu", "--cfg-options", "val.dataset.count=8")
    assert saved.config.values["device"] == "cpu"
    assert named_by(saved.file).state["iteration"] == 3
    counts = Counts()
    saved.tested(hooks={"counts": counts})
    assert counts.seen == 8
    with pytest.raises(CheckpointError, match=r"there is no .*best.pt; the hook BestCheckpoint writes it"):
        named_by(run, "--checkpoint", "best")


def test_code_that_the_run_names_is_not_run_by_itself(
    boards: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.hang_up()
    monkeypatch.chdir(tmp_path)
    part = "from pegboard import METRICS\nfrom pegboard_metrics.accuracy import Accuracy\n"
    (tmp_path / "mine.py").write_text(f"{part}METRICS.register(Accuracy, name='Mine')\n", encoding="utf-8")
    changes: dict[str, Any] = {"plugins": ["./mine.py"], "metrics": {"mine": {"type": "Mine"}}}
    runs.train(tmp_path / "run", train_for="1 epoch", **changes)
    del BOARDS["metrics"].entries["Mine"]
    with pytest.raises(ConfigError, match=r"(?s)no 'Mine' in metrics.*repeat them: --plugins ./mine.py"):
        named_by("run").tested()
    (tmp_path / "again.py").write_bytes((tmp_path / "mine.py").read_bytes())
    assert "val/mine" in named_by("run", "--plugins", "./again.py").tested()[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rum"], "there is no rum; did you mean 'run'"),
        (["run", "--cfg-options", "val.batch_sise=2"], "batch_sise"),
        (["."], "is no run folder"),
    ],
)
def test_what_cannot_be_opened_is_refused(
    run: Path, words: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.parent)
    with pytest.raises(PegboardError, match=message):
        named_by(*words).tested()


def test_a_split_that_it_does_not_have_is_refused(run: Path) -> None:
    with pytest.raises(DataError, match=r"has no 'test' data; it has train and val"):
        SavedRun.open(run).tested("test")


def test_naming_it_imports_no_torch(python: Any) -> None:
    script = "import sys; from pegboard import SavedRun; print('torch' in sys.modules)"
    assert python("-c", script).stdout == "False\n"
