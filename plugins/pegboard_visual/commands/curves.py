"""``pegboard curves RUN [RUN ...]``."""

import argparse
from pathlib import Path

from pegboard.console import say
from pegboard.errors import PegboardError

HELP = "draw the learning curves of a run, or of several over each other"
KINDS = (".png", ".svg", ".pdf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="+", help="run folders, or folders with a run called latest")
    parser.add_argument(
        "--out", metavar="FILE", help="figures/curves.png in the run folder, or ./curves.png of several, unless given"
    )


def run(arguments: argparse.Namespace) -> int:
    """Draw, and say where."""
    from pegboard_visual.report.curves import charts
    from pegboard_visual.report.page import labels
    from pegboard_visual.report.recorded import find, read

    found = [read(find(Path(path))) for path in arguments.runs]
    default = found[0].folder / "figures" / "curves.png" if len(found) == 1 else Path("curves.png")
    file = Path(arguments.out) if arguments.out else default
    if file.suffix.lower() not in KINDS:
        raise PegboardError(f"--out {file} is of no kind that can be drawn; expected one of {', '.join(KINDS)}")
    if file == default:
        file.parent.mkdir(exist_ok=True)
    if file.is_dir() or not file.parent.is_dir():
        raise PegboardError(f"--out {file} cannot be written; expected a file in a folder that exists")
    drawn = charts(found)
    if not drawn:
        raise PegboardError(f"{found[0].folder} has no figures yet: its metrics.jsonl is empty")
    from pegboard_visual.pictures.curves import draw

    draw(drawn, labels(found)).savefig(file)
    say(f"written to {file}")
    return 0
