"""A scheduler with what one of its steps is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau


@dataclass
class Schedule:
    """A ``torch.optim`` scheduler that is stepped once an iteration, once an epoch, or once a validation.

    Args:
        unit: what one step is.
        monitor: for ReduceLROnPlateau, the metric of the run that it watches.
    """

    scheduler: LRScheduler | ReduceLROnPlateau
    unit: Literal["epoch", "iter"]
    monitor: str | None = None

    def after(self, unit: Literal["epoch", "iter"]) -> None:
        """One iteration, or one epoch, is over."""
        if unit == self.unit and not isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step()

    def after_metrics(self, metrics: Mapping[str, float]) -> None:
        """Some metrics of the run are known anew."""
        if isinstance(self.scheduler, ReduceLROnPlateau) and self.monitor is not None and self.monitor in metrics:
            self.scheduler.step(metrics[self.monitor])

    def state_dict(self) -> dict[str, Any]:
        return self.scheduler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scheduler.load_state_dict(state)
