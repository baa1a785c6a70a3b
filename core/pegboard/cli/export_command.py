"""``pegboard export RUN --format FORMAT``."""

import argparse
from pathlib import Path

from pegboard.cli import opened
from pegboard.console import say, show_log
from pegboard.errors import CheckpointError

SUFFIX = {"safetensors": ".safetensors", "torch": ".pt", "torch-export": ".pt2"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    opened.add_arguments(parser)
    parser.add_argument(
        "--format",
        choices=tuple(SUFFIX),
        default="safetensors",
        help="safetensors, torch (a plain state dict) or torch-export (a program that runs without the model's code)",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="model.safetensors, model.pt or model.pt2 in the run folder unless given"
    )
    parser.add_argument(
        "--input", type=int, nargs="+", metavar="N", help="size of one input, where the checkpoint does not say"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the model and a description beside it, once what was written gives the same outputs."""
    show_log()
    from pegboard.runner.export import export

    opened.load_plugins(arguments)
    found = opened.open_run(opened.named(Path(arguments.path), arguments.checkpoint))
    file = Path(arguments.out) if arguments.out else found.beside / f"model{SUFFIX[arguments.format]}"
    if file.is_dir():
        raise CheckpointError(
            f"--out {file} is a folder; say the file, e.g. {file / 'model'}{SUFFIX[arguments.format]}"
        )
    if file.exists() and file.samefile(found.file):
        raise CheckpointError(f"--out {file} is the checkpoint itself; choose another name")
    size = tuple(arguments.input) if arguments.input else None
    described = export(found.state, file, arguments.format, size)
    say(f"{file}: outputs agree to {described['largest_difference']:.1e}; described in {file.name}.json")
    return 0
