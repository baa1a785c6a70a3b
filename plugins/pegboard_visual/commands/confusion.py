"""``pegboard confusion RUN``."""

import argparse
import sys

from pegboard.console import show_log, table
from pegboard.errors import PegboardError

HELP = "draw which classes are taken for which, with recall and precision of each"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pegboard_visual import evaluated

    evaluated.add_arguments(parser)
    parser.add_argument(
        "--pairs", type=int, default=6, metavar="N", help="show examples of the N pairs confused most; 6 unless given"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the figures of each class, and write both pictures, the table and the numbers."""
    from pegboard_visual.confusion_hook import matrix_shown, pairs_shown
    from pegboard_visual.confusion_matrix import class_figures, top1
    from pegboard_visual.evaluated import evaluate
    from pegboard_visual.outcome_hooks import Watching
    from pegboard_visual.outcomes import class_names

    show_log()
    if not 0 <= arguments.pairs <= 20:
        raise PegboardError(f"--pairs must be from 0 to 20, got {arguments.pairs}")
    watching = Watching()
    found = evaluate(arguments, watching)
    outcome = watching.seen.read()
    names = class_names(found.run, outcome.classes)
    counts = outcome.counts()
    rows = [
        [row.name, str(row.count), str(row.correct), share(row.recall), share(row.precision), share(row.f1)]
        for row in class_figures(counts, names)
    ]
    table(("class", "count", "correct", "recall", "precision", "f1"), rows, file=sys.stdout)
    print(f"top-1 {share(top1(counts))}: {int(counts.trace()):,} of {int(counts.sum()):,} samples")
    if outcome.left_out:
        print(f"{outcome.left_out:,} samples left out, whose target is none of the {outcome.classes} classes")
    found.keep(matrix_shown(outcome, names, found.split, found.when), arguments.out)
    if arguments.pairs:
        pairs = pairs_shown(outcome, names, found.split, found.samples, arguments.pairs, found.when)
        if pairs is not None:
            found.keep(pairs, arguments.out)
    return 0


def share(value: float | None) -> str:
    """Four places; ``n/a`` for what would be divided by zero."""
    return "n/a" if value is None else f"{value:.4f}"
