"""Several losses at once, and a compiled step."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pegboard import Batch, Config, ConfigError
from pegboard.config import check
from pegboard.runner.step import Computed, Step, WeightedLosses, gradients
from tests import runs

TWO = {"ce": {"type": "CrossEntropyLoss"}, "margin": {"type": "MultiMarginLoss", "loss_weight": 0.5}}


def batch(size: int = 7) -> Batch:
    return Batch(torch.rand(size, 3, 8, 8), torch.arange(size) % 4, torch.arange(size))


def test_a_weighted_sum_is_the_sum_and_each_part_is_logged(tmp_path: Path) -> None:
    run = runs.train(tmp_path, loss=TWO, checkpoint={"every": "1 iters", "keep": 9})
    final = run.summary["final"]
    for split in ("train", "val"):
        together = final[f"{split}/loss_ce"] + final[f"{split}/loss_margin"]
        assert final[f"{split}/loss"] == pytest.approx(together, rel=1e-6)
    model, whole = runs.Tiny(4), batch()
    step = Step(model, run.builder.loss(), torch.device("cpu"), "fp32", False)
    loss = step(whole).loss
    outputs = model(whole.inputs)
    by_hand = nn.CrossEntropyLoss()(outputs, whole.targets) + 0.5 * nn.MultiMarginLoss()(outputs, whole.targets)
    assert torch.allclose(loss, by_hand)
    resumed = runs.runner(tmp_path / "b", runs.checkpoint(tmp_path, 2), loss=TWO)
    assert resumed.train()["final"] == final


def test_parts_of_a_sum_can_be_monitored_and_their_mistakes_are_found(tmp_path: Path) -> None:
    plateau = {"type": "ReduceLROnPlateau", "unit": "epoch", "monitor": "val/loss_margin"}
    assert check(Config.from_values(runs.values(loss=TWO, scheduler=plateau))) == []
    wrong = {"ce": {"type": "CrossEntropyLos"}, "mse": {"type": "MSELoss", "los_weight": 1, "loss_weight": "a"}}
    problems = "\n".join(map(str, check(Config.from_values(runs.values(loss=wrong)))))
    assert "loss.ce.type: no 'CrossEntropyLos' in losses; did you mean" in problems
    assert "loss.mse.los_weight: MSELoss takes no" in problems and "loss.mse.loss_weight: must be float" in problems


@pytest.mark.parametrize("pieces", [2, 3, 7, 9])
def test_pieces_give_the_parts_and_gradients_of_the_whole(pieces: int) -> None:
    torch.manual_seed(0)
    model = runs.Tiny(4).double()
    losses = WeightedLosses({"ce": nn.CrossEntropyLoss(), "mm": nn.MultiMarginLoss()}, {"ce": 2.0, "mm": 0.5})
    step = Step(model, losses, torch.device("cpu"), "fp32", False)
    data = batch()._replace(inputs=torch.rand(7, 3, 8, 8, dtype=torch.float64))
    results: list[tuple[Computed, list[Tensor]]] = []
    for count in (1, pieces):
        step.zero_grad()
        results.append((gradients(step, data, count, None), [p.grad.clone() for p in model.parameters()]))
    (one, grads), (other, others) = results
    assert torch.allclose(one.loss, other.loss) and all(map(torch.allclose, grads, others))
    assert all(torch.allclose(one.parts[name], other.parts[name]) for name in ("ce", "mm"))


def test_a_criterion_may_give_a_dict_itself() -> None:
    def criterion(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return {"a": outputs.mean(), "b": outputs.square().mean()}

    computed = Step(runs.Tiny(4), criterion, torch.device("cpu"), "fp32", False)(batch())
    assert torch.allclose(computed.loss, computed.parts["a"] + computed.parts["b"])


def test_a_compiled_run_is_as_good_and_its_checkpoint_has_plain_names(tmp_path: Path) -> None:
    plain = runs.train(tmp_path / "a")
    compiled = runs.train(tmp_path / "b", compile={"backend": "aot_eager"})
    assert compiled.step._compiled_call_impl is not None
    state = runs.newest(tmp_path / "b")["model"]
    assert list(state) == ["fc.weight", "fc.bias"]
    for name, tensor in plain.model.state_dict().items():
        assert torch.allclose(tensor, state[name], atol=1e-5)


def test_a_compile_that_fails_falls_back_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken_backend(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no compiler here")

    torch._dynamo.register_backend(broken_backend, name="broken_for_a_test")
    run = runs.train(tmp_path / "a", compile={"backend": "broken_for_a_test"})
    plain = runs.train(tmp_path / "b")
    warnings = [record.message for record in caplog.records if "cannot be compiled here" in record.message]
    assert len(warnings) == 1 and "no compiler here" in warnings[0]
    assert runs.same(run.model.state_dict(), plain.model.state_dict())


@pytest.mark.parametrize("options", [{"mode": "no-such"}, {"mod": "default"}, {"backend": "no-such"}])
def test_what_compile_does_not_take_is_a_config_error(options: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="compile: torch.compile: .*(no-such|mod)"):
        runs.train(tmp_path / "run", compile=options)
    assert not (tmp_path / "run").exists()


def test_another_error_in_a_compiled_model_is_not_hidden() -> None:
    step = Step(runs.Tiny(4), nn.CrossEntropyLoss(), torch.device("cpu"), "fp32", False)
    step.compile(backend="eager")
    assert not step.stops_compiling(ValueError("mine"))
    assert step._compiled_call_impl is not None


class Talkative(runs.Tiny):
    """A model whose training step has something to say."""

    def training_step(self, batch: Batch, criterion: Any) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        outputs = self(batch.inputs)
        return criterion(outputs, batch.targets), outputs, {"spread": outputs.std()}


@pytest.mark.parametrize("accumulate", [1, 2])
def test_what_a_training_step_logs_is_in_the_records(tmp_path: Path, boards: None, accumulate: int) -> None:
    part = runs.hang("models", "Talkative", Talkative(4))
    runs.train(tmp_path, model=part, accumulate=accumulate)
    spreads = [record["spread"] for record in runs.records(tmp_path) if "spread" in record]
    assert len(spreads) == 6 and all(value > 0 for value in spreads)
