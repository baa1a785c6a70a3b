"""A model whose training_step takes the optimizers steps them itself; all else of a run stays as it is."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pegboard import Batch, Config, ConfigError, Hook, PegboardError, Runner
from pegboard.config import check
from pegboard.runner.optimizers import Optimizers
from tests import runs
from tests.conftest import REPOSITORY

OPTIMIZER = {
    "first": {"type": "Adam", "lr": 0.01, "match": "first.*"},
    "second": {"type": "SGD", "lr": 0.1, "momentum": 0.9, "match": "second.*"},
}
GAN = REPOSITORY / "configs" / "gan_shapes.py"
TINY_GAN = ["train.dataset.count=48", "train.batch_size=16", "model.width=2", "model.noise=4", "train_for='4 epochs'",
            "hooks.samples.every='2 epochs'", "hooks.tensorboard=None", "hooks.report=None", "log_every='1 iters'",
            "threads=1", "device='cpu'"]  # fmt: skip


@pytest.fixture(autouse=True)
def _tiny_parts(boards: None) -> None:
    runs.hang_up()


class TwoHeads(nn.Module):
    """Two linear layers that learn apart: the second in every other step, through dropout."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.first = nn.Linear(192, num_classes)
        self.second = nn.Linear(192, num_classes)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.first(images.flatten(1))
        return logits

    def training_step(self, batch: Batch, criterion: Any, optimizers: Mapping[str, Any]) -> tuple[Tensor, Tensor, Any]:
        optimizers["first"].zero_grad()
        logits = self(batch.inputs)
        loss = criterion(logits, batch.targets)
        loss.backward()
        optimizers["first"].step()
        self.steps += 1
        if self.steps % 2:
            optimizers["second"].zero_grad()
            dropped = nn.functional.dropout(batch.inputs.flatten(1))
            other = criterion(self.second(dropped), batch.targets)
            other.backward()
            optimizers["second"].step()
        return loss, logits, {"twice": 2 * loss}


def changes(model: Any = TwoHeads, **others: Any) -> dict[str, Any]:
    def make(num_classes: int) -> Any:
        return model(num_classes)

    from pegboard import MODELS

    MODELS.entries.pop("Made", None)
    MODELS.register(make, name="Made", supplied=("num_classes",))
    return {"model": {"type": "Made"}, "optimizer": OPTIMIZER, **others}


def test_it_is_a_bare_loop_with_two_optimizers(tmp_path: Path) -> None:
    seen: list[Batch] = []

    class Sees(Hook):
        def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
            seen.append(Batch(*(part.clone() for part in batch)))
            assert not loss.requires_grad and not outputs.requires_grad

    class WithoutDropout(TwoHeads):
        def training_step(self, batch: Batch, criterion: Any, optimizers: Mapping[str, Any]) -> Any:
            loss, logits, other = (criterion(head(batch.inputs.flatten(1)), batch.targets) for head in
                                   (self.first, self.second, self.first))  # fmt: skip
            for optimizer, value in ((optimizers["first"], loss), (optimizers["second"], logits)):
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
            return other, self(batch.inputs)

    run = runs.runner(tmp_path, **changes(WithoutDropout, hooks={"sees": runs.hang("hooks", "sees", Sees())}))
    torch.manual_seed(0)
    bare = WithoutDropout(4)
    run.train()
    adam = torch.optim.Adam(bare.first.parameters(), lr=0.01, fused=True)
    sgd = torch.optim.SGD(bare.second.parameters(), lr=0.1, momentum=0.9, fused=True)
    for batch in seen:
        bare.training_step(batch, cross_entropy, {"first": adam, "second": sgd})
    assert len(seen) == 6
    assert runs.same(bare.state_dict(), run.model.state_dict())


@pytest.fixture(scope="module")
def scheduled() -> dict[str, Any]:
    return {
        "scheduler": {"type": "CosineAnnealingLR", "unit": "iter"},
        "train_for": "3 epochs",
        "checkpoint": {"every": "1 iters", "keep": 99},
    }


def resumed(folder: Path, scheduled: dict[str, Any], at: int) -> tuple[dict[str, Any], dict[str, Any]]:
    runs.train(folder / "whole", **changes(**scheduled))
    state = runs.checkpoint(folder / "whole", at)
    runs.runner(folder / "part", state, **changes(**scheduled)).train()
    keep = ("model", "optimizer", "schedules", "final")
    whole, part = runs.newest(folder / "whole"), runs.newest(folder / "part")
    return {key: whole[key] for key in keep}, {key: part[key] for key in keep}


@pytest.mark.parametrize("at", [1, 4])
def test_a_resume_is_the_run_that_went_on(at: int, tmp_path: Path, scheduled: dict[str, Any]) -> None:
    whole, part = resumed(tmp_path, scheduled, at)
    assert runs.same(whole, part)


def test_a_resume_that_forgot_an_optimizer_would_be_seen(
    tmp_path: Path, scheduled: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgets(self: Optimizers, state: dict[str, Any]) -> None:
        self.members["first"].load_state_dict(copy.deepcopy(state["members"]["first"]))

    monkeypatch.setattr(Optimizers, "load_state_dict", forgets)
    whole, part = resumed(tmp_path, scheduled, 4)
    assert not runs.same(whole, part)


def test_hooks_are_called_once_around_it_and_what_it_logs_is_in_the_records(tmp_path: Path) -> None:
    calls: list[str] = []

    class Counts(Hook):
        def before_optimizer_step(self, run: Runner) -> None:
            calls.append("before")
            assert list(run.optimizers) == ["first", "second"]

        def after_optimizer_step(self, run: Runner) -> None:
            calls.append("after")
            assert run.model.first.weight.grad is not None

    hooks = {"counts": runs.hang("hooks", "counts", Counts())}
    run = runs.train(tmp_path, **changes(hooks=hooks, scheduler={"type": "StepLR", "step_size": 1, "unit": "epoch"}))
    assert calls == ["before", "after"] * 6
    records = [record for record in runs.records(tmp_path) if "twice" in record]
    assert len(records) == 6 and all(record["twice"] == pytest.approx(2 * record["loss"]) for record in records)
    assert [group["lr"] for group in run.optimizer.param_groups] == pytest.approx([0.0001, 0.001])


def test_a_single_optimizer_may_be_stepped_by_hand_too(tmp_path: Path) -> None:
    class One(runs.Tiny):
        def training_step(self, batch: Batch, criterion: Any, optimizers: Mapping[str, Any]) -> Any:
            def closure() -> Tensor:
                optimizers["optimizer"].zero_grad()
                loss: Tensor = criterion(self(batch.inputs), batch.targets)
                loss.backward()
                return loss

            return optimizers["optimizer"].step(closure), self(batch.inputs)

    run = runs.train(tmp_path / "own", **changes(One, optimizer={"type": "LBFGS", "lr": 0.01}))
    plain = runs.train(tmp_path / "plain", optimizer={"type": "LBFGS", "lr": 0.01})
    assert list(run.optimizers) == list(plain.optimizers) == ["optimizer"]
    assert (run.needs_closure, plain.needs_closure) == (False, True)
    assert runs.same(run.model.state_dict(), plain.model.state_dict())


# -- what cannot be ------------------------------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"precision": "fp16"}, "precision"),
    ({"accumulate": 2}, "accumulate"),
    ({"clip_grad": {"norm": 1.0}}, "clip_grad"),
    ({"non_finite": {"policy": "skip"}}, "non_finite.policy"),
    ({"compile": True}, "compile"),
]


@pytest.mark.parametrize(("asked", "path"), REFUSED, ids=[path for _, path in REFUSED])
def test_what_only_the_runs_own_step_can_do_is_refused(asked: dict[str, Any], path: str) -> None:
    from pegboard import MODELS

    MODELS.register(TwoHeads, supplied=("num_classes",))
    values = runs.values(model={"type": "TwoHeads"}, optimizer=OPTIMIZER, **asked)
    [problem] = check(Config.from_values(values))
    assert problem.path == path and "steps them itself" in problem.message


def test_it_is_refused_too_where_only_the_built_model_can_tell(tmp_path: Path) -> None:
    made = runs.runner(tmp_path, **changes(accumulate=2, clip_grad={"norm": 1.0}))  # by a function
    assert check(made.config) == []
    with pytest.raises(ConfigError, match=r"(?s)accumulate: the model's training_step.*clip_grad: the model's"):
        made.train()


class Standstill(TwoHeads):
    def training_step(self, batch: Batch, criterion: Any, optimizers: Mapping[str, Any]) -> Any:
        loss = criterion(self(batch.inputs), batch.targets)
        loss.backward()
        return loss, None


class Typo(TwoHeads):
    def training_step(self, batch: Batch, criterion: Any, optimizers: Mapping[str, Any]) -> Any:
        optimizers["frist"].step()


class NoLoss(TwoHeads):
    def training_step(self, batch: Batch, criterion: Any, optimizers: Mapping[str, Any]) -> Any:
        return None, None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Standstill, r"stepped none in an epoch; expected optimizers\['first'\].step\(\) and"),
        (Typo, "asks for the optimizer 'frist'; the config has 'first', 'second'; did you mean 'first'"),
        (NoLoss, "the training step gave no loss"),
    ],
)
def test_a_step_that_is_none_ends_the_run_with_a_reason(model: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(PegboardError, match=message):
        runs.train(tmp_path, **changes(model, metrics={}))


# -- the worked config -----------------------------------------------------------------------------------------------


class StopsAt(Hook):
    """Ends the run in the midst of an epoch."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        if run.iteration == self.iteration:
            run.stop("enough")


def test_the_gan_is_checked_trains_draws_and_resumes_bit_for_bit(tmp_path: Path) -> None:
    assert [problem.path for problem in check(Config.load(GAN, ["accumulate=2"]))] == ["accumulate"]
    assert check(Config.load(GAN)) == []
    config = Config.load(GAN, [*TINY_GAN, "checkpoint.every='1 iters'", "checkpoint.keep=99"])
    whole = Runner(config, tmp_path / "whole")
    whole.train()
    state = runs.checkpoint(tmp_path / "whole", 5)
    Runner(config, tmp_path / "part", state).train()
    ends = [runs.newest(tmp_path / name) for name in ("whole", "part")]
    assert all(runs.same(ends[0][key], ends[1][key]) for key in ("model", "optimizer", "figures"))
    start = runs.checkpoint(tmp_path / "whole", 1)["model"]
    for name in ("generator.0.weight", "discriminator.0.weight"):
        assert not torch.equal(start[name], ends[0]["model"][name])
    pictures = sorted(path.parent.name for path in (tmp_path / "whole").rglob("drawn_samples.png"))
    assert pictures == ["iteration_00000006", "iteration_00000012"]
    assert {"train/loss", "loss_discriminator"} <= {
        name for record in runs.records(tmp_path / "whole") for name in record
    }
    stopped = Config.load(GAN, TINY_GAN)
    stopped.values["hooks"]["stops"] = runs.hang("hooks", "StopsAt", StopsAt(8))
    Runner(stopped, tmp_path / "stopped").train()
    pictures = sorted(path.parent.name for path in (tmp_path / "stopped").rglob("drawn_samples.png"))
    assert pictures == ["iteration_00000006", "iteration_00000008"]
