"""The confusion matrix of a run while it trains."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pegboard import PegboardError
from pegboard_visual.drawn import Drawn
from pegboard_visual.outcome_hooks import OutcomeHook, Watched

if TYPE_CHECKING:
    from pegboard import Runner
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

    def __init__(self, every: str = "5 epochs", split: Watched = "val", pairs: int = 6) -> None:
        super().__init__(every, split)
        if isinstance(pairs, bool) or not isinstance(pairs, int) or not 0 <= pairs <= 20:
            raise PegboardError(f"ConfusionMatrix: pairs must be an integer from 0 to 20, got {pairs!r}")
        self.pairs = pairs

    def draw(self, run: "Runner", outcome: "Outcome") -> None:
        """Both pictures, and the table."""
        from pegboard_visual.outcomes import class_names

        names = class_names(run, outcome.classes)
        when = f"epoch {run.epoch_in_progress}, iteration {run.iteration}"
        matrix_shown(outcome, names, self.split, when).show(run)
        loader = run.val_loader if self.split == "val" else run.train_loader
        if self.pairs and loader is not None:
            pairs = pairs_shown(outcome, names, self.split, loader.samples, self.pairs, when)
            if pairs is not None:
                pairs.show(run)


def matrix_shown(outcome: "Outcome", names: list[str], split: str, when: str) -> Drawn:
    """The matrix, with its table."""
    from pegboard_visual.confusion_matrix import confusion_csv, confusion_data, draw_confusion, top1
    from pegboard_visual.outcomes import SPLITS

    counts, name = outcome.counts(), f"Confusion_Matrix_{SPLITS[split]}"
    share = top1(counts)
    accuracy = "no samples" if share is None else f"top-1 {100 * share:.2f} %, {counts.sum():,} samples"
    caption = f"{accuracy}, {when}" + (f"; {outcome.left_out:,} of no class left out" if outcome.left_out else "")
    data = confusion_data(counts, names, SPLITS[split])
    return Drawn(name, draw_confusion(counts, names, name, caption), caption, data, confusion_csv(counts, names))


def pairs_shown(
    outcome: "Outcome", names: list[str], split: str, samples: Any, most: int, when: str, examples: int = 6
) -> Drawn | None:
    """The pairs confused most, with those examples of each that the model was surest of; None without any.

    Args:
        samples: ``[i]`` gives (tensor (C, H, W), target).
    """
    from pegboard_visual.confusion_matrix import confused_pairs
    from pegboard_visual.image_grid import GREY, Cell, Strip, as_image, draw_grid
    from pegboard_visual.lettering import printable
    from pegboard_visual.outcomes import SPLITS

    pairs = confused_pairs(outcome.counts(), most)
    if not pairs:
        return None
    short, strips, data = printable(names, 28), [], []
    for pair in pairs:
        of_pair = (outcome.truth == pair.truth) & (outcome.predicted == pair.predicted)
        ranked = of_pair.nonzero()[0]
        chosen = ranked[(-outcome.probability[ranked]).argsort(kind="stable")][:examples]
        cells = [
            Cell(as_image(samples[int(sample)][0]), [(f"{100 * chance:.1f} %", GREY)])
            for sample, chance in zip(outcome.sample[chosen], outcome.probability[chosen], strict=True)
        ]
        which = f"{short[pair.truth]} taken for {short[pair.predicted]}"
        heading = f"{which}: {pair.count}, {100 * pair.share:.1f} % of all {short[pair.truth]}"
        strips.append(Strip(heading, cells))
        data.append({**asdict(pair), "samples": outcome.sample[chosen].tolist()})
    name = f"Confused_Pairs_{SPLITS[split]}"
    caption = f"the pairs confused most, and the examples that the model was surest of, {when}"
    values = {"kind": "confused_pairs", "split": SPLITS[split], "classes": names, "pairs": data}
    return Drawn(name, draw_grid(name, strips, examples), caption, values)
