"""Stages of a run: what is frozen, batch size, rates and schedules, and a resume anywhere."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pegboard import Config, ConfigError, DataError, Hook
from pegboard.config import check
from tests import runs

# Tiny has fc.weight and fc.bias; 24 images: 3 iterations at batch size 8, 6 at 4, 2 at 12.
PHASES: list[dict[str, Any]] = [
    {"train_for": "2 epochs", "freeze": ["fc.bias"], "lr": 0.05},
    {"train_for": "1 epoch", "batch_size": 4, "freeze": ["fc.weight"]},
    {"train_for": "3 iters", "batch_size": 12, "lr": 0.2},
]
SGD = {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}


def phased(**changes: Any) -> dict[str, Any]:
    return {"phases": PHASES, "train_for": None, "optimizer": SGD, **changes}


class Notes(Hook):
    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int, float, bytes, bytes]] = []

    def after_train_iter(self, run: Any, batch: Any, loss: Any, outputs: Any) -> None:
        lr = run.optimizer.param_groups[0]["lr"]
        weight, bias = (p.detach().numpy().tobytes() for p in run.model.parameters())
        self.rows.append((run.phase, run.epoch, len(batch.inputs), lr, weight, bias))


def test_each_phase_has_its_batch_size_rate_and_frozen_tensors(tmp_path: Path) -> None:
    notes = Notes()
    run = runs.train(tmp_path, hooks={"notes": runs.hang("hooks", "Notes", notes)}, **phased())
    assert [row[:4] for row in notes.rows] == (
        [(0, 0, 8, 0.05)] * 3 + [(0, 1, 8, 0.05)] * 3 + [(1, 2, 4, 0.1)] * 6 + [(2, 3, 12, 0.2)] * 2 + [(2, 4, 12, 0.2)]
    )
    weights, biases = ([row[i] for row in notes.rows] for i in (4, 5))
    assert len(set(biases[:6])) == 1 and len(set(weights[:6])) == 6
    assert len(set(weights[5:12])) == 1 and len(set(biases[5:12])) == 7
    assert len(set(weights[12:])) == len(set(biases[12:])) == 3
    assert run.summary["epochs"] == 5 and run.summary["iterations"] == 15


def test_the_log_says_the_rates_of_all_groups(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "pegboard"):
        grouped = {**SGD, "groups": [{"match": "fc.bias", "lr_mult": 10}]}
        runs.train(tmp_path, **phased(optimizer=grouped, phases=[{"train_for": "1 iters", "lr": 0.02}, PHASES[1]]))
    said = [message for message in caplog.messages if message.startswith("phase ")]
    assert [message.rpartition(", ")[2] for message in said] == ["lr 0.02 to 0.2", "lr 0.1 to 1"]


@pytest.mark.parametrize("at", [1, 3, 5, 6, 7, 12, 13, 14])
def test_resumed_before_at_and_after_a_boundary_equals_uninterrupted(tmp_path: Path, at: int) -> None:
    every = {"checkpoint": {"every": "1 iters", "keep": 99}, "model": {"type": "Tiny", "dropout": 0.3}}
    schedules = [{**PHASES[0], "scheduler": {"type": "CosineAnnealingLR", "unit": "iter"}}, *PHASES[1:]]
    whole = runs.train(tmp_path / "whole", **phased(**every, phases=schedules))
    part = runs.runner(tmp_path / "part", runs.checkpoint(tmp_path / "whole", at), **phased(**every, phases=schedules))
    part.train()
    one, other = runs.newest(tmp_path / "whole"), runs.newest(tmp_path / "part")
    for name in ("model", "optimizer", "schedules", "figures", "final", "epoch", "position", "phase"):
        assert runs.same(one[name], other[name]), name
    assert whole.summary["final"] == part.summary["final"]


def test_a_run_without_phases_is_one_phase(tmp_path: Path) -> None:
    one = runs.train(tmp_path / "a", optimizer=SGD)
    other = runs.train(tmp_path / "b", **phased(phases=[{"train_for": "2 epochs"}]))
    assert runs.same(one.model.state_dict(), other.model.state_dict())


def test_a_schedule_of_the_run_goes_on_across_phases_and_one_of_a_phase_begins_anew(tmp_path: Path) -> None:
    notes = Notes()
    hooks = {"notes": runs.hang("hooks", "Notes", notes)}
    two = [{"train_for": "1 epoch"}, {"train_for": "1 epoch", "freeze": ["fc.bias"]}]
    linear = {"type": "LinearLR", "unit": "iter", "start_factor": 1.0, "end_factor": 0.5, "total_iters": 6}
    runs.train(tmp_path / "a", hooks=hooks, **phased(phases=two, scheduler=linear))
    across = [row[3] for row in notes.rows]
    assert across == pytest.approx([0.1 * (1 - 0.5 * i / 6) for i in range(1, 7)])
    notes.rows.clear()
    hooks = {"notes": runs.hang("hooks", "Notes", notes)}
    own = [{**phase, "scheduler": {**linear, "total_iters": 3}} for phase in two]
    runs.train(tmp_path / "b", hooks=hooks, **phased(phases=own))
    per_phase = [0.1 * (1 - 0.5 * i / 3) for i in range(1, 4)]
    assert [row[3] for row in notes.rows] == pytest.approx(per_phase * 2)


def test_freeze_alone_keeps_its_tensors_out_of_the_optimizer(tmp_path: Path) -> None:
    run = runs.runner(tmp_path, freeze=["fc.weight"], optimizer=SGD)
    run.train()
    assert [p.shape for g in run.optimizer.param_groups for p in g["params"]] == [torch.Size([4])]


def test_groups_follow_the_rate_of_a_phase_unless_they_have_their_own(tmp_path: Path) -> None:
    groups = [{"match": "*.bias", "lr_mult": 10}, {"match": "fc.weight", "lr": 0.003}]
    run = runs.train(
        tmp_path, **phased(optimizer={**SGD, "groups": groups}, phases=[{"train_for": "1 epoch", "lr": 0.02}])
    )
    assert [(g["name"], g["lr"]) for g in run.optimizer.param_groups] == [("*.bias", 0.2), ("fc.weight", 0.003)]
    assert [g["weight_decay"] for g in run.optimizer.param_groups] == [0.01, 0.01]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_for": "9 epochs"}, "train_for: 9 epochs is not what the phases last together"),
        ({"phases": [{"freeze": ["fc"]}]}, "phases.0: needs train_for"),
        (
            {"phases": [{"train_for": "1 epoch", "frezee": []}]},
            "phases.0.frezee: there is no such key; did you mean 'freeze'",
        ),
        ({"phases": {"train_for": "1 epoch"}}, "phases: must be a list of dicts"),
        ({"scheduler": {"type": "ConstantLR", "unit": "iter"}}, "phases.0.lr: the run's scheduler goes on across"),
        (
            {"phases": [{"train_for": "1 epoch", "scheduler": {"type": "StepLRR", "unit": "iter"}}]},
            "did you mean 'StepLR'",
        ),
        ({"freeze": "fc"}, r"freeze: must be a list of patterns over names"),
    ],
)
def test_what_cannot_be_meant_is_a_problem_before_the_run(changes: dict[str, Any], message: str) -> None:
    problems = "\n".join(map(str, check(Config.from_values(runs.values(**phased(**changes))))))
    assert message in problems and problems.count("\n") <= 2


def test_phases_that_last_what_train_for_says_agree(tmp_path: Path) -> None:
    two = [{"train_for": "1 epoch"}, {"train_for": "2 epochs"}]
    assert check(Config.from_values(runs.values(**phased(phases=two, train_for="3 epochs")))) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"freeze": ["cf*"]}, r"freeze: 'cf\*' matches nothing in the model"),
        (
            {"phases": [PHASES[0], {"train_for": "1 epoch", "freeze": ["fc"]}]},
            "phases.1.freeze: .* leaves no parameter",
        ),
        (
            {"optimizer": {**SGD, "groups": [{"match": "head.*", "lr": 1.0}]}},
            r"optimizer.groups.0: match='head.\*' finds no parameter to train; its names begin with fc",
        ),
        (
            {"optimizer": {**SGD, "groups": [{"match": "fc"}, {"match": "*.bias"}]}},
            r"optimizer.groups.1: match='\*.bias' finds no parameter to train; what it means is frozen, or in",
        ),
        ({"optimizer": {**SGD, "groups": [{"kind": "norm"}]}}, "kind='norm' finds no parameter to train"),
    ],
)
def test_what_only_the_model_can_tell_is_an_error_before_the_first_iteration(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        runs.train(tmp_path / "run", **phased(**{"phases": PHASES, **changes}))
    assert not (tmp_path / "run").exists()


def test_a_phase_whose_batches_are_larger_than_the_data_is_refused(tmp_path: Path) -> None:
    loader = {**runs.values()["train"], "drop_last": True}
    with pytest.raises(DataError, match="24 samples at batch_size=25"):
        runs.train(tmp_path, **phased(train=loader, phases=[{"train_for": "1 epoch", "batch_size": 25}]))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"mach": "fc"}, "optimizer.groups.0.mach: SGD takes no 'mach'; did you mean 'match'?"),
        ({"lr": 0.1}, "optimizer.groups.0: needs match="),
        ({"match": "fc", "lr": 0.1, "lr_mult": 2}, "optimizer.groups.0.lr_mult: the group has a rate of its own"),
        ({"match": "fc", "lr": "x"}, "optimizer.groups.0.lr: must be"),
        ({"kind": "nrom"}, "optimizer.groups.0.kind: must be 'norm', got 'nrom'; did you mean 'norm'?"),
    ],
)
def test_a_wrong_group_is_a_problem(rule: dict[str, Any], message: str) -> None:
    values = runs.values(optimizer={**SGD, "groups": [rule]})
    assert message in "\n".join(map(str, check(Config.from_values(values))))


def test_a_problem_that_shows_while_building_has_its_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "c.py"
    lines = [f"{name} = {value!r}" for name, value in runs.values().items()]
    path.write_text("\n".join([*lines, "freeze = ['cf*']"]), encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"c.py:{len(lines) + 1}: freeze: "):
        from pegboard import Runner

        Runner(Config.load(path), tmp_path / "run").train()
