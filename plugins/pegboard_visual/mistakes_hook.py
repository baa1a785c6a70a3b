"""The mistakes of a run while it trains."""

from typing import TYPE_CHECKING, Any

from pegboard import PegboardError
from pegboard_visual.drawn import Drawn
from pegboard_visual.outcome_hooks import OutcomeHook

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
        if isinstance(images, bool) or not isinstance(images, int) or not 1 <= images <= 60:
            raise PegboardError(f"Mistakes: images must be an integer from 1 to 60, got {images!r}")
        self.images = images

    def draw(self, run: "Runner", outcome: "Outcome") -> None:
        """The picture, and the table."""
        from pegboard_visual.outcomes import class_names

        if run.val_loader is None:
            return
        names = class_names(run, outcome.classes)
        when = f"epoch {run.epoch_in_progress}, iteration {run.iteration}"
        mistakes_shown(outcome, names, self.split, run.val_loader.samples, self.images, when).show(run)


def mistakes_shown(outcome: "Outcome", names: list[str], split: str, samples: Any, most: int, when: str) -> Drawn:
    """The mistakes, with the table of all.

    Args:
        samples: ``pegboard.data.samples.Samples``.
    """
    from pegboard.runner.predictions import paths_of
    from pegboard_visual.mistakes import draw_mistakes, listed, mistakes_csv, most_confident, worst
    from pegboard_visual.outcomes import SPLITS

    name = f"Mistakes_{SPLITS[split]}"
    wrong = int((outcome.truth != outcome.predicted).sum())
    caption = f"{wrong:,} mistakes among {len(outcome.sample):,} samples, {when}"
    data = {
        "kind": "mistakes",
        "split": SPLITS[split],
        "classes": names,
        "mistakes": wrong,
        "worst": listed(outcome, worst(outcome, most), names),
        "confident": listed(outcome, most_confident(outcome, most), names),
    }
    paths = paths_of(samples.dataset)
    order = outcome.sample[worst(outcome, wrong)]
    files = None if paths is None else [str(paths[sample]) for sample in order]
    picture = draw_mistakes(outcome, names, samples, most, f"{name}, {when}")
    return Drawn(name, picture, caption, data, mistakes_csv(outcome, names, files))
