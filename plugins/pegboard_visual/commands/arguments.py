"""The arguments that the commands of this package share."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pegboard.cli import opened
from pegboard.cli.common import add_overrides

if TYPE_CHECKING:
    from pegboard_visual.commands.trained import Trained


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
