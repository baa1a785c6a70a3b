"""The base of hooks that look at what the model said of every sample of a pass."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pegboard import PegboardError, PeriodicHook
from pegboard_visual.drawn import now

if TYPE_CHECKING:
    from torch import Tensor

    from pegboard import Batch, Duration, Runner
    from pegboard_visual.outcomes import Outcome, Outcomes

Watched = Literal["val", "train"]


class OutcomeHook(PeriodicHook):
    """Calls ``draw(run, outcome, when)`` at the end of the first pass after each ``every``, and of the run's last one.

    What the model gives in a pass is kept on its way, on the device: nothing is computed twice. Of a run that is
    stopped the last whole pass is drawn.

    Args:
        every: a duration.
        split: ``"val"``, or ``"train"``: the images as augmented in an epoch, each with the weights of its moment.
    """

    ranks = "first"

    def __init__(self, every: "Duration | str", split: Watched) -> None:
        super().__init__(every)
        self.split = split
        self.seen: Outcomes | None = None  # of the pass that goes on; None between two
        self.last: tuple[Outcomes, str] | None = None  # of the last whole pass, and when that was
        self._restored: Mapping[str, Any] | None = None

    def draw(self, run: "Runner", outcome: "Outcome", when: str) -> None:
        """What the subclass does with a whole pass, and with the moment of it, in words."""
        raise NotImplementedError

    def before_train(self, run: "Runner") -> None:
        if self.split == "val" and run.val_loader is None:
            raise PegboardError(f"{type(self).__name__}: the config has no val data to look at; set split='train'")
        if self._restored is not None:  # the run was resumed in the middle of an epoch
            self._begin()
            self.seen.load_state_dict(self._restored, run.device)  # type: ignore[union-attr]
            self._restored = None

    def before_train_epoch(self, run: "Runner") -> None:
        if self.split == "train":
            self._begin()

    def after_train_iter(self, run: "Runner", batch: "Batch", loss: "Tensor", outputs: Any) -> None:
        if self.split == "train" and self.seen is not None:
            self.seen.add(outputs, batch.targets, batch.index)

    def after_train_epoch(self, run: "Runner") -> None:
        if self.split == "train":
            self._end(run)

    def before_val(self, run: "Runner") -> None:
        if self.split == "val":
            self._begin()

    def after_val_iter(self, run: "Runner", batch: "Batch", outputs: Any) -> None:
        if self.split == "val" and self.seen is not None:
            self.seen.add(outputs, batch.targets, batch.index)

    def after_val(self, run: "Runner", metrics: Mapping[str, float]) -> None:
        if self.split == "val":
            self._end(run)

    def _begin(self) -> None:
        from pegboard_visual.outcomes import Outcomes

        self.seen = Outcomes()

    def _end(self, run: "Runner") -> None:
        seen, self.seen = self.seen, None
        if seen is None:
            return
        self.last = seen, now(run)
        if self.is_due(run):
            self.done(run)
            self._draw_last(run)

    def at_end(self, run: "Runner") -> None:
        self._draw_last(run)

    def _draw_last(self, run: "Runner") -> None:
        last, self.last = self.last, None  # a pass is drawn once
        if last is not None:
            seen, when = last
            self.draw(run, seen.read(), when)

    def state_dict(self) -> dict[str, Any]:
        """What a training epoch has shown so far is part of it; a validation is never left half done."""
        half = self.seen.state_dict() if self.split == "train" and self.seen is not None else None
        return {**super().state_dict(), "seen": half}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._restored = state.get("seen")
