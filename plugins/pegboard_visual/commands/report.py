"""``pegboard report RUN [RUN ...]``."""

import argparse
from pathlib import Path

from pegboard.console import say
from pegboard.errors import PegboardError

HELP = "write a run's report, or one page that lays several runs side by side"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="+", help="run folders, or folders with a run called latest")
    parser.add_argument(
        "--out", metavar="FILE", help="report.html in the run folder, or ./comparison.html of several, unless given"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the page and say where."""
    from pegboard_visual.report import page
    from pegboard_visual.report.recorded import find, read

    found = [read(find(Path(path))) for path in arguments.runs]
    default = found[0].folder / "report.html" if len(found) == 1 else Path("comparison.html")
    file = Path(arguments.out) if arguments.out else default
    if file.is_dir() or not file.parent.is_dir():
        raise PegboardError(f"--out {file} cannot be written; expected a file in a folder that exists")
    if len(found) == 1:
        page.write(found[0], file)
    else:
        page.compare(found, file)
    say(f"written to {file}")
    return 0
