"""Hooks and a metric with which tests steer a run from inside."""

import itertools
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from torch import Tensor

from pegboard import Batch, Hook, Runner
from pegboard.registry import BOARDS
from tests import runs


class StopsAt(Hook):
    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        if run.iteration == self.iteration:
            run.stop("for the test")


class InterruptsValidation(Hook):
    """As Ctrl-C would, before the second batch of the ``nth`` validation."""

    def __init__(self, nth: int) -> None:
        self.nth = nth
        self.validations = self.batches = 0

    def before_val(self, run: Runner) -> None:
        self.validations, self.batches = self.validations + 1, 0

    def before_val_iter(self, run: Runner, batch: Batch) -> None:
        self.batches += 1
        if self.validations == self.nth and self.batches == 1:
            run.interrupt()


class Fixed:
    """A metric that says what it was told to."""

    higher_is_better = True

    def __init__(self, value: float) -> None:
        self.value = value

    def reset(self) -> None: ...

    def update(self, outputs: Tensor, targets: Tensor) -> None: ...

    def compute(self) -> float:
        return self.value

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


def scripted(*values: float) -> dict[str, str]:
    """A metric that gives these values in one validation after the other, and the last one ever after.

    A run builds a metric once for training, and once for each validation.
    """
    script = itertools.chain([0.0], values, itertools.repeat(values[-1]))

    def give() -> Fixed:
        return Fixed(next(script))

    BOARDS["metrics"].entries.pop("scripted", None)
    BOARDS["metrics"].register(give, name="scripted")
    return {"type": "scripted"}


def stopped(hook: Hook) -> dict[str, Any]:
    """What to add to a config's hooks, so that this one ends the run."""
    return {"stops": runs.hang("hooks", "stops", hook)}


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings and errors that were logged; a run logs more."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
