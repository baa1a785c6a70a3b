"""Class weights from a config: lists, and those that are computed from the training labels."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pegboard import ConfigError
from pegboard.registry import LOSSES
from tests import runs
from tests.plugins.pegboard_optim import points


def linear(outputs: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(8, outputs)


def uneven(folder: Path, resume: "dict[str, Any] | None" = None, **changes: Any) -> Any:
    loader = {"dataset": {"type": "Uneven"}, "batch_size": 12, **changes.pop("loader", {})}
    return points.runner(folder, linear(3), resume, train=loader, test=loader, train_for="2 epochs", **changes)


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "NLLLoss", "MultiMarginLoss"])
def test_a_list_becomes_a_tensor_of_the_loss(name: str) -> None:
    loss = LOSSES.build({"type": name, "weight": [1, 2.5, 0.5]}, "loss")
    assert loss.weight.tolist() == [1.0, 2.5, 0.5] and loss.weight.dtype == torch.float32
    assert loss.to("meta").weight.device.type == "meta"  # it goes where the loss goes


def test_pos_weight_is_a_tensor_too() -> None:
    assert LOSSES.build({"type": "BCEWithLogitsLoss", "pos_weight": [3.0]}, "loss").pos_weight.tolist() == [3.0]


def test_balanced_weights_are_n_over_k_times_count(tmp_path: Path) -> None:
    run = uneven(tmp_path, loss={"type": "CrossEntropyLoss", "weight": "balanced"})
    run.train()
    assert run.step.criterion.weight.tolist() == pytest.approx([24 / (3 * 12), 24 / (3 * 8), 24 / (3 * 4)])


def test_they_count_the_labels_after_the_target_transform(tmp_path: Path) -> None:
    run = uneven(
        tmp_path, loader={"target_transform": [2, 1, 0]}, loss={"type": "CrossEntropyLoss", "weight": "balanced"}
    )
    run.train()
    assert run.step.criterion.weight.tolist() == pytest.approx([2.0, 1.0, 2 / 3])


def test_they_are_of_the_training_data_also_where_only_a_test_is_run(tmp_path: Path) -> None:
    loss = {"type": "CrossEntropyLoss", "weight": "balanced"}
    trained = uneven(tmp_path / "a", loss=loss)
    trained.train()
    tested = uneven(tmp_path / "b", loss=loss)
    tested.test("test", runs.newest(tmp_path / "a"))
    assert tested.step.criterion.weight.tolist() == trained.step.criterion.weight.tolist()
    with pytest.raises(ConfigError, match="loss: CrossEntropyLoss: weight='balanced' counts the labels of the train"):
        uneven(tmp_path / "c", loss=loss).test("test")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": {"dataset": {"type": "Dots"}}, "model": {"type": "Tiny"}}, "has no attribute `targets`"),
        ({"loader": {"target_transform": [0, 2, 2]}}, "cannot weigh class 1: no training sample is of it"),
        ({"loss": {"type": "CrossEntropyLoss", "weight": [1.0, 2.0]}}, "weight has 2 numbers, but the .* 3 classes"),
    ],
)
def test_weights_that_cannot_be_had_are_a_config_error(changes: Any, message: str, tmp_path: Path) -> None:
    loss = {"type": "CrossEntropyLoss", "weight": "balanced"}
    with pytest.raises(ConfigError, match=f"loss: CrossEntropyLoss: .*{message}"):
        if "train" in changes:
            runs.train(tmp_path, loss=loss)
        else:
            uneven(tmp_path, **{"loss": loss, **changes}).train()


MEANS: list[Any] = [
    {"type": "CrossEntropyLoss", "weight": [0.1, 1.0, 5.0]},
    {"type": "CrossEntropyLoss", "ignore_index": 1},
    {"type": "CrossEntropyLoss", "weight": [0.1, 1.0, 5.0], "ignore_index": 2, "label_smoothing": 0.2},
    {"type": "NLLLoss", "weight": [0.1, 1.0, 5.0]},
    {
        "a": {"type": "CrossEntropyLoss", "weight": [0.1, 1.0, 5.0], "loss_weight": 0.5},
        "b": {"type": "MultiMarginLoss", "weight": [3.0, 1.0, 2.0]},
    },
]


@pytest.mark.parametrize("pieces", [2, 5])
@pytest.mark.parametrize("loss", MEANS)
def test_pieces_of_a_batch_are_weighted_as_the_whole_is(loss: Any, pieces: int, tmp_path: Path) -> None:
    model = nn.Sequential(linear(3), *([nn.LogSoftmax(1)] if loss.get("type") == "NLLLoss" else []))
    ends = []
    for count in (1, pieces):
        run = points.runner(
            tmp_path / str(count), model, loss=loss, accumulate=count, train_for="3 epochs",
            train={"dataset": {"type": "Uneven"}, "batch_size": 9, "shuffle": True},
        )  # fmt: skip
        run.train()
        ends.append((torch.cat([p.detach().flatten() for p in run.model.parameters()]), run.final["train/loss"]))
    assert torch.allclose(ends[0][0], ends[1][0], atol=1e-6) and ends[0][1] == pytest.approx(ends[1][1], rel=1e-5)
