"""How many training samples each class has, as far as a dataset tells."""

from typing import Any

import numpy as np
import pytest
import torch

from pegboard import Config
from pegboard.runner.build import Builder
from tests import runs


class Labelled:
    def __init__(self, targets: Any) -> None:
        self.targets = targets

    def __len__(self) -> int:
        return 5


def counts(targets: Any, relabelled: Any = None) -> Any:
    builder = Builder(Config.from_values(runs.values()))
    builder.known["num_classes"] = 3
    return builder.class_counts(Labelled(targets), relabelled)


@pytest.mark.parametrize("form", [list, tuple, np.array, torch.tensor])
def test_labels_of_any_form_are_counted(form: Any) -> None:
    assert counts(form([2, 0, 2, 2, 1])) == [1, 1, 3]


def test_new_labels_count_where_there_are_some() -> None:
    assert counts([2, 0, 2, 2, 1], [1, 1, 0]) == [3, 2, 0]
    assert counts([2, 0, 2, 2, 1], lambda old: np.int64(0)) == [5, 0, 0]
    assert counts([2, 0, 2, 2, 1], lambda old: float(old)) is None


@pytest.mark.parametrize(
    "targets",
    [
        (),
        [0, 1],
        [0.5, 1.0, 2.0, 0.0, 1.0],
        [[0], [1, 2], [1], [2], [0]],
        [[0, 1]] * 5,
        ["a"] * 5,
        [None] * 5,
        [0, 1, 2, 3, 1],
        [0, -1, 2, 1, 1],
    ],
)
def test_what_are_no_class_numbers_is_not_counted(targets: Any) -> None:
    assert counts(targets) is None
