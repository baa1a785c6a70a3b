"""``pegboard report RUN [RUN ...]``."""

import argparse

from pegboard.console import say
from pegboard_visual.commands.arguments import add_runs, runs_and_file

HELP = "write a run's report, or one page that lays several runs side by side"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_runs(parser, "report.html", "comparison.html")


def run(arguments: argparse.Namespace) -> int:
    """Write the page and say where."""
    from pegboard_visual.report import page

    found, file = runs_and_file(arguments)
    if len(found) == 1:
        page.write(found[0], file)
    else:
        page.compare(found, file)
    say(f"written to {file}")
    return 0
