"""The average is what torch says it is, validations run with it, and training does not notice."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pegboard import Batch, CheckpointError, Config, Hook, PegboardError, Runner, checkpoint
from pegboard.config import check
from pegboard_hooks.ema import EMA
from tests import probes, runs
from tests.plugins.pegboard_hooks.conftest import Call

SGD = {"type": "SGD", "lr": 0.2, "momentum": 0.9}


class Norms(nn.Module):
    """A convolution, batch norm, dropout, and a layer whose bias is the convolution's too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(4, 4)
        self.fc.bias = self.conv.bias

    def forward(self, images: Tensor) -> Tensor:
        features = self.norm(self.conv(images)).relu().mean((2, 3))
        logits: Tensor = self.fc(self.drop(features))
        return logits


@pytest.fixture(autouse=True)
def _norms(boards: None) -> None:
    runs.BOARDS["models"].register(Norms)


def config(hooks: dict[str, Any] | None = None, ema: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Three epochs; ``ema`` changes the hook's arguments."""
    hooks = {"ema": {"type": "EMA", "decay": 0.8, **(ema or {})}, **(hooks or {})}
    return {"train_for": "3 epochs", "optimizer": SGD, "model": {"type": "Norms"}, **changes, "hooks": hooks}


def the_ema(run: Runner) -> EMA:
    hook = run.hooks["ema"]
    assert isinstance(hook, EMA)
    return hook


# -- the average -----------------------------------------------------------------------------------------------------


class Shadow(Hook):
    """What torch.optim.swa_utils makes of the same run."""

    essential = True

    def __init__(self, decay: float) -> None:
        self.decay = decay

    def before_train(self, run: Runner) -> None:
        self.model = AveragedModel(run.model, multi_avg_fn=get_ema_multi_avg_fn(self.decay))

    def after_optimizer_step(self, run: Runner) -> None:
        self.model.update_parameters(run.model)


@pytest.mark.parametrize("decay", [0.999, 0.8, 0.3, 0.0])
def test_without_warmup_it_is_torchs(tmp_path: Path, decay: float) -> None:
    shadow = Shadow(decay)
    hooks = {"shadow": runs.hang("hooks", "shadow", shadow)}
    run = runs.train(tmp_path, **config(hooks, {"decay": decay, "warmup": False}))
    averaged, torchs = the_ema(run).averaged(run.model), shadow.model.module.state_dict()
    assert "norm.running_var" in torchs and "fc.bias" in torchs
    assert runs.same(dict(averaged), dict(torchs))


def test_with_warmup_the_decay_grows(tmp_path: Path) -> None:
    seen: list[Tensor] = []

    class Sees(Hook):
        def after_optimizer_step(self, run: Runner) -> None:
            seen.append(run.model.get_parameter("conv.weight").detach().double().clone())

    run = runs.train(tmp_path, **config({"sees": runs.hang("hooks", "sees", Sees())}))
    expected = seen[0]
    decays = [2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15, 7 / 16, 8 / 17, 9 / 18]
    for weights, decay in zip(seen[1:], decays, strict=True):
        expected = decay * expected + (1 - decay) * weights
    torch.testing.assert_close(the_ema(run).averages["conv.weight"].double(), expected, rtol=1e-5, atol=1e-7)
    assert the_ema(run).steps == 9
    assert the_ema(run).decay_after(30) == 31 / 40
    assert the_ema(run).decay_after(40) == 0.8


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_out_of_range(decay: float) -> None:
    with pytest.raises(PegboardError, match="decay must be from 0 to less than 1"):
        EMA(decay)


def test_a_second_ema_is_found_before_the_run() -> None:
    (problem,) = check(Config.from_values(runs.values(**config({"other": {"type": "EMA"}}))))
    assert (problem.path, problem.message) == ("hooks.other", "is a second EMA beside hooks.ema; a run has one")


# -- validating with it ----------------------------------------------------------------------------------------------


class Looks(Hook):
    """Keeps the weights that each validation or test ran with, and those that each epoch began with."""

    def __init__(self) -> None:
        self.evaluated: list[dict[str, Tensor]] = []
        self.trained: list[dict[str, Tensor]] = []

    def after_val_iter(self, run: Runner, batch: Batch, outputs: Any) -> None:
        with torch.inference_mode(False):
            self.evaluated.append({name: value.clone() for name, value in run.model.state_dict().items()})

    def after_test_iter(self, run: Runner, batch: Batch, outputs: Any) -> None:
        self.after_val_iter(run, batch, outputs)

    def before_train_iter(self, run: Runner, batch: Batch) -> None:
        self.trained.append({name: value.clone() for name, value in run.model.state_dict().items()})


def looking(folder: Path, **changes: Any) -> tuple[Runner, Looks]:
    looks = Looks()
    changes["hooks"] = {**changes["hooks"], "looks": runs.hang("hooks", "looks", looks)}
    return runs.train(folder, **changes), looks


@pytest.mark.parametrize("evaluate", [True, False])
def test_it_validates_with_the_averages_and_trains_with_the_weights(tmp_path: Path, evaluate: bool) -> None:
    plain, plainly = looking(tmp_path / "a", **config({"ema": None}))
    run, looks = looking(tmp_path / "b", **config(ema={"evaluate": evaluate}))
    assert runs.same(looks.trained, plainly.trained)
    assert runs.same(run.model.state_dict(), plain.model.state_dict())
    assert runs.same(run.optimizer.state_dict(), plain.optimizer.state_dict())
    assert (run.final["val/loss"] == plain.final["val/loss"]) is not evaluate
    assert runs.same(looks.evaluated, plainly.evaluated) is not evaluate
    if evaluate:
        assert runs.same(looks.evaluated[-1], dict(the_ema(run).averaged(run.model)))
        assert runs.same(looks.evaluated[-1]["norm.running_mean"], run.model.get_buffer("norm.running_mean"))


def test_a_run_that_was_trained_here_is_tested_with_the_averages(tmp_path: Path) -> None:
    run, looks = looking(tmp_path, **config(test=runs.values()["val"]))
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    looks.evaluated.clear()
    metrics = run.test()
    assert metrics["test/loss"] == run.final["val/loss"]  # it is the same data
    assert runs.same(looks.evaluated[-1], dict(the_ema(run).averaged(run.model)))
    assert runs.same(dict(run.model.state_dict()), before)


def test_what_it_leaves_is_tested_by_pegboard_test(tmp_path: Path, command: Call) -> None:
    run = runs.train(tmp_path, **config(test=runs.values()["val"]))
    file = checkpoint.load(tmp_path / "checkpoints" / "ema.pt")
    assert runs.same(dict(file["model"]), dict(the_ema(run).averaged(run.model)))
    assert (file["decay"], file["steps"], file["epoch"], file["iteration"]) == (0.8, 9, 3, 9)
    status, out, err = command("test", tmp_path, "--checkpoint", "ema")
    assert status == 0, err
    assert f"test/loss  {run.final['val/loss']:.4f}\n" in out
    status, out, err = command("test", tmp_path)
    assert status == 0, err
    assert f"test/loss  {run.final['val/loss']:.4f}\n" not in out


# -- interrupted -----------------------------------------------------------------------------------------------------


class Careless(EMA):
    """The specimen: it leaves the averages in the model where a validation has no end."""

    def before_checkpoint(self, run: Runner, state: dict[str, Any]) -> None: ...

    def after_train(self, run: Runner) -> None: ...

    def on_exception(self, run: Runner, error: BaseException) -> None: ...


def interrupted(folder: Path, nth: int, **changes: Any) -> Runner:
    return runs.train(folder, **config(probes.stopped(probes.InterruptsValidation(nth)), **changes))


def result(run: Runner) -> dict[str, Any]:
    """All that a resumed run must share with the uninterrupted one."""
    saved = runs.newest(run.folder)
    hook = saved.pop("hooks")["ema"]
    saved.pop("config")  # names the hook that stopped it
    return {
        **saved,
        "ema": hook,
        "weights": dict(run.model.state_dict()),
        "lines": (run.folder / "metrics.jsonl").read_bytes(),
        "ema.pt": {**checkpoint.load(run.folder / "checkpoints" / "ema.pt"), "config": None},
    }


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return [name for name in one.keys() | other.keys() if not runs.same(one.get(name), other.get(name))]


@pytest.mark.parametrize("val_every", ["1 epoch", "2 iters"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_interrupted_in_a_validation_the_weights_are_saved_and_the_run_resumes(
    tmp_path: Path, val_every: str, nth: int
) -> None:
    whole = runs.train(tmp_path / "whole", **config(val_every=val_every, checkpoint={"every": "1 iters", "keep": 100}))
    first = interrupted(tmp_path / "part", nth, val_every=val_every)
    assert first.summary["exit"] == "interrupted"
    state = runs.newest(tmp_path / "part")
    assert state["validation_due"]
    raw = runs.checkpoint(tmp_path / "whole", state["iteration"])["model"]
    assert runs.same(state["model"], raw)
    assert runs.same(dict(first.model.state_dict()), dict(raw))
    again = runs.runner(tmp_path / "part", state, **config(val_every=val_every))
    again.train()
    assert differences(result(again), result(whole)) == []


def test_the_specimen_saves_the_averages_as_weights(tmp_path: Path) -> None:
    whole = runs.train(tmp_path / "whole", **config(checkpoint={"keep": 100}))
    runs.BOARDS["hooks"].register(Careless)
    interrupted(tmp_path / "part", 2, ema={"type": "Careless"})
    saved = runs.newest(tmp_path / "part")["model"]
    assert not runs.same(saved, runs.checkpoint(whole.folder, 6)["model"])
    assert runs.same(saved["norm.running_mean"], runs.checkpoint(whole.folder, 6)["model"]["norm.running_mean"])


@pytest.mark.parametrize("kind", [EMA, Careless])
def test_an_exception_in_a_validation_leaves_the_weights(tmp_path: Path, kind: type[EMA]) -> None:
    class Fails(Hook):
        essential = True

        def after_val_iter(self, run: Runner, batch: Batch, outputs: Any) -> None:
            if run.epoch == 2:
                raise RuntimeError("enough")

    runs.BOARDS["hooks"].entries.pop("Careless", None)
    runs.BOARDS["hooks"].register(Careless)
    whole = runs.train(tmp_path / "whole", **config(checkpoint={"keep": 100}))
    hooks = {"fails": runs.hang("hooks", "fails", Fails())}
    run = runs.runner(tmp_path / "part", **config(hooks, {"type": kind.__name__}))
    with pytest.raises(RuntimeError, match="enough"):
        run.train()
    raw = runs.checkpoint(whole.folder, 6)["model"]
    assert runs.same(dict(run.model.state_dict()), dict(raw)) is (kind is EMA)


# -- resumed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("iteration", [1, 3, 4, 8])
@pytest.mark.parametrize("warmup", [True, False])
def test_resumed_equals_uninterrupted(tmp_path: Path, iteration: int, warmup: bool) -> None:
    whole = runs.train(tmp_path / "whole", **config(ema={"warmup": warmup}))
    stops = probes.stopped(probes.StopsAt(iteration))
    assert runs.train(tmp_path / "part", **config(stops, {"warmup": warmup})).iteration == iteration
    again = runs.runner(tmp_path / "part", runs.newest(tmp_path / "part"), **config(ema={"warmup": warmup}))
    again.train()
    assert differences(result(again), result(whole)) == []


def test_a_resumed_run_may_begin_to_average(tmp_path: Path) -> None:
    runs.train(tmp_path, **config({"ema": None, **probes.stopped(probes.StopsAt(4))}))
    run = runs.runner(tmp_path, runs.newest(tmp_path), **config())
    run.train()
    assert the_ema(run).steps == 5


@pytest.mark.parametrize("name", ["conv.weight", "conv.weird"])
def test_averages_of_another_model_are_refused(tmp_path: Path, name: str) -> None:
    runs.train(tmp_path, **config(probes.stopped(probes.StopsAt(4))))
    state = runs.newest(tmp_path)
    state["hooks"]["ema"]["averages"][name] = torch.zeros(7)
    message = "of another shape" if name == "conv.weight" else "conv.weird"
    with pytest.raises(CheckpointError, match=f"averages of EMA do not fit the model: {message}"):
        runs.runner(tmp_path, state, **config()).train()
