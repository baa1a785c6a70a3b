"""``pegboard check CONFIG``."""

import argparse
import sys

from pegboard.cli.common import add_config, load
from pegboard.config import check
from pegboard.console import say, show_log


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print every problem, one a line; 2 if there is one."""
    show_log()  # what is no problem may still be warned of
    problems = check(load(arguments))
    for problem in problems:
        say(problem, file=sys.stderr)
    if problems:
        say(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}", file=sys.stderr)
        return 2
    say(f"{arguments.config}: no problems")
    return 0
