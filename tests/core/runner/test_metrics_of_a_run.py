"""A metric gives one number; what else it knows, a hook or a command may ask of it after an evaluation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pegboard import Batch, Hook, Kept, PegboardError, Runner, SampleHook
from pegboard.registry import BOARDS, registering
from pegboard.runner.figures import as_number
from pegboard.testing import ContractError
from pegboard.testing.contract import Part, of_part
from pegboard.testing.tiny import on_the_boards
from pegboard.testing.tiny import train as train_tiny
from tests import runs


class Hits:
    """Right answers, and how many of each class."""

    higher_is_better = True

    def __init__(self, num_classes: int) -> None:
        self.of_each = [0] * num_classes

    def reset(self) -> None:
        self.of_each = [0] * len(self.of_each)

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        for target in targets[outputs.argmax(1) == targets].tolist():
            self.of_each[target] += 1

    def compute(self) -> float:
        return float(sum(self.of_each))

    def state_dict(self) -> dict[str, Any]:
        return {"of_each": self.of_each}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.of_each = list(state["of_each"])


class Several(Hits):
    """It gives them all."""

    def compute(self) -> Any:
        return dict(enumerate(self.of_each))


class Asks(Hook):
    """Looks at the metrics where there are any."""

    essential = True

    def __init__(self) -> None:
        self.found: list[tuple[float, int]] = []
        self.while_training: list[Mapping[str, Any]] = []

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        self.while_training.append(run.metrics)

    def after_val(self, run: Runner, metrics: Mapping[str, float]) -> None:
        self.found.append((metrics["val/hits"], sum(run.metrics["hits"].of_each)))


@pytest.fixture
def hits(boards: None) -> None:
    runs.hang_up()
    BOARDS["metrics"].register(Hits, supplied=("num_classes",))
    BOARDS["metrics"].register(Several, supplied=("num_classes",))


def test_a_hook_asks_a_metric_for_more_than_it_logs(tmp_path: Path, hits: None) -> None:
    asks = Asks()
    hook = runs.hang("hooks", "asks", asks)
    run = runs.train(tmp_path, metrics={"hits": {"type": "Hits"}}, hooks={"asks": hook})
    assert len(asks.found) == 2 and all(logged == counted for logged, counted in asks.found)
    assert not any(asks.while_training)  # nothing is held that may be as large as the data
    figures = run.test("val")
    assert sum(run.metrics["hits"].of_each) == figures["val/hits"]


def test_a_metric_that_gives_several_numbers_is_named(tmp_path: Path, hits: None) -> None:
    message = r"metric 'hits', Several, gives a dict; compute\(\) gives one number, .*run.metrics\[NAME\]"
    with pytest.raises(PegboardError, match=message):
        runs.train(tmp_path, metrics={"hits": {"type": "Several"}})


@pytest.mark.parametrize(
    ("value", "given"), [(torch.ones(2), r"a tensor \(2,\)"), ("much", "a str"), (None, "a NoneType")]
)
def test_what_is_not_one_number_is_refused(value: Any, given: str) -> None:
    with pytest.raises(PegboardError, match=f"it gives {given}; "):
        as_number(value, "it")
    assert as_number(torch.ones(1, 1), "it") == as_number(1, "it") == 1.0


def test_the_contract_says_so_before_any_run(boards: None) -> None:
    with registering("specimens"):
        BOARDS["metrics"].register(Several, supplied=("num_classes",))
    part = Part("metrics", BOARDS["metrics"].find("specimens:Several"))
    [case] = [case for case in of_part(part) if case.promise == "resumes"]
    with pytest.raises(ContractError, match="Several gives a dict; compute"):
        case.run()


def test_a_hook_that_draws_samples_is_given_their_masks(tmp_path: Path) -> None:
    seen: list[list[Kept]] = []

    class Keeps(SampleHook):
        def draw(self, run: Runner, kept: list[Kept]) -> None:
            seen.append(kept)

    with on_the_boards(keeps=Keeps(3, "3 epochs")):
        run = train_tiny(tmp_path, masks=True, hooks={"keeps": {"type": "keeps"}, "report": None}, train_for="1 epoch")
    assert run.val_loader is not None
    [kept] = seen
    assert [one.sample for one in kept] == [0, 6, 8] and all(one.truth is None for one in kept)
    [batch] = run.val_loader.batches_with([0, 6, 8])
    assert torch.equal(torch.stack([one.target for one in kept if one.target is not None]), batch.targets)
