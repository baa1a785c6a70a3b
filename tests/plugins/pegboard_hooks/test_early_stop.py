"""A run ends after so many validations without improvement, and what improvement is at its very edge."""

from pathlib import Path
from typing import Any

import pytest

from pegboard import Config, PegboardError
from pegboard.config import check
from pegboard_hooks.early_stop import EarlyStop
from tests import probes, runs

NAN = float("nan")


@pytest.mark.parametrize(
    ("better", "patience", "min_delta", "values", "epochs"),
    [
        pytest.param("higher", 2, 0.0, [0.1, 0.2, 0.2, 0.2, 0.9], 4, id="a tie is no improvement"),
        pytest.param("lower", 2, 0.0, [0.5, 0.4, 0.4, 0.4, 0.1], 4, id="nor where lower is better"),
        pytest.param("higher", 1, 0.0, [0.1, 0.2, 0.3, 0.29], 4, id="patience 1"),
        pytest.param("higher", 2, 0.0, [0.2, 0.1, 0.3, 0.1, 0.2], 5, id="bad ones count in a row only"),
        pytest.param(
            "higher", 2, 0.25, [0.5, 0.75, 0.8125, 1.0625, 1.125, 1.375, 1.375], 7, id="min_delta is too little"
        ),
        pytest.param("lower", 2, 0.25, [2.0, 1.75, 1.6875, 1.4375, 1.4375, 0.0], 5, id="nor where lower is better"),
        pytest.param("higher", 2, 0.25, [0.5, 0.7, 0.8, 0.8, 0.8], 5, id="small steps add up"),
        pytest.param("higher", 2, 0.0, [NAN, NAN, 1.0], 2, id="nan is never one"),
        pytest.param("lower", 2, 0.0, [0.5, NAN, NAN, 0.1], 3, id="nan after a number"),
        pytest.param("lower", 2, 0.0, [0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1], 8, id="never"),
    ],
)
def test_when_it_stops(
    tmp_path: Path, better: str, patience: int, min_delta: float, values: list[float], epochs: int
) -> None:
    stop = {"type": "EarlyStop", "metric": "val/own", "better": better, "patience": patience, "min_delta": min_delta}
    run = runs.train(tmp_path, train_for="8 epochs", metrics={"own": probes.scripted(*values)}, hooks={"stop": stop})
    assert run.epoch == epochs
    assert ("stop_reason" in run.summary) == (epochs < 8)
    assert runs.newest(tmp_path)["epoch"] == epochs  # the state is saved


def still(**more: Any) -> dict[str, Any]:
    """A run whose validation loss is the same each time."""
    stop = {"type": "EarlyStop", "metric": "val/loss", "better": "lower", "patience": 3, **more}
    return {"optimizer": {"type": "SGD", "lr": 0.0}, "train_for": "9 epochs", "hooks": {"stop": stop}}


def test_it_says_why(tmp_path: Path) -> None:
    run = runs.train(tmp_path, **still())
    assert run.epoch == 4
    assert run.summary["exit"] == "stopped"
    assert run.summary["stop_reason"] == f"val/loss has not improved on {run.final['val/loss']:.4g} for 3 validations"
    one = runs.train(tmp_path / "one", **still(patience=1))
    assert one.summary["stop_reason"].endswith("for 1 validation")


@pytest.mark.parametrize("iteration", [5, 9])  # in mid-epoch, and with a validation due
def test_resumed_it_stops_where_it_would_have(tmp_path: Path, iteration: int) -> None:
    first = still()
    first["hooks"] = {**first["hooks"], **probes.stopped(probes.StopsAt(iteration))}
    assert runs.train(tmp_path, **first).iteration == iteration
    run = runs.runner(tmp_path, runs.newest(tmp_path), **still())
    run.train()
    assert run.epoch == 4
    assert run.hooks["stop"].state_dict() == {"best": run.final["val/loss"], "bad_count": 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patience": 0}, "patience must be at least 1, got 0"),
        ({"min_delta": -0.1}, "min_delta must be at least 0, got -0.1"),
        ({"min_delta": NAN}, "min_delta must be at least 0, got nan"),
        ({"better": "more"}, "better must be 'higher' or 'lower', got 'more'"),
    ],
)
def test_an_argument_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PegboardError, match=message):
        EarlyStop(**{"metric": "val/loss", "better": "lower", **arguments})


@pytest.mark.parametrize("kind", ["EarlyStop", "BestCheckpoint", "pegboard_hooks:EarlyStop"])
@pytest.mark.parametrize(
    ("metric", "changes", "message"),
    [
        ("val/top2", {}, "no metric of this run is called 'val/top2'; did you mean 'val/top1'?"),
        ("train/top1", {}, "'train/top1' is none of a validation; did you mean 'val/top1'?"),
        ("train/loss", {"val": None}, "'train/loss' is none of a validation, and this run has none; add val=dict(...)"),
    ],
)
def test_a_metric_that_no_validation_gives_is_found_before_the_run(
    kind: str, metric: str, changes: dict[str, Any], message: str
) -> None:
    hooks = {"mine": {"type": kind, "metric": metric, "better": "higher"}}
    problems = check(Config.from_values(runs.values(hooks=hooks, **changes)))
    assert [(problem.path, problem.message) for problem in problems] == [("hooks.mine.metric", message)]


def test_better_is_checked_before_the_run() -> None:
    hooks = {"stop": {"type": "EarlyStop", "metric": "val/top1", "better": "highest"}}
    (problem,) = check(Config.from_values(runs.values(hooks=hooks)))
    assert problem.path == "hooks.stop.better"
    assert problem.message == "must be 'higher' or 'lower', got 'highest'; did you mean 'higher'?"


def test_a_strangers_hook_of_the_same_name_is_none_of_ours() -> None:
    class EarlyStop(probes.StopsAt):
        def __init__(self, metric: str) -> None: ...

    EarlyStop.__module__ = "acme"
    runs.BOARDS["hooks"].register(EarlyStop)
    hooks = {"stop": {"type": "acme:EarlyStop", "metric": "train/anything"}}
    assert check(Config.from_values(runs.values(hooks=hooks))) == []
