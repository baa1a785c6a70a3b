"""Several optimizers, each over parameters of its own, are to everything else one."""

import logging
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pegboard import CheckpointError, Config, ConfigError, Hook, Runner, cli
from pegboard.config import check
from pegboard.runner.groups import groups_of_each, parameter_groups
from pegboard.runner.optimizers import Optimizers
from tests import runs
from tests.plugins.pegboard_optim import points

BOTH: list[dict[str, Any]] = [
    {"type": "Muon", "match": "*.weight", "lr": 0.05, "momentum": 0.9},
    {"type": "AdamW", "lr": 0.02, "betas": [0.8, 0.99]},
]
BY_NAME = {"matrices": BOTH[0], "rest": BOTH[1]}
COSINE = {"type": "CosineAnnealingLR", "unit": "iter"}


def by_hand(model: nn.Module, batches: Iterable[Any], steps: int, norm: float | None = None) -> nn.Module:
    """The two in a bare loop, each with a schedule of its own."""
    matrices = [p for name, p in model.named_parameters() if name.endswith("weight")]
    others = [p for name, p in model.named_parameters() if not name.endswith("weight")]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=0.05, momentum=0.9),
        torch.optim.AdamW(others, lr=0.02, betas=(0.8, 0.99), fused=True),
    ]
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps) for optimizer in optimizers]
    for batch in batches:
        for optimizer in optimizers:
            optimizer.zero_grad()
        F.cross_entropy(model(batch.inputs), batch.targets).backward()
        if norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), norm)
        for optimizer in optimizers:
            optimizer.step()
        for schedule in schedules:
            schedule.step()
    return model


@pytest.mark.parametrize("optimizer", [BOTH, BY_NAME], ids=["list", "by name"])
@pytest.mark.parametrize("clip", [None, {"norm": 0.1}])
def test_they_do_what_they_do_in_a_bare_loop(optimizer: Any, clip: Any, tmp_path: Path) -> None:
    start = points.two_layers()
    run = points.runner(tmp_path, start, optimizer=optimizer, scheduler=COSINE, clip_grad=clip)
    run.train()
    alone = by_hand(deepcopy(start), points.batches(run), 40, clip and clip["norm"])
    assert runs.same(run.model.state_dict(), alone.state_dict())
    assert points.loss_over_all(run, run.model) < 0.7 * points.loss_over_all(run, start)
    assert [group["name"] for group in run.optimizer.param_groups] == ["Muon: *.weight", "AdamW: rest"]
    assert isinstance(run.optimizer, Optimizers)
    assert list(run.optimizer.members) == (["0", "1"] if optimizer is BOTH else ["matrices", "rest"])
    assert run.optimizer.state.keys() == set(run.model.parameters())


CHANGES: dict[str, dict[str, Any]] = {
    "cosine": {"scheduler": COSINE},
    "several schedules": {
        "scheduler": [
            {"type": "SequentialLR", "unit": "iter", "milestones": [5], "schedulers": [
                {"type": "LinearLR", "total_iters": 5}, {"type": "ExponentialLR", "gamma": 0.9},
            ]},
            {"type": "ReduceLROnPlateau", "unit": "epoch", "monitor": "train/loss", "patience": 0, "threshold": 0.5},
        ]
    },
    "one cycle": {"scheduler": {"type": "OneCycleLR", "unit": "iter", "cycle_momentum": False}},
    "fp16": {"precision": "fp16", "scheduler": COSINE},
    "accumulate": {"accumulate": 3, "clip_grad": {"value": 0.1}},
    "groups inside": {
        "optimizer": [BOTH[0], {**BOTH[1], "groups": [{"match": "0.bias", "lr_mult": 3}]}],
        "scheduler": COSINE,
    },
    "phases": {
        "train_for": None,
        "phases": [
            {"train_for": "1 epoch", "freeze": ["0"], "scheduler": COSINE},
            {"train_for": "3 epochs", "batch_size": 8, "lr": 0.03, "scheduler": COSINE},
        ],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_resume_is_the_run_that_went_on(name: str, tmp_path: Path) -> None:
    changes = {
        "optimizer": BOTH, "train_for": "4 epochs", "checkpoint": {"every": "1 iters", "keep": 99}, **CHANGES[name]
    }  # fmt: skip
    start = points.two_layers()
    whole = points.runner(tmp_path / "whole", start, **changes)
    whole.train()
    for at in (2, 3, 5):
        state = runs.checkpoint(tmp_path / "whole", at)
        points.runner(tmp_path / f"from_{at}", start, resume=state, **changes).train()
        one, other = runs.newest(tmp_path / "whole"), runs.newest(tmp_path / f"from_{at}")
        for key in ("model", "optimizer", "schedules", "scaler", "final", "iteration"):
            assert runs.same(one[key], other[key]), (at, key)


def test_a_resume_that_forgot_one_of_them_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets(self: Optimizers, state: dict[str, Any]) -> None:
        self.members["0"].load_state_dict(state["members"]["0"])
        self._join()

    changes = {"optimizer": BOTH, "train_for": "2 epochs", "checkpoint": {"every": "1 iters", "keep": 99}}
    start = points.two_layers()
    points.runner(tmp_path / "whole", start, **changes).train()
    state = runs.checkpoint(tmp_path / "whole", 2)
    monkeypatch.setattr(Optimizers, "load_state_dict", forgets)
    points.runner(tmp_path / "part", start, resume=state, **changes).train()
    assert not runs.same(runs.newest(tmp_path / "whole")["model"], runs.newest(tmp_path / "part")["model"])


def test_the_state_of_other_optimizers_is_refused(tmp_path: Path) -> None:
    start = points.two_layers()
    points.runner(tmp_path, start, optimizer=BOTH, train_for="1 epoch", checkpoint={"every": "1 epoch"}).train()
    state = runs.newest(tmp_path)
    for optimizer, said in (
        ({"type": "AdamW"}, "saved by Optimizers, the config has AdamW"),
        (BY_NAME, "it is of 0, 1, not of matrices, rest"),
    ):
        with pytest.raises(CheckpointError, match=said):
            points.runner(tmp_path, start, resume=state, optimizer=optimizer, train_for="1 epoch").train()


class Thaws(Hook):
    essential = True

    def before_train_epoch(self, run: Runner) -> None:
        if run.epoch == 1:
            weight = run.model.get_parameter("2.bias")
            weight.requires_grad_(True)
            run.optimizer.add_param_group({"params": [weight], "lr": 0.04})


def test_a_group_that_a_hook_adds_goes_to_the_last_and_is_found_again(tmp_path: Path) -> None:
    changes = {
        "optimizer": BOTH, "freeze": ["2.bias"], "train_for": "4 epochs", "scheduler": COSINE,
        "checkpoint": {"every": "1 iters", "keep": 99},
        "hooks": {"progress": None, "thaws": runs.hang("hooks", "Thaws", Thaws())},
    }  # fmt: skip
    start = points.two_layers()
    whole = points.runner(tmp_path / "whole", start, **changes)
    whole.train()
    assert isinstance(whole.optimizer, Optimizers)
    assert [len(member.param_groups) for member in whole.optimizer.members.values()] == [1, 2]
    assert not torch.equal(whole.model.get_parameter("2.bias"), start.get_parameter("2.bias"))
    with pytest.raises(ValueError, match="more than one parameter group"):
        whole.optimizer.add_param_group({"params": whole.model.get_parameter("0.weight")})
    for at in (2, 5):
        state = runs.checkpoint(tmp_path / "whole", at)
        points.runner(tmp_path / f"from_{at}", start, resume=state, **changes).train()
        assert runs.same(runs.newest(tmp_path / "whole")["model"], runs.newest(tmp_path / f"from_{at}")["model"])


def test_a_closure_is_called_once() -> None:
    weights = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))]
    both = Optimizers({name: torch.optim.SGD([p], lr=0.5) for name, p in zip("ab", weights, strict=True)})
    calls: list[float] = []

    def closure() -> torch.Tensor:
        both.zero_grad()
        loss = weights[0].sum() + 2 * weights[1].sum()
        loss.backward()
        calls.append(loss.item())
        return loss

    assert both.step(closure) == 6.0 and calls == [6.0]
    assert weights[0].tolist() == [0.5, 0.5] and weights[1].tolist() == [0.0, 0.0]


# -- what cannot be ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (
            [BOTH[0], {"type": "SGD", "match": "0.*"}],
            "optimizer: no optimizer takes 2.bias; give the last one no match",
        ),
        ([{**BOTH[0], "match": "weights*"}, BOTH[1]], "optimizer.0: match='weights.' finds no parameter to train; did"),
        ([{"type": "SGD", "match": "*"}, BOTH[1]], "optimizer.1: is left no parameter to train"),
        ([{"type": "Muon", "match": "0.*"}, BOTH[1]], "optimizer.0: Muon: Muon only supports 2D .* that is 0.bias"),
        ([BOTH[0], {**BOTH[1], "match": "*.weight"}], "optimizer.1: match='..weight' finds .* in a group before it"),
        (
            [BOTH[0], {**BOTH[1], "groups": [{"match": "0.weight", "lr": 1}]}],
            "optimizer.1.groups.0: match='0.weight' finds .* in a group before it",
        ),
    ],
)
def test_parameters_without_an_optimizer_and_the_other_way_round(optimizer: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        points.runner(tmp_path, points.two_layers(), optimizer=optimizer).train()


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"optimizer": [{"type": "SGD"}, BOTH[1]]}, "optimizer.0", "those after it get none; give it a match"),
        ({"optimizer": []}, "optimizer", "got none"),
        ({"optimizer": {}}, "optimizer", "got none"),
        ({"optimizer": [BOTH[0], "AdamW"]}, "optimizer.1", "must be an optimizer as a dict"),
        ({"optimizer": [{**BOTH[0], "macth": "*"}, BOTH[1]]}, "optimizer.0.macth", "did you mean 'match'?"),
        ({"optimizer": {**BY_NAME, "rest": {"type": "AdamWW"}}}, "optimizer.rest.type", "did you mean 'AdamW'?"),
        ({"optimizer": {**BOTH[1], "match": "*"}}, "optimizer.match", "AdamW takes no 'match'"),
        ({"optimizer": {"typ": "SGD", "lr": 0.1}}, "optimizer.typ", "did you mean 'type'?"),
        ({"optimizer": [{**BOTH[0], "kind": "norms"}, BOTH[1]]}, "optimizer.0.kind", "must be 'norm'"),
        ({"optimizer": [{"type": "LBFGS", "match": "*.weight"}, BOTH[1]]}, "optimizer.0", "must be the only optimizer"),
        (
            {"optimizer": [{"type": "SGD", "nesterov": True, "match": "*.weight"}, BOTH[1]]},
            "optimizer.0", "needs a momentum",
        ),
        (
            {
                "optimizer": [{"type": "Muon", "match": "*.weight"}, {"type": "AdamW"}],
                "scheduler": {"type": "OneCycleLR", "unit": "iter"},
            },
            "scheduler", "Muon and AdamW have neither in common",
        ),
        (
            {"optimizer": [BOTH[0], {**BOTH[1], "groups": [{"lr": 1}]}]}, "optimizer.1.groups.0", "needs match="
        ),
    ],
)  # fmt: skip
def test_check_says_what_is_wrong(changes: dict[str, Any], path: str, message: str) -> None:
    found = check(Config.from_values(runs.values(**changes)))
    assert [problem.path for problem in found] == [path] and message in found[0].message


def test_what_is_right_has_no_problem() -> None:
    for optimizer in (BOTH, BY_NAME, {**BY_NAME, "off": None}, [{"type": "SGD", "kind": "norm"}, BOTH[1]]):
        assert check(Config.from_values(runs.values(optimizer=optimizer))) == []


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight


def test_a_tied_weight_counts_once_and_is_found_by_any_of_its_names() -> None:
    model = Tied()
    (one, rest) = parameter_groups(model, [{"match": "second.weight", "lr_mult": 2}], set())
    assert [id(p) for p in one["params"]] == [id(model.first.weight)] and len(rest["params"]) == 2
    parts = {"optimizer.0": {"type": "Muon", "match": "second.weight"}, "optimizer.1": {"type": "SGD"}}
    ((muon,), (sgd,)) = groups_of_each(model, parts, set())
    assert [id(p) for p in muon["params"]] == [id(model.first.weight)] and len(sgd["params"]) == 2


# -- commands ------------------------------------------------------------------------------------------------------

CONFIG = """
train = dict(dataset=dict(type="DrawnShapes", count=8), transforms=[dict(type="ToFloat")], batch_size=4)
model = dict(type="LeNet")
loss = dict(type="CrossEntropyLoss")
optimizer = [dict(type="Muon", match="fc*.weight", lr=0.05), dict(type="AdamW", lr=0.002)]
scheduler = dict(type="CosineAnnealingLR", unit="epoch")
train_for = "2 epochs"
hooks = dict(tensorboard=None)
"""


def test_commands_name_the_optimizer_of_each_group(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logging.getLogger("pegboard")
    monkeypatch.setattr(log, "handlers", list(log.handlers))  # a command brings its own
    monkeypatch.setattr(log, "propagate", log.propagate)
    monkeypatch.setattr(log, "level", log.level)
    file = tmp_path / "both.py"
    file.write_text(CONFIG, encoding="utf-8")
    for command in ("check", "model", "lr"):
        assert cli.run(command, [str(file)]) == 0
    said = capsys.readouterr().out
    assert said.count("Muon: fc*.weight") >= 2 and said.count("AdamW: rest") >= 2
    assert "0.05" in said and "0.002" in said
