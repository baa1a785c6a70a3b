"""The loop: what fires when, what a step computes, and what a run depends on."""

import copy
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pegboard import Batch, Config, Hook, PegboardError, Runner
from pegboard.hooks import POINTS
from tests import runs

# -- hook points -----------------------------------------------------------------------------------------------------


def recorder(points: "list[str]") -> Hook:
    """A hook that defines every point and appends the names to ``points``."""

    def method(point: str) -> Any:
        arguments = ", ".join(["self", "run", *POINTS[point]])
        return eval(f"lambda {arguments}: points.append(point)", {"points": points, "point": point})

    hook: Hook = type("Recorder", (Hook,), {point: method(point) for point in POINTS})()
    return hook


def expected_epoch(first: bool) -> list[str]:
    step = ["after_backward", "before_optimizer_step", "after_optimizer_step"]
    iteration = ["before_train_iter", *step, "after_train_iter", "on_log"]
    val = ["before_val", *["before_val_iter", "after_val_iter"] * 2, "after_val", "on_log"]
    return ["before_train_epoch", *iteration * 3, "after_train_epoch", *val, "before_checkpoint", "after_checkpoint"]


def test_hook_points_fire_in_the_order_of_the_design(tmp_path: Path) -> None:
    points: list[str] = []
    runs.train(tmp_path, hooks={"recorder": runs.hang("hooks", "recorder", recorder(points))})
    assert points == [
        "before_run",
        "before_train",
        *expected_epoch(first=True),
        *expected_epoch(first=False),
        "after_train",
        "before_checkpoint",
        "after_checkpoint",
        "after_run",
        "on_end",
    ]


def test_points_of_test_and_exception_fire_too(tmp_path: Path) -> None:
    points: list[str] = []
    probe = runs.hang("hooks", "recorder", recorder(points))
    run = runs.train(tmp_path / "a", hooks={"recorder": probe}, test=runs.values()["val"])
    points.clear()
    metrics = run.test()
    assert points == ["before_test", *["before_test_iter", "after_test_iter"] * 2, "after_test"]
    assert set(metrics) == {"test/loss", "test/top1"}

    class Fails(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 2)

        def forward(self, images: Tensor) -> Tensor:
            raise ValueError("no forward")

    points.clear()
    with pytest.raises(ValueError, match="no forward"):
        runs.train(tmp_path / "b", hooks={"recorder": probe}, model=runs.hang("models", "fails", Fails()))
    assert points[-3:] == ["before_train_iter", "on_exception", "on_end"]
    assert json.loads((tmp_path / "b" / "summary.json").read_text())["exit"] == "failed"
    assert "no forward" in (tmp_path / "b" / "log.txt").read_text()


def test_what_the_points_are_given(tmp_path: Path) -> None:
    class Looks(Hook):
        essential = True

        def __init__(self) -> None:
            self.metrics: Mapping[str, float] = {}
            self.paths: list[Path] = []

        def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Tensor) -> None:
            assert batch.inputs.shape == (8, 3, 8, 8) and batch.inputs.dtype == torch.float32
            assert loss.shape == () and not loss.requires_grad
            assert outputs.shape == (8, 4) and not outputs.requires_grad

        def after_val(self, run: Runner, metrics: Mapping[str, float]) -> None:
            self.metrics = dict(metrics)

        def before_checkpoint(self, run: Runner, state: dict[str, Any]) -> None:
            assert state["iteration"] == run.iteration and "model" in state

        def after_checkpoint(self, run: Runner, path: Path) -> None:
            assert path.is_file()
            self.paths.append(path)

    looks = Looks()
    run = runs.train(tmp_path, hooks={"looks": runs.hang("hooks", "looks", looks)})
    assert set(looks.metrics) == {"val/loss", "val/top1"}
    assert looks.paths[-1].name == "iteration_00000006.pt"
    assert {name: run.final[name] for name in looks.metrics} == looks.metrics


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("after_train_itr", "self, run, batch, loss, outputs", r"no hook point; did you mean 'after_train_iter'\?"),
        ("before_eval", "self, run", "no hook point"),
        ("on_exeption", "self, run, error", "did you mean 'on_exception'"),
        ("after_train_iter", "self, run, batch", r"expected \(self, run, batch, loss, outputs\)"),
        ("after_val", "self, run", r"expected \(self, run, metrics\)"),
        ("before_run", "self", r"expected \(self, run\)"),
    ],
)
def test_a_hook_method_that_would_never_run_is_refused_when_the_class_is_defined(
    name: str, arguments: str, message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        type("Mistaken", (Hook,), {name: eval(f"lambda {arguments}: None")})


def test_a_hook_may_have_helpers_and_points_of_a_parent() -> None:
    class Parent(Hook):
        def before_run(self, run: Runner) -> None: ...

    class Child(Parent):
        before_colour = "red"  # no method, so no typo

        def helper(self) -> None: ...

    assert Child.before_run is Parent.before_run


# -- what a hook may ask of a run ------------------------------------------------------------------------------------


def test_what_a_hook_logs_reaches_file_terminal_and_tensorboard(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Logs(Hook):
        def after_val(self, run: Runner, metrics: Mapping[str, float]) -> None:
            run.log("answer", 42.5)
            run.log("norm", torch.tensor(0.25, requires_grad=True))

    runs.train(tmp_path, hooks={"logs": runs.hang("hooks", "logs", Logs()), "tensorboard": {"type": "TensorBoard"}})
    last = runs.records(tmp_path)[-1]
    assert (last["answer"], last["norm"], last["epoch"], last["iteration"]) == (42.5, 0.25, 2, 6)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch 2/2  iteration 6/6")]
    assert len(lines) == 1
    assert "answer 42.5000  norm 0.2500" in lines[0]

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("answer")] == [(3, 42.5), (6, 42.5)]
    assert [event.value for event in events.Scalars("norm")] == [0.25, 0.25]


def test_a_hook_stops_the_run_after_the_iteration(tmp_path: Path) -> None:
    class Stops(Hook):
        def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Tensor) -> None:
            if run.iteration == 2:
                run.stop("enough")
                run.stop("a later reason does not replace the first")

    run = runs.train(tmp_path, hooks={"stops": runs.hang("hooks", "stops", Stops())})
    assert (run.iteration, run.epoch, run.position) == (2, 0, 2)
    assert run.summary["exit"] == "stopped"
    assert run.summary["stop_reason"] == "enough"
    assert runs.newest(tmp_path)["iteration"] == 2


def test_however_many_hooks_ask_one_checkpoint_is_written(tmp_path: Path) -> None:
    class Asks(Hook):
        def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Tensor) -> None:
            if run.iteration == 2:
                run.save()
                run.save()

    points: list[str] = []
    hooks = {
        "one": runs.hang("hooks", "one", Asks()),
        "two": runs.hang("hooks", "two", Asks()),
        "recorder": runs.hang("hooks", "recorder", recorder(points)),
    }
    runs.train(tmp_path, hooks=hooks, train_for="3 iters", val=None, checkpoint={"every": "100 epochs"})
    assert points.count("after_checkpoint") == 2  # at iteration 2, and at the end


# -- failing hooks ---------------------------------------------------------------------------------------------------


class Failing(Hook):
    def __init__(self) -> None:
        self.calls = 0

    def before_train_iter(self, run: Runner, batch: Batch) -> None:
        self.calls += 1
        raise RuntimeError("broken on purpose")

    def after_val(self, run: Runner, metrics: Mapping[str, float]) -> None:
        self.calls += 1


def test_a_failing_hook_is_reported_once_and_switched_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    failing = Failing()
    run = runs.train(tmp_path, hooks={"mine": runs.hang("hooks", "mine", failing)})
    assert run.summary["exit"] == "finished"
    assert failing.calls == 1  # its other points are off too
    told = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(told) == 1
    assert "'mine' failed at before_train_iter" in told[0].getMessage()
    assert (tmp_path / "log.txt").read_text().count("RuntimeError: broken on purpose") == 2  # and a traceback


def test_a_failing_essential_hook_ends_the_run(tmp_path: Path) -> None:
    failing = type("Essential", (Failing,), {"essential": True})()
    with pytest.raises(RuntimeError, match="broken on purpose") as raised:
        runs.train(tmp_path, hooks={"mine": runs.hang("hooks", "mine", failing)})
    assert raised.value.__notes__ == ["in hook 'mine' at before_train_iter"]
    assert json.loads((tmp_path / "summary.json").read_text())["exit"] == "failed"


# -- lengths ---------------------------------------------------------------------------------------------------------


def test_a_run_in_iterations_may_end_in_mid_epoch(tmp_path: Path) -> None:
    points: list[str] = []
    probe = {"recorder": runs.hang("hooks", "recorder", recorder(points))}
    run = runs.train(tmp_path, hooks=probe, train_for="5 iters")
    assert run.iteration == 5
    assert points.count("after_train_iter") == 5
    assert points.count("after_val") == 2  # after the whole epoch, and at the end
    assert runs.records(tmp_path)[-1]["iteration"] == 5
    assert "val/top1" in runs.records(tmp_path)[-1]


def test_validation_every_so_many_iterations(tmp_path: Path) -> None:
    run = runs.train(tmp_path, val_every="2 iters", train_for="5 iters", log_every="100 iters")
    validated = [record["iteration"] for record in runs.records(tmp_path) if "val/loss" in record]
    assert validated == [2, 4, 5]
    assert [record["epoch"] for record in runs.records(tmp_path) if "val/loss" in record] == [1, 2, 2]
    assert run.model.fc.weight.requires_grad


def test_a_validation_at_the_last_iteration_is_not_repeated(tmp_path: Path) -> None:
    runs.train(tmp_path, val_every="3 iters", log_every="100 iters")
    validated = [record["iteration"] for record in runs.records(tmp_path) if "val/loss" in record]
    assert validated == [3, 6]
    assert [record["epoch"] for record in runs.records(tmp_path) if "val/loss" in record] == [1, 2]


def test_without_validation_data_none_is_run(tmp_path: Path) -> None:
    run = runs.train(tmp_path, val=None)
    assert not any(name.startswith("val/") for name in run.final)
    assert run.summary["exit"] == "finished"


def test_log_every_averages_over_the_samples_since_the_last_record(tmp_path: Path) -> None:
    runs.train(tmp_path / "each", log_every="1 iters", val=None)
    runs.train(tmp_path / "third", log_every="3 iters", val=None)
    losses = [record["loss"] for record in runs.records(tmp_path / "each") if "loss" in record]
    means = [record["loss"] for record in runs.records(tmp_path / "third") if "loss" in record]
    assert means == pytest.approx([sum(losses[:3]) / 3, sum(losses[3:]) / 3])


# -- the step --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [2, 3, 8, 11])
def test_accumulating_gives_the_gradients_of_the_whole_batch(tmp_path: Path, pieces: int) -> None:
    whole = runs.train(tmp_path / "1", val=None, optimizer={"type": "SGD", "lr": 0.1, "momentum": 0.9})
    parts = runs.train(
        tmp_path / "k", val=None, optimizer={"type": "SGD", "lr": 0.1, "momentum": 0.9}, accumulate=pieces
    )
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6, rtol=0)
    assert parts.final["train/loss"] == pytest.approx(whole.final["train/loss"], abs=1e-6)
    assert parts.final["train/top1"] == whole.final["train/top1"]


def test_accumulating_with_a_last_batch_that_it_does_not_divide(tmp_path: Path) -> None:
    data = {**runs.values()["train"], "batch_size": 7}  # 7 + 7 + 7 + 3
    whole, parts = (runs.train(tmp_path / str(k), val=None, train=copy.deepcopy(data), accumulate=k) for k in (1, 2))
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6, rtol=0)


class Gradients(Hook):
    """Keeps the norm and the largest element of each step's gradients."""

    def __init__(self) -> None:
        self.norms: list[float] = []
        self.largest: list[float] = []

    def before_optimizer_step(self, run: Runner) -> None:
        gradients = torch.cat([p.grad.flatten() for p in run.model.parameters() if p.grad is not None])
        self.norms.append(gradients.norm().item())
        self.largest.append(gradients.abs().max().item())


def test_clipping_limits_the_gradients(tmp_path: Path) -> None:
    seen = {}
    for name, clip in {"none": None, "norm": {"norm": 0.05}, "value": {"value": 0.01}}.items():
        seen[name] = Gradients()
        runs.train(tmp_path / name, clip_grad=clip, val=None, hooks={"g": runs.hang("hooks", "g", seen[name])})
    assert min(seen["none"].norms) > 0.06 and min(seen["none"].largest) > 0.011  # else nothing was clipped
    assert seen["norm"].norms == pytest.approx([0.05] * 6, rel=1e-4)
    assert seen["value"].largest == pytest.approx([0.01] * 6)


def test_an_optimizer_that_needs_a_closure_gets_one(tmp_path: Path) -> None:
    points: list[str] = []
    probe = {"recorder": runs.hang("hooks", "recorder", recorder(points))}
    data = {**runs.values()["train"], "batch_size": 24, "transforms": [{"type": "ToFloat"}]}
    run = runs.train(tmp_path, optimizer={"type": "LBFGS", "lr": 0.5, "max_iter": 5}, train=data, hooks=probe, val=None)
    assert run.iteration == 2
    for point in ("before_optimizer_step", "after_optimizer_step", "after_train_iter"):
        assert points.count(point) == 2
    losses = [record["loss"] for record in runs.records(tmp_path) if "loss" in record]
    assert losses[1] < losses[0]
    state = next(iter(run.optimizer.state_dict()["state"].values()))
    assert state["func_evals"] > 2  # the closure was called more often than the hooks


def test_bf16_runs_on_the_cpu_and_computes_in_it(tmp_path: Path) -> None:
    seen: list[torch.dtype] = []

    class Looks(Hook):
        def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Tensor) -> None:
            seen.append(outputs.dtype)

    run = runs.train(tmp_path, precision="bf16", hooks={"looks": runs.hang("hooks", "looks", Looks())})
    assert set(seen) == {torch.bfloat16}
    assert run.model.fc.weight.dtype == torch.float32
    assert run.summary["exit"] == "finished"


def test_channels_last_changes_the_layout_and_not_the_result(tmp_path: Path) -> None:
    """LeNet on 32 x 32 pixels, so that there is a convolution whose layout can change."""
    data = {**runs.values()["train"], "dataset": {"type": "Dots", "size": 32}, "transforms": [{"type": "ToFloat"}]}
    plain, last = (
        runs.train(
            tmp_path / str(flag), channels_last=flag, model={"type": "LeNet"}, train=copy.deepcopy(data), val=None,
            train_for="2 iters",
        )
        for flag in (False, True)
    )  # fmt: skip
    assert last.model.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    for one, other in zip(plain.model.parameters(), last.model.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_model_with_a_training_step_takes_over(tmp_path: Path) -> None:
    class Own(runs.Tiny):
        def __init__(self) -> None:
            super().__init__(4)
            self.calls = 0

        def training_step(self, batch: Batch, criterion: Any) -> tuple[Tensor, Tensor]:
            self.calls += 1
            logits = self(batch.inputs)
            return 3 * criterion(logits, batch.targets), logits

    own = Own()
    torch.manual_seed(0)
    start = copy.deepcopy(own.state_dict())
    runs.train(tmp_path / "own", model=runs.hang("models", "own", own), val=None)
    assert own.calls == 6

    plain = runs.Tiny(4)
    plain.load_state_dict(start)
    runs.train(
        tmp_path / "plain", model=runs.hang("models", "plain", plain), optimizer={"type": "SGD", "lr": 0.3}, val=None
    )
    assert torch.allclose(own.fc.weight, plain.fc.weight, atol=1e-6)  # three times the loss is three times the rate


# -- schedules -------------------------------------------------------------------------------------------------------


class Rates(Hook):
    """The learning rate and momentum that each step was taken with."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.momenta: list[float] = []

    def before_optimizer_step(self, run: Runner) -> None:
        self.rates.append(run.optimizer.param_groups[0]["lr"])
        self.momenta.append(run.optimizer.param_groups[0].get("momentum", 0.0))


def test_one_cycle_gets_its_peak_and_its_length_from_the_run(tmp_path: Path) -> None:
    rates = Rates()
    runs.train(
        tmp_path,
        optimizer={"type": "SGD", "lr": 0.3, "momentum": 0.9},
        scheduler={"type": "OneCycleLR", "unit": "iter", "cycle_momentum": False},
        train_for="4 epochs",
        hooks={"rates": runs.hang("hooks", "rates", rates)},
    )
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.3, total_steps=12, cycle_momentum=False)
    expected = []
    for _ in range(12):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates.rates == expected
    assert set(rates.momenta) == {0.9}


def test_a_scheduler_by_epoch_steps_once_an_epoch(tmp_path: Path) -> None:
    rates = Rates()
    runs.train(
        tmp_path,
        scheduler={"type": "CosineAnnealingLR", "unit": "epoch"},
        train_for="4 epochs",
        hooks={"rates": runs.hang("hooks", "rates", rates)},
    )
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    expected = []
    for _ in range(4):
        expected += [optimizer.param_groups[0]["lr"]] * 3
        optimizer.step()
        scheduler.step()
    assert rates.rates == expected


def test_several_schedulers_step_each_in_its_unit(tmp_path: Path) -> None:
    rates = Rates()
    runs.train(
        tmp_path,
        scheduler=[
            {"type": "ExponentialLR", "gamma": 0.5, "unit": "epoch"},
            {"type": "ExponentialLR", "gamma": 0.9, "unit": "iter"},
        ],
        hooks={"rates": runs.hang("hooks", "rates", rates)},
    )
    expected = [0.1 * 0.9**i * 0.5 ** (i // 3) for i in range(6)]
    assert rates.rates == pytest.approx(expected)


def test_reduce_on_plateau_watches_its_monitor(tmp_path: Path) -> None:
    """At a rate of 1e-9 nothing improves by the threshold, so every validation after the first is a bad one."""
    rates = Rates()
    runs.train(
        tmp_path,
        optimizer={"type": "SGD", "lr": 1e-9},
        scheduler={
            "type": "ReduceLROnPlateau", "monitor": "val/loss", "unit": "epoch", "factor": 0.1, "patience": 0, "eps": 0,
        },
        train_for="3 epochs",
        hooks={"rates": runs.hang("hooks", "rates", rates)},
    )  # fmt: skip
    assert rates.rates == pytest.approx([1e-9] * 6 + [1e-10] * 3)


# -- what a run depends on -------------------------------------------------------------------------------------------

DROPOUT = {"type": "Tiny", "dropout": 0.5}


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path: Path) -> None:
    first, again, other = (
        runs.train(tmp_path / name, seed=seed, model=DROPOUT) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    lines = {name: (tmp_path / name / "metrics.jsonl").read_bytes() for name in "abc"}
    assert runs.same(first.model.state_dict(), again.model.state_dict())
    assert lines["a"] == lines["b"]
    assert not runs.same(first.model.state_dict(), other.model.state_dict())
    assert lines["a"] != lines["c"]


def test_drawing_random_numbers_before_a_run_changes_nothing(tmp_path: Path) -> None:
    first = runs.train(tmp_path / "a", model=DROPOUT)
    torch.manual_seed(999)
    torch.rand(17)
    assert runs.same(first.model.state_dict(), runs.train(tmp_path / "b", model=DROPOUT).model.state_dict())


class Observes(Hook):
    """Looks at everything, and draws random numbers as a visualisation might."""

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Tensor) -> None:
        torch.rand(5)
        outputs.softmax(1).mean().item()
        run.log("weight", run.model.fc.weight.norm())

    def before_val_iter(self, run: Runner, batch: Batch) -> None:
        torch.randperm(3)


class Meddles(Observes):
    """The broken specimen: it changes what it looks at."""

    def before_train_iter(self, run: Runner, batch: Batch) -> None:
        batch.inputs.mul_(1.0001)


@pytest.mark.parametrize(("hook", "harmless"), [(Observes, True), (Meddles, False)])
def test_a_hook_that_observes_leaves_training_bit_for_bit_the_same(
    tmp_path: Path, hook: type[Hook], harmless: bool
) -> None:
    plain = runs.train(tmp_path / "a", model=DROPOUT)
    watched = runs.train(tmp_path / "b", model=DROPOUT, hooks={"watch": runs.hang("hooks", "watch", hook())})
    assert runs.same(plain.model.state_dict(), watched.model.state_dict()) is harmless
    assert runs.same(plain.optimizer.state_dict(), watched.optimizer.state_dict())


def test_dropout_is_a_function_of_seed_and_iteration(tmp_path: Path) -> None:
    """One sample, seen whole at every iteration: only dropout makes the outputs differ."""
    seen: dict[str, list[bytes]] = {"a": [], "b": [], "c": []}

    class Masks(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.5)
            self.weight = nn.Parameter(torch.zeros(1))
            self.name = name

        def forward(self, images: Tensor) -> Tensor:
            mask = self.drop(torch.ones(64))
            if self.training:
                seen[self.name].append(mask.numpy().tobytes())
            return self.weight * mask[:4].expand(len(images), 4)

    for name, seed, batch_size in (("a", 5, 8), ("b", 5, 4), ("c", 6, 8)):
        data = {**runs.values()["train"], "batch_size": batch_size}
        runs.train(tmp_path / name, seed=seed, train=data, model=runs.hang("models", "masks", Masks(name)))
    assert len(set(seen["a"])) == 6  # each iteration its own
    assert seen["a"] == seen["b"][:6]  # whatever the batch, and whatever validations came between
    assert not set(seen["a"]) & set(seen["c"])


# -- refusals --------------------------------------------------------------------------------------------------------


def test_a_run_folder_in_use_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    runs.train(tmp_path)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(PegboardError, match=r"holds a run already; --resume goes on with it"):
        runs.train(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_a_checkpoint_that_a_kill_left_unlisted_is_no_run_to_lose(tmp_path: Path) -> None:
    """Between the renaming of the first one and its listing."""
    whole = runs.train(tmp_path / "whole")
    runs.train(tmp_path / "killed")
    (tmp_path / "killed" / "checkpoints" / "index.json").unlink()
    again = runs.train(tmp_path / "killed")
    assert runs.records(again.folder) == runs.records(whole.folder)
    assert len(again.checkpoints.index()) == len(list((again.folder / "checkpoints").glob("*.pt")))


def test_a_damaged_list_of_checkpoints_is_no_leave_to_overwrite_them(tmp_path: Path) -> None:
    runs.train(tmp_path)
    (tmp_path / "checkpoints" / "index.json").write_text("[{")
    with pytest.raises(PegboardError, match=r"holds a run already; --resume goes on with it"):
        runs.train(tmp_path)


def test_all_problems_of_a_config_come_before_anything_is_built(tmp_path: Path) -> None:
    bad = runs.values(optimizer={"type": "SDG", "lr": 0.1}, model={"type": "Tinny"})
    with pytest.raises(PegboardError) as raised:
        Runner(Config.from_values(bad), tmp_path / "run").train()
    assert "did you mean 'SGD'" in str(raised.value) and "did you mean 'Tiny'" in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_data_that_gives_no_batch_is_refused(tmp_path: Path) -> None:
    data = {**runs.values()["train"], "batch_size": 100, "drop_last": True}
    with pytest.raises(PegboardError, match="24 samples at batch_size=100"):
        runs.train(tmp_path, train=data)


def test_a_model_without_anything_to_train_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PegboardError, match="no parameter that can be trained"):
        runs.train(tmp_path, model={"type": "torch:Flatten"})
