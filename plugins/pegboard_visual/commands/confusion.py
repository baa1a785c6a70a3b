"""``pegboard confusion RUN``."""

import argparse
import sys

from pegboard.console import say, show_log, table
from pegboard_visual.commands.arguments import whole
from pegboard_visual.commands.evaluated import add_arguments as add_evaluated

HELP = "draw which classes are taken for which, with recall and precision of each"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_evaluated(parser)
    parser.add_argument(
        "--pairs",
        type=whole(0, 20),
        default=6,
        metavar="N",
        help="show examples of the N pairs confused most; 6 unless given",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the figures of each class, and write both pictures, the table and the numbers."""
    from pegboard_visual.commands.evaluated import outcome_of
    from pegboard_visual.pictures.confusion import class_figures, matrix_shown, pairs_shown, top1

    show_log()
    found, outcome = outcome_of(arguments)
    names, counts = found.names(outcome.classes), outcome.counts()
    rows = [
        [row.name, str(row.count), str(row.correct), share(row.recall), share(row.precision), share(row.f1)]
        for row in class_figures(counts, names)
    ]
    table(("class", "count", "correct", "recall", "precision", "f1"), rows, file=sys.stdout)
    say(f"top-1 {share(top1(counts))}: {int(counts.trace()):,} of {int(counts.sum()):,} samples")
    if outcome.left_out:
        say(f"{outcome.left_out:,} samples left out, whose target is none of the {outcome.classes} classes")
    output = found.output
    output.add(matrix_shown(outcome, names, found.split, output.when))
    if arguments.pairs:
        pairs = pairs_shown(outcome, names, found.split, found.samples, arguments.pairs, output.when)
        if pairs is not None:
            output.add(pairs)
    return 0


def share(value: float | None) -> str:
    """Four places; ``n/a`` for what would be divided by zero."""
    return "n/a" if value is None else f"{value:.4f}"
