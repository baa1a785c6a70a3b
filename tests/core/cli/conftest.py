"""A small trained run on drawn shapes, and commands called in this process."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pegboard import Config, Runner, cli


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Here = Callable[..., Done]


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """``here("predict", run, image)``: the command in this process, which saves the seconds that importing takes."""
    log = logging.getLogger("pegboard")
    handlers, level, propagate = list(log.handlers), log.level, log.propagate

    def call(command: str, *arguments: object) -> Done:
        capsys.readouterr()
        status = cli.run(command, list(map(str, arguments)))
        return Done(status, *capsys.readouterr())

    yield call
    log.handlers, log.level, log.propagate = handlers, level, propagate


def shapes_config(**changes: Any) -> dict[str, Any]:
    """The values of a config: LeNet on drawn shapes, for three iterations."""
    transforms = [{"type": "ToFloat"}, {"type": "Normalize"}]

    def loader(split: str, count: int) -> dict[str, Any]:
        dataset = {"type": "DrawnShapes", "count": count, "split": split}
        return {"dataset": dataset, "transforms": transforms, "batch_size": 8}

    return {
        "train": loader("train", 24),
        "val": loader("val", 12),
        "test": loader("test", 20),
        "model": {"type": "LeNet"},
        "loss": {"type": "CrossEntropyLoss"},
        "metrics": {"top1": {"type": "Accuracy"}},
        "optimizer": {"type": "SGD", "lr": 0.05},
        "train_for": "1 epoch",
        "hooks": {"tensorboard": None, "progress": None},
        "device": "cpu",
        "threads": 1,
        **changes,
    }


@pytest.fixture(scope="session")
def shapes_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of that; not to be changed."""
    folder = tmp_path_factory.mktemp("shapes") / "run"
    Runner(Config.from_values(shapes_config()), folder).train()
    (folder / "config.py").write_text("raise RuntimeError('this config was run')")
    return folder
