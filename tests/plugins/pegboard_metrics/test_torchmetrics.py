"""Torchmetrics' classes by their names on a run: several at once, their number of classes and task from the data."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pegboard import Config, PegboardError
from pegboard.config import check
from pegboard.registry import BOARDS, METRICS
from tests import runs

CONFIDENCE = (0.9, 0.9, 0.6, 0.6)  # of each sample's guess, which is right for the first three


class Four:
    """Four samples of class 0, whose logits are the samples themselves."""

    classes = ("a", "b", "c")

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        sure = CONFIDENCE[index]
        rest = (1 - sure) / 2
        shares = [rest, sure, rest] if index == 3 else [sure, rest, rest]
        return torch.tensor(shares).log(), 0


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, logits: Tensor) -> Tensor:
        return logits * self.scale


SEVERAL: dict[str, dict[str, Any]] = {
    "calibration": {"type": "CalibrationError", "n_bins": 10},
    "by_its_task": {"type": "MulticlassCalibrationError", "n_bins": 10},
    "worst": {"type": "CalibrationError", "n_bins": 10, "norm": "max"},
    "theirs": {"type": "torchmetrics:Accuracy", "average": "micro"},
    "top3": {"type": "MulticlassAccuracy", "top_k": 3, "average": "micro"},
    "recall": {"type": "MulticlassRecall", "average": "micro"},
    "ours": {"type": "Accuracy"},
}
# By hand: two bins are used; one is right always at 0.9, the other half the time at 0.6: each is off by 0.1.
EXPECTED = {
    "calibration": 0.1, "by_its_task": 0.1, "worst": 0.1, "theirs": 0.75, "top3": 1.0, "recall": 0.75, "ours": 0.75,
}  # fmt: skip


def changes(**more: Any) -> dict[str, Any]:
    BOARDS["datasets"].register(Four)
    loader = {"dataset": {"type": "Four"}, "batch_size": 2}
    model = runs.hang("models", "Scaled", Scaled())
    still = {"type": "SGD", "lr": 0.0}
    return {"train": loader, "val": loader, "model": model, "optimizer": still, "metrics": SEVERAL, **more}


def test_several_on_one_evaluation_have_their_stated_values(tmp_path: Path, boards: None) -> None:
    assert check(Config.from_values(runs.values(**changes()))) == []
    run = runs.train(tmp_path, **changes())
    for split in ("train", "val"):
        assert {name: run.final[f"{split}/{name}"] for name in SEVERAL} == pytest.approx(EXPECTED)


def test_a_task_of_its_own_wins_and_where_the_data_tells_none_it_is_asked_for() -> None:
    known = {"num_classes": 3, "task": "multiclass"}
    assert type(METRICS.build({"type": "CalibrationError"}, "m", known)).__name__ == "MulticlassCalibrationError"
    binary = METRICS.build({"type": "CalibrationError", "task": "binary"}, "m", known)
    assert type(binary).__name__ == "BinaryCalibrationError"
    with pytest.raises(PegboardError, match="needs 'task', which the data does not tell"):
        METRICS.build({"type": "CalibrationError"}, "m", {})


def test_a_metric_that_cannot_take_what_it_gets_is_named(tmp_path: Path, boards: None) -> None:
    wrong = {"odd": {"type": "MulticlassAccuracy", "num_classes": 5}}
    with pytest.raises(PegboardError, match=r"metric 'odd', MulticlassAccuracy, cannot take .* \(2, 3\) and \(2,\)"):
        runs.train(tmp_path, **changes(metrics=wrong))
