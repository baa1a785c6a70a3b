"""The mistakes of a run while it trains."""

from typing import TYPE_CHECKING

from pegboard_visual.hooks.arguments import check_arguments
from pegboard_visual.hooks.outcome_hook import OutcomeHook

if TYPE_CHECKING:
    from pegboard import Duration, Runner
    from pegboard_visual.outcomes import Outcome


class Mistakes(OutcomeHook):
    """Draw the worst and the most confident mistakes on the validation images: truth, prediction, probabilities.

    The predictions are those of the validation that runs anyway; the images are shown as the dataset gives them.
    Shown as ``Mistakes_valid``; a CSV table beside it lists every mistake.

    Args:
        images: how many of each, from 1 to 60.
        every: how often.
    """

    def __init__(self, images: int = 12, every: "Duration | str" = "5 epochs") -> None:
        super().__init__(every, "val")
        check_arguments(self, "Mistakes", images=images)
        self.images = images

    def draw(self, run: "Runner", outcome: "Outcome", when: str) -> None:
        """The picture, and the table."""
        from pegboard_visual.outcomes import class_names
        from pegboard_visual.pictures.mistakes import mistakes_shown

        if run.val_loader is None:
            return
        names = class_names(run, outcome.classes)
        mistakes_shown(outcome, names, self.split, run.val_loader.samples, self.images, when).show(run)
