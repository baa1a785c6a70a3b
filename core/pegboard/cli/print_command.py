"""``pegboard print CONFIG [--origin]``."""

import argparse

from pegboard.cli.common import add_config, load
from pegboard.config import to_python, with_origins
from pegboard.console import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--origin", action="store_true", help="show every value with the file and line that set it")


def run(arguments: argparse.Namespace) -> int:
    """Print the config; it need not be free of problems."""
    config = load(arguments)
    if not arguments.origin:
        print(to_python(config.values), end="")
        return 0
    rows = list(with_origins(config))
    width = max((len(path) + len(value) + 3 for path, value, _ in rows), default=0)
    for path, value, place in rows:
        say(f"{f'{path} = {value}':<{min(width, 80)}}  # {place}")
    return 0
