"""The arguments that the commands of this package share."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pegboard.cli import opened
from pegboard.cli.common import add_overrides
from pegboard.errors import PegboardError
from pegboard.recorded import find_run

if TYPE_CHECKING:
    from pegboard_visual.commands.trained import Trained
    from pegboard_visual.report.run_folder import RunFolder


def add_model(parser: argparse.ArgumentParser) -> None:
    """RUN_OR_CHECKPOINT, and how it is opened: --checkpoint, --config, --device, --plugins and --cfg-options."""
    opened.add_arguments(parser, ", a checkpoint, or (with --config) a state dict")
    parser.add_argument(
        "--config", metavar="CONFIG", help="for a bare weights file: the config that says what it is; it is run"
    )
    add_overrides(parser)


def add_out(
    parser: argparse.ArgumentParser, otherwise: str = "figures/ in the run folder, or here without one"
) -> None:
    """--out DIR; ``otherwise`` is where the pictures go without it."""
    parser.add_argument("--out", metavar="DIR", help=f"{otherwise}, unless given")


def add_layers(parser: argparse.ArgumentParser, otherwise: str) -> None:
    """--layers PATTERN...; ``otherwise`` are those that are meant without it."""
    parser.add_argument(
        "--layers", nargs="+", default=[], metavar="PATTERN", help=f"e.g. conv1 'layer1.*'; {otherwise} unless given"
    )


def add_runs(parser: argparse.ArgumentParser, one: str, several: str) -> None:
    """RUN..., and --out FILE; ``one`` and ``several`` are where the file goes without it."""
    parser.add_argument("runs", metavar="RUN", nargs="+", help="run folders, or folders with a run called latest")
    parser.add_argument(
        "--out", metavar="FILE", help=f"{one} in the run folder, or ./{several} of several, unless given"
    )
    parser.set_defaults(one=one, several=several)


def runs_and_file(arguments: argparse.Namespace) -> "tuple[list[RunFolder], Path]":
    """The runs that the arguments of ``add_runs`` name, and the file that is to be written.

    Raises:
        PegboardError: there is no such run, or the file cannot be written.
    """
    from pegboard_visual.report.run_folder import read

    found = [read(find_run(Path(path), "config.json")) for path in arguments.runs]
    default = found[0].folder / arguments.one if len(found) == 1 else Path(arguments.several)
    file = Path(arguments.out) if arguments.out else default
    if file == default:
        file.parent.mkdir(exist_ok=True)
    if file.is_dir() or not file.parent.is_dir():
        raise PegboardError(f"--out {file} cannot be written; expected a file in a folder that exists")
    return found, file


def whole(least: int = 1, most: int | None = None) -> Callable[[str], int]:
    """A type for argparse: an integer in a range."""
    wanted = f"an integer, at least {least}" if most is None else f"an integer from {least} to {most:,}"

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
            raise argparse.ArgumentTypeError(f"expected {wanted}, got {text!r}")
        return int(text)

    return parse


def open_model(arguments: argparse.Namespace, size: int | None = None) -> "Trained":
    """The model that the arguments of ``add_model`` name."""
    from pegboard_visual.commands.trained import open_trained

    opened.load_plugins(arguments)
    path = opened.named(Path(arguments.path), arguments.checkpoint)
    return open_trained(path, arguments.config, tuple(options(arguments)), size)


def options(arguments: argparse.Namespace) -> list[str]:
    """The overrides of the config, --device among them."""
    return [*arguments.cfg_options, *([f"device={arguments.device!r}"] if arguments.device else [])]
