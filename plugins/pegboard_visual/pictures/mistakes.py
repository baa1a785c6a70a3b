"""The mistakes that say most of a classifier.

"Worst" are those where the model gave the true class the least probability: they cost most under cross-entropy, and are
often wrong labels. "Most confident" are those where it gave the wrong class the most.
"""

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pegboard_visual.drawing.image_grid import Cell, Strip, draw_grid
from pegboard_visual.drawing.lettering import UNSHOWN, printable, unshown
from pegboard_visual.drawing.picture import GREY, INK, RED, Picture, as_picture
from pegboard_visual.drawn import Drawn
from pegboard_visual.outcomes import SPLITS

if TYPE_CHECKING:
    from pegboard_visual.outcomes import Numbers, Outcome

COLUMNS = 6
FIELDS = ("sample", "truth", "predicted", "probability", "truth_probability")


def worst(outcome: "Outcome", most: int) -> "Numbers":
    """Places in the outcome of the mistakes whose true class got the least probability, the least first."""
    wrong = (outcome.truth != outcome.predicted).nonzero()[0]
    order: Numbers = wrong[outcome.truth_probability[wrong].argsort(kind="stable")]
    return order[:most]


def most_confident(outcome: "Outcome", most: int) -> "Numbers":
    """Places of the mistakes whose predicted class got the most probability, the most first."""
    wrong = (outcome.truth != outcome.predicted).nonzero()[0]
    order: Numbers = wrong[(-outcome.probability[wrong]).argsort(kind="stable")]
    return order[:most]


def listed(outcome: "Outcome", places: "Numbers", classes: Sequence[str]) -> list[dict[str, Any]]:
    """Each with its place in the dataset, the names of the true and the predicted class, and their probabilities."""
    return [
        {
            "sample": int(outcome.sample[place]),
            "truth": classes[outcome.truth[place]],
            "predicted": classes[outcome.predicted[place]],
            "probability": round(float(outcome.probability[place]), 6),
            "truth_probability": float(f"{outcome.truth_probability[place]:.6g}"),
        }
        for place in places
    ]


def mistakes_csv(outcome: "Outcome", classes: Sequence[str], files: Sequence[str] | None) -> str:
    """Every mistake, the worst first: a row each, with its file where the dataset names them.

    Args:
        files: of each mistake, in that order.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*FIELDS, *([] if files is None else ["file"])])
    for number, row in enumerate(listed(outcome, worst(outcome, len(outcome.sample)), classes)):
        writer.writerow([*(row[name] for name in FIELDS), *([] if files is None else [files[number]])])
    return text.getvalue()


def mistakes_shown(outcome: "Outcome", names: list[str], split: str, samples: Any, most: int, when: str) -> Drawn:
    """The mistakes, with the table of all.

    Args:
        samples: ``pegboard.data.samples.Samples``.
    """
    from pegboard.runner.predictions import paths_of

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


def draw_mistakes(outcome: "Outcome", classes: Sequence[str], samples: Any, most: int, title: str) -> Picture:
    """The worst mistakes, and those of the most confident ones that are not among them.

    Args:
        samples: ``[i]`` gives (tensor (C, H, W), target).
        most: images of each.

    Returns:
        pixels, (H, W, 3) uint8.
    """
    first = worst(outcome, most)
    second = most_confident(outcome, 2 * most)
    others = second[[place not in first for place in second]][:most]
    count = int((outcome.truth != outcome.predicted).sum())
    short = printable(classes, 13)  # so that it stays under its image

    def cell(place: int) -> Cell:
        share, of_truth = 100 * outcome.probability[place], 100 * outcome.truth_probability[place]
        lines = [
            (f"{short[outcome.predicted[place]]} {share:.1f} %", RED),
            (f"true: {short[outcome.truth[place]]}", INK),
            (f"{_percent(of_truth)}, sample {outcome.sample[place]}", GREY),
        ]
        return Cell(as_picture(samples[int(outcome.sample[place])][0]), lines)

    strips = []
    if not count:
        strips = [Strip(f"no mistakes among {len(outcome.sample):,} samples", [])]
    if len(first):
        heading = "worst: the true class got the least probability, in grey"
        strips.append(Strip(heading, [cell(place) for place in first]))
    if len(others):
        heading = "most confident beside these: the predicted class got the most probability, in red"
        strips.append(Strip(heading, [cell(place) for place in others]))
    notes = [UNSHOWN] if unshown(classes) else []
    return draw_grid(f"{title}: {count:,} of {len(outcome.sample):,} samples", strips, COLUMNS, notes)


def _percent(share: float) -> str:
    """A share of a hundred; small ones to one digit that counts, such as ``0.003 %``."""
    if share >= 0.05 or not share:
        return f"{share:.1f} %"
    return f"{share:.3f} %" if share >= 0.0005 else "< 0.001 %"
