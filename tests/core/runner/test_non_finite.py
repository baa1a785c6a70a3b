"""A loss or gradients that are nan or infinite: found, told with the samples, and nothing good is lost."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pegboard import Batch, Config, ConfigError, Hook, PegboardError, Runner, checkpoint
from pegboard.checkpoint import Checkpoints
from pegboard.config import check
from tests import matrix, probes, runs

SKIP = {"policy": "skip"}


@pytest.fixture(autouse=True)
def _layers(_tiny_parts: None) -> None:
    matrix.hang_up()


class Spoils(Hook):
    """Does something to the batch, or to the gradients, of these iterations (the first is 1).

    Args:
        late: let the run read its losses late, as on a GPU.
    """

    def __init__(self, *iterations: int, what: str = "batch", value: float = math.nan, late: bool = False) -> None:
        self.iterations, self.what, self.value, self.late = iterations, what, value, late
        self.samples: dict[int, list[int]] = {}
        self.steps = 0

    def before_train(self, run: Runner) -> None:
        if self.late:
            run.guard.at_once = False  # type: ignore[union-attr]  # its policy is to stop

    def before_train_iter(self, run: Runner, batch: Batch) -> None:
        self.samples[run.iteration + 1] = batch.index.tolist()
        if run.iteration + 1 in self.iterations and self.what == "batch":
            batch.inputs[0, 0, 0, 0] = self.value
        if run.iteration + 1 in self.iterations and self.what == "gradients":
            run.model.fc.weight.register_hook(self.spoil)  # type: ignore[union-attr,operator]  # the tiny model's layer

    def spoil(self, gradient: Tensor) -> Tensor:
        spoilt = gradient.clone()
        spoilt[0, 0] = self.value
        return spoilt if self.armed else gradient

    armed = True

    def after_optimizer_step(self, run: Runner) -> None:
        self.steps += 1

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        self.armed = run.iteration + 1 in self.iterations


def spoiled(folder: Path, hook: Spoils, **changes: Any) -> Runner:
    return runs.train(
        folder, **{"model": {"type": "Layers"}, "hooks": {"spoils": runs.hang("hooks", "s", hook)}} | changes
    )


@pytest.mark.parametrize("log_every", ["1 iters", "2 iters", "1 epoch"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
def test_the_run_stops_with_the_samples_of_the_batch(tmp_path: Path, log_every: str, value: float, late: bool) -> None:
    """Whenever the losses are read: the batch that is named is the first whose loss is not finite."""
    hook = Spoils(5, value=value, late=late)
    with pytest.raises(PegboardError, match=r"training loss is (nan|inf) at iteration 5, samples ") as raised:
        spoiled(tmp_path, hook, log_every=log_every)
    message = str(raised.value)
    after = ", or the step of iteration 4" if late else "; its step was not taken; gradient norms: "
    assert f"samples {', '.join(map(str, hook.samples[5]))}{after}" in message
    assert re.search(r"gradient norms( of iteration 6)?: .*conv.weight nan", message)
    assert "Lower the learning rate or set clip_grad" in message
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["exit"] == "failed"
    assert message in (tmp_path / "log.txt").read_text()

    kept = checkpoint.load(tmp_path / "checkpoints" / "non_finite.pt")
    assert kept["non_finite"]["samples"] == hook.samples[5]
    assert kept["non_finite"]["samples_before"] == hook.samples[4]
    assert kept["non_finite"]["iteration"] == 5
    assert set(kept["non_finite"]["gradient_norms"]) >= {"conv.weight", "fc.bias"}
    assert {"model", "optimizer", "hooks", "config"} <= kept.keys()
    assert runs.newest(tmp_path)["iteration"] == 3  # what a resume takes


def test_on_the_cpu_the_weights_that_are_kept_are_those_that_gave_the_loss(tmp_path: Path) -> None:
    """No step was taken from there on: those of the run that ends before it."""
    with pytest.raises(PegboardError, match="at iteration 5, .*; its step was not taken"):
        spoiled(tmp_path / "bad", Spoils(5))
    kept = checkpoint.load(tmp_path / "bad" / "checkpoints" / "non_finite.pt")
    whole = runs.train(tmp_path / "whole", model={"type": "Layers"}, train_for="4 iters")
    assert kept["iteration"] == 4
    for name, weight in whole.model.named_parameters():
        assert torch.equal(kept["model"][name], weight), name
    assert runs.same(kept["optimizer"]["state"], whole.optimizer.state_dict()["state"])


def test_a_checkpoint_between_the_loss_and_its_reading_does_not_push_out_a_good_one(tmp_path: Path) -> None:
    """The losses are read at the epoch's end, a checkpoint is due at every iteration."""
    with pytest.raises(PegboardError, match="training loss is nan at iteration 4"):
        spoiled(tmp_path, Spoils(4, late=True), log_every="1 epoch", checkpoint={"every": "1 iters", "keep": 1})
    newest = runs.newest(tmp_path)
    assert newest["iteration"] == 3
    assert all(weight.isfinite().all() for weight in newest["model"].values())


def test_weights_that_are_not_finite_are_no_checkpoint_though_the_loss_was(tmp_path: Path) -> None:
    hook = Spoils(4, what="gradients")
    with pytest.raises(
        PegboardError, match=r"weights are not finite after iteration 4, samples .*\(fc.weight\).* fc.weight nan"
    ) as raised:
        spoiled(tmp_path, hook, checkpoint={"every": "1 iters", "keep": 1}, log_every="1 epoch")
    assert f"samples {', '.join(map(str, hook.samples[4]))}, though its loss was" in str(raised.value)
    assert checkpoint.load(tmp_path / "checkpoints" / "non_finite.pt")["non_finite"]["samples"] == hook.samples[4]
    assert runs.newest(tmp_path)["iteration"] == 3


@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
@pytest.mark.parametrize("val_every", ["1 epoch", "3 iters"])
def test_the_last_step_before_a_validation_is_not_validated(tmp_path: Path, late: bool, val_every: str) -> None:
    """Nor kept as the best, in a run without checkpoints: nan weights have an accuracy like others."""
    best = {"type": "BestCheckpoint", "metric": "val/top1", "better": "higher"}
    hook = Spoils(3, what="gradients", late=late)
    hooks = {"spoils": runs.hang("hooks", "s", hook), "best": best, "checkpoint": None}
    batches = {**runs.values()["train"], "batch_size": 8 if val_every == "1 epoch" else 4}
    with pytest.raises(PegboardError, match="weights are not finite after iteration 3, samples "):
        spoiled(tmp_path, hook, hooks=hooks, train=batches, val_every=val_every, log_every="2 iters")
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["non_finite.pt"]


@pytest.mark.parametrize("log_every", ["1 iters", "1 epoch"])
def test_gradients_that_spoil_the_weights_are_said_with_the_loss_that_shows_it(tmp_path: Path, log_every: str) -> None:
    """On the CPU the step that did it is known."""
    hook = Spoils(4, what="gradients")
    with pytest.raises(PegboardError, match="training loss is nan at iteration 5, samples ") as raised:
        spoiled(tmp_path, hook, log_every=log_every)
    guilty = ", ".join(map(str, hook.samples[4]))
    cause = f"the step of iteration 4, samples {guilty}, spoiled the weights (fc.weight): the training loss is nan"
    assert str(raised.value).startswith(cause)


@pytest.mark.parametrize("log_every", ["1 iters", "1 epoch"])
def test_where_losses_are_read_late_both_batches_are_named(tmp_path: Path, log_every: str) -> None:
    hook = Spoils(4, what="gradients", late=True)
    with pytest.raises(PegboardError, match="training loss is nan at iteration 5, samples ") as raised:
        spoiled(tmp_path, hook, log_every=log_every)
    guilty = ", ".join(map(str, hook.samples[4]))
    assert f", or the step of iteration 4, samples {guilty}, spoiled the weights; " in str(raised.value)
    kept = checkpoint.load(tmp_path / "checkpoints" / "non_finite.pt")["non_finite"]
    assert (kept["samples"], kept["samples_before"]) == (hook.samples[5], hook.samples[4])


@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
@pytest.mark.parametrize("log_every", ["1 iters", "1 epoch"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_where_their_norm_is_taken_gradients_are_named_themselves(
    tmp_path: Path, late: bool, log_every: str, value: float
) -> None:
    hook = Spoils(5, what="gradients", late=late, value=value)
    with pytest.raises(PegboardError, match="^the gradients are not finite at iteration 5, samples ") as raised:
        spoiled(tmp_path, hook, log_every=log_every, clip_grad={"norm": 1.0})
    named = f"samples {', '.join(map(str, hook.samples[5]))}; "
    assert named + ("gradient norms" if late else "its step was not taken; ") in str(raised.value)
    kept = checkpoint.load(tmp_path / "checkpoints" / "non_finite.pt")
    assert (kept["non_finite"]["samples"], kept["non_finite"]["iteration"]) == (hook.samples[5], 5)
    whole = all(weight.isfinite().all() for weight in kept["model"].values())
    assert whole is not late


def test_weights_that_were_spoiled_before_the_first_step_blame_no_batch(tmp_path: Path) -> None:
    class Born(nn.Linear):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images.flatten(1))

    model = Born(3 * 8 * 8, 4)
    with torch.no_grad():
        model.bias[0] = math.nan
    message = r"is nan at iteration 1, .*; the weights were not finite before it \(bias\)"
    with pytest.raises(PegboardError, match=message) as raised:
        runs.train(tmp_path, model=runs.hang("models", "born", model))
    assert "--resume" not in str(raised.value)  # there is no checkpoint


def test_a_loss_that_left_the_weights_whole_blames_no_other_step(tmp_path: Path) -> None:
    """Infinite, with gradients that are finite: no step has spoiled a weight."""

    class Lies(nn.CrossEntropyLoss):
        calls = 0

        def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
            self.calls += self.training
            loss = super().forward(outputs, targets)
            return loss + math.inf if self.calls == 5 else loss

    with pytest.raises(PegboardError, match="training loss is inf at iteration") as raised:
        runs.train(tmp_path, loss=runs.hang("losses", "lies", Lies()))
    assert "spoiled the weights" not in str(raised.value)


def test_a_rate_that_is_too_high_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(PegboardError, match=r"training loss is (nan|inf) at iteration \d"):
        runs.train(tmp_path, optimizer={"type": "SGD", "lr": 1e38})


def test_a_run_without_trouble_leaves_nothing_of_this(tmp_path: Path) -> None:
    run = spoiled(tmp_path, Spoils())
    assert "skipped_steps" not in run.summary
    assert not (tmp_path / "checkpoints" / "non_finite.pt").exists()


# -- leaving the step out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [{"type": "SGD", "lr": 0.1, "momentum": 0.9}, {"type": "AdamW", "lr": 0.01}])
@pytest.mark.parametrize("what", ["batch", "gradients"])
def test_a_step_left_out_changes_nothing_but_the_count(
    tmp_path: Path, what: str, optimizer: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Weights, batch norm's averages and the optimizer's are those of before it, and the epoch's mean is finite."""
    hook = Spoils(5, what=what, value=math.inf)
    changes = {"optimizer": optimizer, "checkpoint": {"every": "1 iters", "keep": 9}, "log_every": "1 iters"}
    run = spoiled(tmp_path, hook, non_finite=SKIP, **changes)
    before, after = runs.checkpoint(tmp_path, 4), runs.checkpoint(tmp_path, 5)
    for name in ("model", "optimizer"):
        assert runs.same(before[name], after[name]), f"the {name} changed"
    assert (before["skipped"], after["skipped"]) == (0, 1)
    assert hook.steps == 5 and run.iteration == 6
    assert run.summary["skipped_steps"] == 1
    assert math.isfinite(run.final["train/loss"]) and math.isfinite(run.final["val/loss"])
    [warning] = [line for line in probes.warned(caplog) if "left out" in line]
    kind = "loss is" if what == "batch" else "gradients are"
    assert warning.startswith(f"the {kind} not finite at iteration 5, samples {hook.samples[5][0]}, ")


def test_too_many_steps_left_out_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(
        PegboardError, match=r"at iteration 5, samples .*3 steps were left out, more than non_finite.limit=2"
    ):
        spoiled(tmp_path, Spoils(2, 3, 5), non_finite={"policy": "skip", "limit": 2})
    assert json.loads((tmp_path / "summary.json").read_text())["skipped_steps"] == 3


def test_the_count_goes_on_after_a_resume(tmp_path: Path) -> None:
    hook = {"spoils": runs.hang("hooks", "s", Spoils(2, 5)), "stops": runs.hang("hooks", "t", probes.StopsAt(3))}
    runs.train(tmp_path, hooks=hook, non_finite=SKIP)
    run = runs.runner(tmp_path, runs.newest(tmp_path), hooks={"spoils": hook["spoils"]}, non_finite=SKIP)
    assert run.train()["skipped_steps"] == 2


def test_where_all_is_finite_skip_gives_the_bits_of_stop(tmp_path: Path) -> None:
    stop, skip = (
        runs.train(tmp_path / policy, model={"type": "Layers", "dropout": 0.3}, non_finite={"policy": policy})
        for policy in ("stop", "skip")
    )
    assert runs.same(stop.model.state_dict(), skip.model.state_dict())


# -- the default path costs nothing ----------------------------------------------------------------------------------


def test_between_log_steps_no_loss_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading waits for the device. With ``skip`` there is one in each iteration, which shows that this can see it.

    On the CPU nobody waits: there the loss is read, and the norm of the gradients too where it was taken.
    """
    read = {policy: reads(tmp_path / policy, policy, monkeypatch, late=True) for policy in ("stop", "skip")}
    assert read == {"stop": 0, "skip": 5}
    assert reads(tmp_path / "clip", "stop", monkeypatch, late=True, clip_grad={"norm": 1.0}) == 0
    assert reads(tmp_path / "cpu", "stop", monkeypatch, late=False) == 5


def reads(folder: Path, policy: str, monkeypatch: pytest.MonkeyPatch, late: bool, **changes: Any) -> int:
    """How often a tensor was turned into a number between the first iteration and the last of an epoch."""
    count = 0

    class Window(Hook):
        def before_train(self, run: Runner) -> None:
            if late and policy == "stop":
                run.guard.at_once = False  # type: ignore[union-attr]

        def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
            nonlocal counting
            counting = 1 <= run.iteration < 6

    counting = False

    def counted(method: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            nonlocal count
            count += counting
            return method(*arguments)

        return wrapped

    with monkeypatch.context() as patch:
        for name in ("item", "__bool__", "__float__", "tolist", "cpu"):
            patch.setattr(torch.Tensor, name, counted(getattr(torch.Tensor, name)))
        data = {**runs.values()["train"], "batch_size": 4}
        hooks = {"window": runs.hang("hooks", "window", Window()), "progress": None}
        runs.train(
            folder,
            train=data,
            log_every="1 epoch",
            non_finite={"policy": policy},
            hooks=hooks,
            train_for="6 iters",
            val=None,
            **changes,
        )
    return count


# -- the run key -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"policy": "skipp"}, "non_finite.policy: must be 'stop' or 'skip', got 'skipp'; did you mean 'skip'?"),
        ({"polcy": "skip"}, "non_finite.polcy: there is no such key; did you mean 'policy'?"),
        ({"policy": "skip", "limit": -1}, "non_finite.limit: must be at least 0, got -1"),
        ({"limit": 5}, "non_finite.limit: nothing is left out unless policy='skip'"),
        ("skip", "non_finite: must be a dict with policy, limit, got 'skip'"),
    ],
)
def test_the_run_key_is_checked(value: Any, message: str) -> None:
    problems = check(Config.from_values(runs.values(non_finite=value)))
    assert [str(problem) for problem in problems if message in str(problem)], [str(p) for p in problems]


def test_a_step_of_lbfgs_cannot_be_taken_back(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"non_finite.policy: LBFGS asks for gradients amid its step"):
        runs.train(tmp_path, optimizer={"type": "LBFGS"}, non_finite=SKIP)
    assert not Checkpoints(tmp_path / "checkpoints").index()
