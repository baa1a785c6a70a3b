"""``pegboard curves RUN [RUN ...]``."""

import argparse

from pegboard.console import say
from pegboard.errors import PegboardError
from pegboard_visual.commands.arguments import add_runs, runs_and_file

HELP = "draw the learning curves of a run, or of several over each other"
KINDS = (".png", ".svg", ".pdf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_runs(parser, "figures/curves.png", "curves.png")


def run(arguments: argparse.Namespace) -> int:
    """Draw, and say where."""
    from pegboard_visual.report.curves import charts
    from pegboard_visual.report.page import labels

    found, file = runs_and_file(arguments)
    if file.suffix.lower() not in KINDS:
        raise PegboardError(f"--out {file} is of no kind that can be drawn; expected one of {', '.join(KINDS)}")
    drawn = charts(found)
    if not drawn:
        raise PegboardError(f"{found[0].folder} has no figures yet: its metrics.jsonl is empty")
    from pegboard_visual.pictures.curves import draw

    draw(drawn, labels(found)).savefig(file)
    say(f"written to {file}")
    return 0
