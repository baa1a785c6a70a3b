"""A run that is resumed equals, bit for bit, the one that was never interrupted."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pegboard import Batch, CheckpointError, Hook, Runner
from tests import runs
from tests.probes import InterruptsValidation, StopsAt

SGD = {"type": "SGD", "lr": 0.2, "momentum": 0.9}
RUNS: dict[str, dict[str, Any]] = {
    "one cycle by iteration": {
        "optimizer": SGD,
        "scheduler": {"type": "OneCycleLR", "unit": "iter", "cycle_momentum": False},
    },
    "cosine by epoch": {
        "optimizer": {"type": "AdamW", "lr": 0.01},
        "scheduler": {"type": "CosineAnnealingLR", "unit": "epoch"},
    },
    "plateau": {
        "optimizer": {**SGD, "lr": 0.01},
        "scheduler": {
            "type": "ReduceLROnPlateau", "monitor": "val/loss", "unit": "epoch", "patience": 0, "threshold": 0.5,
        },
    },
    "dropout": {"model": {"type": "Tiny", "dropout": 0.5}, "optimizer": SGD},
    "lbfgs": {"optimizer": {"type": "LBFGS", "lr": 0.1, "max_iter": 3}, "train_for": "2 epochs"},
    "validation in the epoch": {"optimizer": SGD, "val_every": "2 iters"},
    "validation at the end of the epoch, in iterations": {"optimizer": SGD, "val_every": "3 iters"},
    "torchmetrics": {
        "optimizer": SGD,
        "metrics": {"f1": {"type": "torchmetrics:MulticlassF1Score"}, "top2": {"type": "Accuracy", "k": 2}},
    },
    "two pieces a batch, clipped, bf16": {
        "optimizer": SGD, "accumulate": 2, "clip_grad": {"norm": 0.5}, "precision": "bf16",
    },
}  # fmt: skip


def result(run: Runner) -> dict[str, Any]:
    """All that a resumed run must share with the uninterrupted one."""
    saved = runs.newest(run.folder)
    for name in ("hooks", "config"):  # the hook that stopped it is in there
        saved.pop(name)
    return {
        **saved,
        "weights now": run.model.state_dict(),
        "optimizer now": run.optimizer.state_dict(),
        "metrics.jsonl": (run.folder / "metrics.jsonl").read_bytes(),
        "timing.jsonl": len((run.folder / "timing.jsonl").read_bytes().splitlines()),
        "final": run.final,
        "best": run.best,
    }


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [name for name in one.keys() | other.keys() if not runs.same(one.get(name), other.get(name))]


def changes(name: str) -> dict[str, Any]:
    return {"train_for": "3 epochs", **RUNS[name]}


def stopped(folder: Path, hook: Hook, changes: dict[str, Any]) -> Runner:
    probe = {"stops": runs.hang("hooks", "stops", hook)}
    return runs.train(folder, **{**changes, "hooks": {**changes.get("hooks", {}), **probe}})


def resumed(folder: Path, changes: dict[str, Any]) -> Runner:
    run = runs.runner(folder, runs.newest(folder), **changes)
    run.train()
    return run


@pytest.mark.parametrize("name", RUNS)
def test_stopped_at_any_iteration_and_resumed(tmp_path: Path, name: str) -> None:
    whole = result(runs.train(tmp_path / "whole", **changes(name)))
    total = whole["iteration"]
    chosen = random.Random(name).sample(range(1, total), 2)
    for iteration in sorted({*chosen, 3}):  # 3 is the end of the first epoch
        folder = tmp_path / f"stopped_{iteration}"
        first = stopped(folder, StopsAt(iteration), changes(name))
        assert first.iteration == iteration
        torch.manual_seed(iteration)  # another process would have another generator
        assert differences(result(resumed(folder, changes(name))), whole) == [], f"stopped at {iteration}"


@pytest.mark.parametrize("name", RUNS)
def test_resumed_from_every_checkpoint_that_a_killed_run_may_leave(tmp_path: Path, name: str) -> None:
    """A checkpoint after each iteration: before the end of the epoch is dealt with, and before its validation."""
    every = {**changes(name), "checkpoint": {"every": "1 iters", "keep": 100}}
    whole = result(runs.train(tmp_path / "whole", **every))
    for iteration in range(1, whole["iteration"]):
        folder = tmp_path / f"from_{iteration}"
        stopped(folder, StopsAt(iteration + 1), every)  # writes records that the resume must cut off
        run = runs.runner(folder, runs.checkpoint(folder, iteration), **every)
        run.train()
        assert differences(result(run), whole) == [], f"resumed from {iteration}"


@pytest.mark.parametrize(
    "name", ["plateau", "validation in the epoch", "validation at the end of the epoch, in iterations"]
)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_interrupted_in_a_validation_and_resumed(tmp_path: Path, name: str, nth: int) -> None:
    whole = result(runs.train(tmp_path / "whole", **changes(name)))
    first = stopped(tmp_path / "part", InterruptsValidation(nth), changes(name))
    assert first.summary["exit"] == "interrupted"
    last = runs.newest(tmp_path / "part")
    assert last["validation_due"]
    assert differences(result(resumed(tmp_path / "part", changes(name))), whole) == []


@pytest.mark.parametrize("engine", [{"mode": "memory"}, {"mode": "workers"}])
def test_both_engines_resume_in_mid_epoch(tmp_path: Path, engine: dict[str, Any]) -> None:
    data = {**runs.values()["train"], **engine}
    config = {**changes("dropout"), "train": data}
    whole = result(runs.train(tmp_path / "whole", **config))
    stopped(tmp_path / "part", StopsAt(4), config)
    assert differences(result(resumed(tmp_path / "part", config)), whole) == []


def test_interrupted_again_and_again(tmp_path: Path) -> None:
    config = changes("one cycle by iteration")
    whole = result(runs.train(tmp_path / "whole", **config))
    stopped(tmp_path / "part", StopsAt(1), config)
    for iteration in range(2, 9):
        probe = {"stops": runs.hang("hooks", "stops", StopsAt(iteration))}
        run = runs.runner(tmp_path / "part", runs.newest(tmp_path / "part"), **{**config, "hooks": probe})
        run.train()
    assert differences(result(resumed(tmp_path / "part", config)), whole) == []


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    whole = result(runs.train(tmp_path, **changes("plateau")))
    assert differences(result(resumed(tmp_path, changes("plateau"))), whole) == []


# -- the specimen: what this comparison must catch ------------------------------------------------------------------


class Drifts(Hook):
    """Forgets its count: what it does to the weights depends on what the process did before."""

    def __init__(self) -> None:
        self.count = 0

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        self.count += 1
        with torch.no_grad():
            run.model.fc.bias += 1e-6 * self.count  # type: ignore[union-attr,operator]  # the tiny model's layer


class Keeps(Drifts):
    state = ("count",)


@pytest.mark.parametrize(("kind", "equal"), [(Keeps, True), (Drifts, False)])
def test_a_hook_finds_its_state_again_and_one_that_forgets_is_caught(
    tmp_path: Path, kind: type[Drifts], equal: bool
) -> None:
    def config() -> dict[str, Any]:
        return {**changes("dropout"), "hooks": {"drifts": runs.hang("hooks", "drifts", kind())}}

    whole = result(runs.train(tmp_path / "whole", **config()))
    stopped(tmp_path / "part", StopsAt(4), config())
    run = resumed(tmp_path / "part", config())
    assert (differences(result(run), whole) == []) is equal
    assert run.hooks["drifts"].count == (9 if equal else 5)  # type: ignore[attr-defined]  # it is a Drifts


# -- what cannot be saved, and what does not fit --------------------------------------------------------------------


class Odd:
    pass


@pytest.mark.parametrize(
    ("value", "kind"),
    [(Odd(), "Odd"), ({"deep": [1, {"down": Odd()}]}, "Odd"), (np.zeros(3), "ndarray"), ({1, 2}, "set"), (Odd, "type")],
)
def test_a_state_that_could_not_be_loaded_safely_is_refused_by_the_hooks_name(
    tmp_path: Path, value: Any, kind: str
) -> None:
    hook = Keeps()
    hook.count = 0
    hook.state_dict = lambda: {"count": value}  # type: ignore[method-assign]
    with pytest.raises(CheckpointError, match=f"hook 'mine' has a {kind} in its state"):
        runs.train(tmp_path, hooks={"mine": runs.hang("hooks", "mine", hook)})
    assert not list(tmp_path.rglob("*.pt"))


def test_a_state_of_tensors_and_plain_values_comes_back_as_it_was(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None, True, "x", b"y"], "b": {"c": torch.arange(3)}, "d": (1, (2,))}

    class Stores(Hook):
        state = ("value",)
        value: Any = None

    first = Stores()
    first.value = value
    runs.train(tmp_path, hooks={"mine": runs.hang("hooks", "mine", first)})
    second = Stores()
    runs.runner(tmp_path, runs.newest(tmp_path), hooks={"mine": runs.hang("hooks", "mine", second)}).train()
    assert runs.same(second.value, value)
    assert isinstance(second.value["d"], tuple)


def test_a_state_without_what_the_hook_needs_is_refused(tmp_path: Path) -> None:
    runs.train(tmp_path, hooks={"mine": runs.hang("hooks", "mine", Keeps())})
    state = runs.newest(tmp_path)
    state["hooks"]["mine"] = {"counts": 3}
    with pytest.raises(Exception, match=r"has no 'count' of Keeps; it has \['counts'\]"):
        runs.runner(tmp_path, state, hooks={"mine": runs.hang("hooks", "mine", Keeps())}).train()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"model": {"type": "LeNet"}}, "weights do not fit the LeNet: missing: conv1.bias"),
        ({"scheduler": {"type": "ExponentialLR", "gamma": 0.9, "unit": "iter"}}, "has 0 schedulers, the config 1"),
    ],
)
def test_a_checkpoint_of_another_config_is_refused(tmp_path: Path, other: dict[str, Any], message: str) -> None:
    runs.train(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        runs.runner(tmp_path, runs.newest(tmp_path), **other).train()


def test_a_checkpoint_of_a_layout_from_the_future_is_refused(tmp_path: Path) -> None:
    runs.train(tmp_path)
    with pytest.raises(CheckpointError, match="has layout 999; this pegboard reads 3"):
        runs.runner(tmp_path, {**runs.newest(tmp_path), "version": 999}).train()


def test_weights_of_another_shape_are_named(tmp_path: Path) -> None:
    runs.train(tmp_path)
    state = runs.newest(tmp_path)
    state["model"]["fc.weight"] = torch.zeros(4, 7)
    with pytest.raises(CheckpointError, match=r"fc.weight is \(4, 7\), the model's \(4, 192\)"):
        runs.runner(tmp_path, state).train()


def test_resuming_into_another_folder_writes_whole_lines_only(tmp_path: Path) -> None:
    stopped(tmp_path / "old", StopsAt(2), {})
    run = runs.runner(tmp_path / "new", runs.newest(tmp_path / "old"))
    run.train()
    assert [record["iteration"] for record in runs.records(tmp_path / "new")][-1] == 6
    assert b"\0" not in (tmp_path / "new" / "metrics.jsonl").read_bytes()


def test_resuming_leaves_the_state_that_it_was_given(tmp_path: Path) -> None:
    stopped(tmp_path / "part", StopsAt(2), {})
    state = runs.newest(tmp_path / "part")
    runs.runner(tmp_path / "new", state).train()
    assert runs.same(state, runs.checkpoint(tmp_path / "part", 2))
