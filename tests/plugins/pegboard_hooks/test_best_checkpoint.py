"""The weights of the best validation are in best.pt, whatever comes between."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from pegboard import CheckpointError, Config, PegboardError, checkpoint
from pegboard.config import check
from pegboard_hooks.best_checkpoint import BestCheckpoint
from tests import probes, runs
from tests.plugins.pegboard_hooks.conftest import Call

KEEP_ALL = {"every": "1 epoch", "keep": 100}


def best_by(metric: str = "val/own", better: str = "higher", **more: Any) -> dict[str, Any]:
    return {"best": {"type": "BestCheckpoint", "metric": metric, "better": better, **more}}


def config(*values: float, hooks: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A run of six epochs whose validations give these values."""
    defaults = {"train_for": "6 epochs", "checkpoint": KEEP_ALL, "metrics": {"own": probes.scripted(*values)}}
    return {**defaults, **changes, "hooks": {**best_by(), **(hooks or {})}}


def load(folder: Path, name: str = "best") -> dict[str, Any]:
    return checkpoint.load(folder / "checkpoints" / f"{name}.pt")


@pytest.mark.parametrize(
    ("better", "values", "epoch"),
    [
        ("higher", [0.1, 0.7, 0.5, 0.7, 0.6], 2),  # a tie keeps the earlier
        ("lower", [0.9, 0.4, 0.4, 0.7, 0.6], 2),
        ("higher", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 6),
        ("higher", [0.9, 0.2], 1),
        ("higher", [float("nan"), 0.2, float("nan"), 0.1], 2),
    ],
)
def test_it_holds_the_weights_of_the_best_validation(
    tmp_path: Path, better: str, values: list[float], epoch: int
) -> None:
    runs.train(tmp_path, **config(*values, hooks=best_by(better=better)))
    best = load(tmp_path)
    assert (best["metric"], best["better"], best["value"]) == ("val/own", better, values[epoch - 1])
    assert (best["epoch"], best["iteration"]) == (epoch, 3 * epoch)
    assert runs.same(best["model"], runs.checkpoint(tmp_path, 3 * epoch)["model"])
    expected = {f"iteration_{3 * number:08}.pt" for number in range(1, 7)}
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == expected | {"index.json", "best.pt"}


def test_a_write_that_fails_half_way_leaves_the_best_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = torch.save

    def torn(contents: dict[str, Any], file: Any) -> None:
        if contents.get("value") == 0.9:
            file.write(b"half of it")
            raise OSError("no space left on device")
        save(contents, file)

    monkeypatch.setattr(torch, "save", torn)
    with pytest.raises(CheckpointError, match=r"best.pt could not be written: no space left"):  # when all else is done
        runs.train(tmp_path, **config(0.1, 0.5, 0.9))
    assert runs.newest(tmp_path)["iteration"] == 18
    assert (load(tmp_path)["value"], load(tmp_path)["epoch"]) == (0.5, 2)
    assert {path.suffix for path in (tmp_path / "checkpoints").iterdir()} == {".json", ".pt"}


def test_where_every_value_is_nan_there_is_none(tmp_path: Path) -> None:
    runs.train(tmp_path, **config(float("nan")))
    assert not (tmp_path / "checkpoints" / "best.pt").exists()


def test_validations_in_mid_epoch(tmp_path: Path) -> None:
    every = {"val_every": "2 iters", "checkpoint": {"every": "1 iters", "keep": 100}}
    runs.train(tmp_path, **config(0.1, 0.2, 0.9, 0.3, **every))  # after iterations 2, 4, 6, 8
    assert (load(tmp_path)["epoch"], load(tmp_path)["iteration"]) == (2, 6)
    runs.train(tmp_path / "b", **config(0.1, 0.9, 0.2, **every))
    assert (load(tmp_path / "b")["epoch"], load(tmp_path / "b")["iteration"]) == (2, 4)  # in the second epoch
    assert runs.same(load(tmp_path / "b")["model"], runs.checkpoint(tmp_path / "b", 4)["model"])


def test_a_run_keeps_the_best_by_several_metrics(tmp_path: Path) -> None:
    lowest = {"lowest": {"type": "BestCheckpoint", "metric": "val/own", "better": "lower", "file": "lowest"}}
    runs.train(tmp_path, **config(0.5, 0.9, 0.1, 0.5, hooks=lowest))
    assert (load(tmp_path)["epoch"], load(tmp_path, "lowest")["epoch"]) == (2, 3)


def test_two_that_write_one_file_are_found_before_the_run() -> None:
    hooks = {"a": best_by()["best"], "b": {**best_by()["best"], "better": "lower"}}
    (problem,) = check(Config.from_values(runs.values(metrics={"own": {"type": "Accuracy"}}, hooks=hooks)))
    assert (problem.path, problem.message) == (
        "hooks.b", "writes best.pt, and so does hooks.a; give one of them another file=",
    )  # fmt: skip


@pytest.mark.parametrize("file", ["../best", "", "a b", "last", "iteration_00000003", "best.pt"])
def test_a_file_name_that_would_be_in_the_way(file: str) -> None:
    with pytest.raises(PegboardError, match="file must be a plain name"):
        BestCheckpoint("val/loss", "lower", file)


@pytest.mark.parametrize("order", [("best", "ema"), ("ema", "best")])
def test_beside_an_ema_it_holds_the_averages_in_either_order(tmp_path: Path, order: tuple[str, str]) -> None:
    hooks = {**best_by(), "ema": {"type": "EMA", "decay": 0.5}}
    changes = config(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    changes["hooks"] = {name: hooks[name] for name in order}
    run = runs.train(tmp_path, **changes)
    ema: Any = run.hooks["ema"]
    assert load(tmp_path)["epoch"] == 6
    assert runs.same(load(tmp_path)["model"], ema.averaged(run.model))
    assert not runs.same(load(tmp_path)["model"], run.model.state_dict())


# -- resumed ---------------------------------------------------------------------------------------------------------

VALUES = (0.1, 0.7, 0.5, 0.6, 0.7, 0.6)  # the best is that of epoch 2


def test_a_resumed_run_knows_the_best_so_far(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    runs.train(tmp_path, **config(*VALUES, hooks=probes.stopped(probes.StopsAt(10))))
    before = load(tmp_path)
    run = runs.runner(tmp_path, runs.newest(tmp_path), **config(*VALUES[3:]))
    run.train()
    assert probes.warned(caplog) == []
    assert runs.same(load(tmp_path), before)
    assert run.hooks["best"].state_dict() == {"best": 0.7, "best_epoch": 2, "best_iteration": 6}


def test_resumed_in_another_folder_it_says_that_the_weights_are_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs.train(tmp_path / "a", **config(*VALUES, hooks=probes.stopped(probes.StopsAt(10))))
    runs.runner(tmp_path / "b", runs.newest(tmp_path / "a"), **config(*VALUES[3:])).train()
    (message,) = probes.warned(caplog)
    assert "there is no checkpoint" in message
    assert "the best so far, val/own 0.7 of epoch 2, can be beaten but not tested" in message
    assert not (tmp_path / "b" / "checkpoints" / "best.pt").exists()
    runs.runner(tmp_path / "c", runs.newest(tmp_path / "a"), **config(0.2, 0.8, 0.1)).train()
    assert (load(tmp_path / "c")["value"], load(tmp_path / "c")["epoch"]) == (0.8, 5)


def test_a_file_of_what_the_resume_undoes_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    runs.train(tmp_path, **config(*VALUES))
    runs.runner(tmp_path, runs.checkpoint(tmp_path, 3), **config(0.1, 0.05)).train()
    assert "best.pt is of iteration 6, which the resumed run has not reached" in caplog.text
    assert "stays until val/own 0.1 of epoch 1 is beaten" in caplog.text
    assert load(tmp_path)["iteration"] == 6
    caplog.clear()
    (tmp_path / "checkpoints" / "best.pt").write_bytes(b"torn")
    runs.runner(tmp_path, runs.checkpoint(tmp_path, 3), **config(0.05, 0.3, 0.2)).train()
    assert "can be beaten but not tested" in caplog.text
    assert load(tmp_path)["value"] == 0.3


def test_an_interrupted_validation_is_none(tmp_path: Path) -> None:
    def changes() -> dict[str, Any]:
        return {"train_for": "3 epochs", "val_every": "2 iters", "hooks": best_by("val/loss", "lower")}

    runs.train(tmp_path / "whole", **changes())
    first = changes()
    first["hooks"] |= probes.stopped(probes.InterruptsValidation(4))  # in the one that will be the best
    assert runs.train(tmp_path / "part", **first).summary["exit"] == "interrupted"
    assert load(tmp_path / "part")["iteration"] == 2
    runs.runner(tmp_path / "part", runs.newest(tmp_path / "part"), **changes()).train()
    whole, part = load(tmp_path / "whole"), load(tmp_path / "part")
    assert whole["iteration"] == 8
    assert runs.same({**whole, "config": 0}, {**part, "config": 0})


# -- pegboard test ---------------------------------------------------------------------------------------------------


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A run that got worse after its second epoch: the best is not the last."""
    worse = {"type": "StepLR", "step_size": 2, "gamma": -1.0, "unit": "epoch"}
    runs.train(
        tmp_path / "run", train_for="4 epochs", optimizer={"type": "SGD", "lr": 0.2}, scheduler=worse,
        test=runs.values()["val"], hooks=best_by("val/loss", "lower"),
    )  # fmt: skip
    return tmp_path / "run"


def test_pegboard_test_takes_the_best(trained: Path, command: Call) -> None:
    losses = [record["val/loss"] for record in runs.records(trained) if "val/loss" in record]
    assert min(losses) != losses[-1]
    file = trained / "checkpoints" / "best.pt"
    for arguments, loss in (
        ([trained, "--checkpoint", "best"], min(losses)),
        ([file], min(losses)),
        ([trained, "--checkpoint", "last"], losses[-1]),
        ([trained], losses[-1]),
    ):
        status, out, err = command("test", *arguments)
        assert status == 0, err
        assert f"test/loss  {loss:.4f}\n" in out
    status, out, _ = command("test", trained, "--checkpoint", "best", "--split", "val")
    assert (status, f"val/loss  {min(losses):.4f}\n" in out) == (0, True)
    written = json.loads((trained / "test.json").read_text())
    assert (written["checkpoint"], written["split"]) == (str(file.resolve()), "val")


def test_pegboard_test_says_what_is_not_there(trained: Path, command: Call) -> None:
    file = trained / "checkpoints" / "best.pt"
    assert command("test", trained, "--checkpoint", "bets")[::2] == (
        2, f"there is no {file.with_stem('bets')}; did you mean 'best'?\n",
    )  # fmt: skip
    assert command("test", file, "--checkpoint", "best")[::2] == (
        2, f"{file} is a checkpoint already; --checkpoint best is for a run folder\n",
    )  # fmt: skip
    file.unlink()
    assert command("test", trained, "--checkpoint", "best")[::2] == (
        2, f"there is no {file}; the hook BestCheckpoint writes it after a validation\n",
    )  # fmt: skip
