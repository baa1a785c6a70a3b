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
    validation that comes late is not passed over. A run that was stopped before its full length passes no point at
    which it is known to end: define ``at_end(run)`` to do the work once more, of its last state. A subclass with a
    state of its own adds to this one's: ``state = (*PeriodicHook.state, "mine")``.

    Args:
        every: a duration, e.g. ``"5 epochs"`` or ``"200 iters"``.

    Raises:
        PegboardError: ``every`` is no duration.
    """

    state: ClassVar[tuple[str, ...]] = ("periods",)

    def __init__(self, every: "Duration | str") -> None:
        try:
            self.every = Duration.parse(every)
        except ValueError as error:
            raise PegboardError(f"{type(self).__name__}: every: {error}") from None
        self.periods = 0  # how often ``every`` had passed when the work was last done
        self.done_at = 0  # the iteration of that

    def is_due(self, run: "Runner") -> bool:
        """Has ``every`` passed since the last time, or is the run at its end?"""
        return self._passed(run) > self.periods or run.iteration >= run.total_iterations

    def done(self, run: "Runner") -> None:
        """The work is done until ``every`` passes again."""
        self.periods = self._passed(run)
        self.done_at = run.iteration

    def at_end(self, run: "Runner") -> None:
        """Called where the run ends later than the work was last done; does nothing unless a subclass defines it."""

    def after_train(self, run: "Runner") -> None:
        """One that was interrupted may go on, as if nothing had been."""
        if not run.interrupted and run.iteration != self.done_at:
            self.at_end(run)

    def _passed(self, run: "Runner") -> int:
        return (run.epoch if self.every.unit == "epochs" else run.iteration) // self.every.count
