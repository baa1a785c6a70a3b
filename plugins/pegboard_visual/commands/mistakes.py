"""``pegboard mistakes RUN``."""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from pegboard.console import say, show_log, table
from pegboard.errors import PegboardError

HELP = "show the worst and the most confident mistakes, with truth, prediction and probability"
LISTED = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pegboard_visual import evaluated

    evaluated.add_arguments(parser)
    parser.add_argument("--images", type=int, default=12, metavar="N", help="how many of each; 12 unless given")


def run(arguments: argparse.Namespace) -> int:
    """Print the worst mistakes, and write the picture and the table of all."""
    from pegboard_visual.evaluated import evaluate
    from pegboard_visual.mistakes_hook import mistakes_shown
    from pegboard_visual.outcome_hooks import Watching
    from pegboard_visual.outcomes import class_names

    show_log()
    if not 1 <= arguments.images <= 60:
        raise PegboardError(f"--images must be from 1 to 60, got {arguments.images}")
    watching = Watching()
    found = evaluate(arguments, watching)
    outcome = watching.seen.read()
    names = class_names(found.run, outcome.classes)
    drawn = mistakes_shown(outcome, names, found.split, found.samples, arguments.images, found.when)
    say(drawn.caption)
    if rows := [_row(one) for one in drawn.data["worst"][:LISTED]]:
        table(("sample", "truth", "probability", "predicted", "probability"), rows, file=sys.stdout)
    found.keep(drawn, arguments.out)
    return 0


def _row(one: Mapping[str, Any]) -> list[str]:
    chances = f"{one['truth_probability']:.4f}", f"{one['probability']:.4f}"
    return [str(one["sample"]), one["truth"], chances[0], one["predicted"], chances[1]]
