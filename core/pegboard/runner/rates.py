"""The learning rates that a run would have, without training it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pegboard.runner import prepare
from pegboard.runner.phases import enter

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner


@dataclass(frozen=True)
class Rates:
    """What each parameter group's rate is at each iteration.

    Args:
        groups: the groups' names.
        rates: one list a group, one number an iteration: the rate that its step is taken with.
        epochs: iterations at which an epoch ends.
    """

    groups: list[str]
    rates: list[list[float]]
    epochs: list[int]


def rehearse(run: "Runner") -> Rates:
    """Step the schedules as the loop would. ReduceLROnPlateau never cuts, because there is nothing to measure."""
    prepare.rehearsal(run, fresh=False)  # no weights are fetched for it
    groups = [str(group["name"]) for group in run.optimizer.param_groups]
    rates: list[list[float]] = [[] for _ in groups]
    epochs: list[int] = []
    for number, phase in enumerate(run.phases):
        if number:
            enter(run, number)
        for iteration in range(phase.start, phase.end):
            for history, group in zip(rates, run.optimizer.param_groups, strict=True):
                history.append(float(group["lr"]))
            run.optimizer.step()  # there are no gradients, so nothing moves; schedulers want to see it called
            for schedule in run.schedules:
                schedule.after("iter")
            if (iteration + 1 - phase.start) % run.per_epoch == 0 or iteration + 1 == phase.end:
                epochs.append(iteration + 1)
                for schedule in run.schedules:
                    schedule.after("epoch")
    return Rates(groups, rates, epochs)
