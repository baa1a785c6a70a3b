"""``pegboard mistakes RUN``."""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from pegboard.console import say, show_log, table
from pegboard_visual.commands.arguments import whole
from pegboard_visual.commands.evaluated import add_arguments as add_evaluated

HELP = "show the worst and the most confident mistakes, with truth, prediction and probability"
LISTED = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_evaluated(parser)
    parser.add_argument(
        "--images", type=whole(1, 60), default=12, metavar="N", help="how many of each; 12 unless given"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the worst mistakes, and write the picture and the table of all."""
    from pegboard_visual.commands.evaluated import outcome_of
    from pegboard_visual.pictures.mistakes import mistakes_shown

    show_log()
    found, outcome = outcome_of(arguments)
    names = found.names(outcome.classes)
    drawn = mistakes_shown(outcome, names, found.split, found.samples, arguments.images, found.output.when)
    say(drawn.caption)
    if rows := [_row(one) for one in drawn.data["worst"][:LISTED]]:
        table(("sample", "truth", "probability", "predicted", "probability"), rows, file=sys.stdout)
    found.output.add(drawn)
    return 0


def _row(one: Mapping[str, Any]) -> list[str]:
    chances = f"{one['truth_probability']:.4f}", f"{one['probability']:.4f}"
    return [str(one["sample"]), one["truth"], chances[0], one["predicted"], chances[1]]
