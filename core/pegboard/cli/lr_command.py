"""``pegboard lr CONFIG``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pegboard.cli.common import add_config, load
from pegboard.config import check
from pegboard.console import say, show_log, table
from pegboard.errors import ConfigError, PegboardError

if TYPE_CHECKING:
    from pegboard.runner.rates import Rates

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 48  # of a sparkline, in characters
DASHES = ("-", "--", ":", "-.")
KINDS = (".png", ".svg", ".pdf")
SHARES = (0, 25, 50, 75, 100)  # per cent of the run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--out", metavar="FILE", help="also draw the schedule there, as PNG, SVG or PDF")


def run(arguments: argparse.Namespace) -> int:
    """Print each group's rate over the run; nothing is trained, and a few images are read at most."""
    show_log()
    if arguments.out:
        _refuse(Path(arguments.out))
    config = load(arguments)
    if problems := check(config):
        raise ConfigError(problems)
    from pegboard.runner import Runner
    from pegboard.runner.rates import rehearse

    found = rehearse(Runner(config))
    last = len(found.rates[0]) - 1
    say(f"{last + 1:,} iterations, {len(found.epochs):,} epochs")
    rows = []
    for name, rates in zip(found.groups, found.rates, strict=True):
        values = [f"{rates[round(last * share / 100)]:.3g}" for share in SHARES]
        rows.append([name, *values, sparkline(rates)])
    table(("group", *(f"{share} %" for share in SHARES), ""), rows, file=sys.stdout)
    if arguments.out:
        draw(found, Path(arguments.out))
        say(f"drawn to {arguments.out}")
    return 0


def _refuse(file: Path) -> None:
    """End here if the picture cannot be written.

    Raises:
        PegboardError: it has no folder, is one, or is of another kind.
    """
    if file.suffix.lower() not in KINDS:
        raise PegboardError(f"--out {file} is of no kind that can be drawn; expected one of {', '.join(KINDS)}")
    if file.is_dir() or not file.parent.is_dir():
        raise PegboardError(f"--out {file} cannot be written; expected a file in a folder that exists")


def sparkline(values: Sequence[float]) -> str:
    """The values' course in one line of text.

    Examples:
        >>> sparkline([0.0, 1.0, 2.0])
        '▁▅█'
    """
    count = min(WIDTH, len(values))
    picked = [values[round(i * (len(values) - 1) / max(1, count - 1))] for i in range(count)]
    low, high = min(picked), max(picked)
    span = (high - low) or 1.0
    return "".join(BARS[round((value - low) / span * (len(BARS) - 1))] for value in picked)


def draw(found: "Rates", file: Path) -> None:
    """The schedule of every group over the iterations, epochs on the upper axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, (name, rates) in enumerate(zip(found.groups, found.rates, strict=True)):
        axes.plot(rates, DASHES[number % len(DASHES)], label=name, linewidth=1.8)  # two may lie on each other
    axes.set(xlabel="iteration", ylabel="learning rate", xlim=(0, max(1, len(found.rates[0]) - 1)))
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if len(found.groups) > 1:
        axes.legend(frameon=False)
    ends = found.epochs[:: max(1, len(found.epochs) // 8)]
    upper = axes.secondary_xaxis("top")
    upper.set_xticks(ends, [str(found.epochs.index(end) + 1) for end in ends])
    upper.set_xlabel("epochs completed")
    figure.savefig(file)
