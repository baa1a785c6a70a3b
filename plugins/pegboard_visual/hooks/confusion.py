"""The confusion matrix of a run while it trains."""

from typing import TYPE_CHECKING

from pegboard_visual.hooks.arguments import check_arguments
from pegboard_visual.hooks.outcome_hook import OutcomeHook, Watched

if TYPE_CHECKING:
    from pegboard import Duration, Runner
    from pegboard_visual.outcomes import Outcome


class ConfusionMatrix(OutcomeHook):
    """Draw which classes are taken for which, and examples of the pairs that are confused most.

    The predictions are those of the validation that runs anyway. With ``split="train"`` they are those of the training
    epoch: augmented images, each with the weights of its moment, so they are no evaluation of the final weights;
    `pegboard confusion RUN --split train` is. Shown as ``Confusion_Matrix_valid`` (or ``_train``), with a CSV table
    beside it, and ``Confused_Pairs_valid``.

    Args:
        every: how often.
        split: ``"val"`` or ``"train"``.
        pairs: of confused classes, of which examples are shown; 0 for none.
    """

    def __init__(self, every: "Duration | str" = "5 epochs", split: Watched = "val", pairs: int = 6) -> None:
        super().__init__(every, split)
        check_arguments(self, "ConfusionMatrix", split=split, pairs=pairs)
        self.pairs = pairs

    def draw(self, run: "Runner", outcome: "Outcome", when: str) -> None:
        """Both pictures, and the table."""
        from pegboard_visual.outcomes import class_names
        from pegboard_visual.pictures.confusion import matrix_shown, pairs_shown

        names = class_names(run, outcome.classes)
        matrix_shown(outcome, names, self.split, when).show(run)
        loader = run.val_loader if self.split == "val" else run.train_loader
        if self.pairs and loader is not None:
            pairs = pairs_shown(outcome, names, self.split, loader.samples, self.pairs, when)
            if pairs is not None:
                pairs.show(run)
