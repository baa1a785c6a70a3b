"""A scheduler with what one of its steps is."""

import logging
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR, ReduceLROnPlateau
from torch.optim.swa_utils import SWALR

from pegboard.errors import PegboardError

logger = logging.getLogger("pegboard")


@dataclass
class Schedule:
    """A ``torch.optim`` scheduler that is stepped once an iteration, once an epoch, or once a validation.

    Parameter groups that a hook added since (``run.optimizer.add_param_group``) are taken in before its next step: the
    rate with which a group joins is the base of its schedule.

    Args:
        unit: what one step is.
        monitor: for ReduceLROnPlateau, the metric of the run that it watches.
    """

    scheduler: LRScheduler | ReduceLROnPlateau
    unit: Literal["epoch", "iter"]
    monitor: str | None = None

    def __post_init__(self) -> None:
        self.groups = len(self.scheduler.optimizer.param_groups)

    def after(self, unit: Literal["epoch", "iter"]) -> None:
        """One iteration, or one epoch, is over."""
        if unit == self.unit and not isinstance(self.scheduler, ReduceLROnPlateau):
            if len(self.scheduler.optimizer.param_groups) != self.groups:
                self.take_in()
            self.scheduler.step()

    def after_metrics(self, metrics: Mapping[str, float], epoch: int) -> None:
        """Some metrics of the run are known anew; ReduceLROnPlateau logs each rate that it cuts.

        Args:
            epoch: the one that goes on, or has just ended.
        """
        if not isinstance(self.scheduler, ReduceLROnPlateau) or self.monitor is None or self.monitor not in metrics:
            return
        groups = self.scheduler.optimizer.param_groups
        if len(groups) != self.groups:
            self.take_in()
        before = [float(group["lr"]) for group in groups]
        self.scheduler.step(metrics[self.monitor])
        for number, (old, group) in enumerate(zip(before, groups, strict=True)):
            if group["lr"] != old:
                name, new, best = group.get("name", "added"), float(group["lr"]), self.scheduler.best
                what = (epoch, number, name, old, new, self.monitor, best)
                logger.info("epoch %d: group %d (%s): lr %g -> %g; %s was best at %g", *what)

    def take_in(self) -> None:
        """Let the scheduler set the rates of the groups that joined since it was built."""
        _take_in(self.scheduler)
        self.groups = len(self.scheduler.optimizer.param_groups)

    def state_dict(self) -> dict[str, Any]:
        return self.scheduler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.groups = 0  # it may have been saved when a group had joined, before the step that takes it in
        self.scheduler.load_state_dict(deepcopy(state))  # torch's keep the lists that they are given, or take keys out


def _take_in(scheduler: Any) -> None:
    """Give a scheduler what it holds for each group, also for those that joined."""
    for part in getattr(scheduler, "_schedulers", ()):  # SequentialLR and ChainedScheduler
        _take_in(part)
    groups = scheduler.optimizer.param_groups
    lambdas = getattr(scheduler, "lr_lambdas", groups)  # LambdaLR and MultiplicativeLR
    base_lrs = getattr(scheduler, "base_lrs", groups)  # all but ReduceLROnPlateau and those around others
    cycles = isinstance(scheduler, OneCycleLR | CyclicLR | SWALR) and len(base_lrs) < len(groups)
    differ = len(lambdas) < len(groups) and any(function is not lambdas[0] for function in lambdas)
    floors = getattr(scheduler, "default_min_lr", 0) is None and len(scheduler.min_lrs) < len(groups)
    if cycles or differ or floors:
        raise PegboardError(
            f"{type(scheduler).__name__} has values of its own for each parameter group and none for the one that a "
            "hook added in mid-run; add it before the run, in optimizer.groups, or choose another scheduler"
        )
    lambdas.extend(lambdas[:1] * (len(groups) - len(lambdas)))
    for group in groups[len(base_lrs) :]:
        base_lrs.append(group.setdefault("initial_lr", group["lr"]))
