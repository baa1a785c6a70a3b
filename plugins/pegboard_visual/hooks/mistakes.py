"""The mistakes of a run while it trains."""

from typing import TYPE_CHECKING

from pegboard_visual.drawn import now
from pegboard_visual.hooks.checks import check_counts
from pegboard_visual.hooks.outcome_hook import OutcomeHook

if TYPE_CHECKING:
    from pegboard import Runner
    from pegboard_visual.outcomes import Outcome


class Mistakes(OutcomeHook):
    """Draw the worst and the most confident mistakes on the validation images: truth, prediction, probabilities.

    The predictions are those of the validation that runs anyway; the images are shown as the dataset gives them.
    Shown as ``Mistakes_valid``; a CSV table beside it lists every mistake.

    Args:
        images: how many of each, from 1 to 60.
        every: how often.
    """

    def __init__(self, images: int = 12, every: str = "5 epochs") -> None:
        super().__init__(every, "val")
        check_counts(self, most=60, images=images)
        self.images = images

    def draw(self, run: "Runner", outcome: "Outcome") -> None:
        """The picture, and the table."""
        from pegboard_visual.outcomes import class_names
        from pegboard_visual.pictures.mistakes import mistakes_shown

        if run.val_loader is None:
            return
        names = class_names(run, outcome.classes)
        mistakes_shown(outcome, names, self.split, run.val_loader.samples, self.images, now(run)).show(run)
