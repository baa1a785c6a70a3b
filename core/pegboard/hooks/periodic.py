"""The base of hooks that act every so often."""

from typing import TYPE_CHECKING, ClassVar

from pegboard.config.duration import Duration
from pegboard.errors import PegboardError
from pegboard.hooks.hook import Hook

if TYPE_CHECKING:
    from pegboard.runner import Runner


class PeriodicHook(Hook):
    """Acts once in each ``every``, and at the end of the run, at a point that the subclass chooses.

    There it asks ``self.is_due(run)``, does its work, and says ``self.done(run)``. What is due stays due until then: a
    validation that comes late is not passed over. A subclass with a state of its own adds to this one's:
    ``state = (*PeriodicHook.state, "mine")``.

    Args:
        every: a duration, e.g. ``"5 epochs"`` or ``"200 iters"``.

    Raises:
        PegboardError: ``every`` is no duration.
    """

    state: ClassVar[tuple[str, ...]] = ("periods",)

    def __init__(self, every: str) -> None:
        try:
            self.every = Duration.parse(every)
        except ValueError as error:
            raise PegboardError(f"{type(self).__name__}: every: {error}") from None
        self.periods = 0  # how often ``every`` had passed when the work was last done

    def is_due(self, run: "Runner") -> bool:
        """Has ``every`` passed since the last time, or is the run at its end?"""
        return self._passed(run) > self.periods or run.iteration >= run.total_iterations

    def done(self, run: "Runner") -> None:
        """The work is done until ``every`` passes again."""
        self.periods = self._passed(run)

    def _passed(self, run: "Runner") -> int:
        return (run.epoch if self.every.unit == "epochs" else run.iteration) // self.every.count
