"""The end of a run that no longer gets better."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pegboard import Hook, PegboardError
from pegboard_hooks.improvement import improved, worst

if TYPE_CHECKING:
    from pegboard import Runner


class EarlyStop(Hook):
    """End the run when a validation metric stops improving.

    "Improved" means ``value > best + min_delta`` (``better="higher"``) or ``value < best - min_delta`` (``"lower"``);
    equal is not, and nan never is. ``best`` is the last value that improved, so small steps add up.

    Args:
        metric: key among the run's validation metrics, e.g. ``"val/top1"``. Checked before the first step.
        better: ``"higher"`` or ``"lower"``; never guessed from the name.
        patience: validations in a row without improvement before stopping, at least 1.
        min_delta: by how much a value must be better, in the metric's own unit, at least 0.

    Raises:
        PegboardError: an argument is out of its range.

    Source: Goodfellow, Bengio, Courville, "Deep Learning" (2016), Algorithm 7.1.
    """

    essential = True  # without it the run would go on as if nobody had asked
    state = ("best", "bad_count")

    def __init__(
        self, metric: str, better: Literal["higher", "lower"], patience: int = 10, min_delta: float = 0.0
    ) -> None:
        if patience < 1:
            raise PegboardError(f"EarlyStop: patience must be at least 1, got {patience}")
        if not min_delta >= 0:
            raise PegboardError(f"EarlyStop: min_delta must be at least 0, got {min_delta}")
        self.metric = metric
        self.better = better
        self.patience = patience
        self.min_delta = min_delta
        self.best = worst(better)
        self.bad_count = 0

    def after_val(self, run: "Runner", metrics: Mapping[str, float]) -> None:
        value = metrics[self.metric]
        if improved(value, self.best, self.better, self.min_delta):
            self.best, self.bad_count = value, 0
        else:
            self.bad_count += 1
        if self.bad_count >= self.patience:
            times = "1 validation" if self.bad_count == 1 else f"{self.bad_count} validations"
            run.stop(f"{self.metric} has not improved on {self.best:.4g} for {times}")
