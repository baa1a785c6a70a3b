"""``pegboard kernels RUN_OR_CHECKPOINT``."""

import argparse

from pegboard.console import show_log
from pegboard_visual.commands.arguments import add_layers, add_model, add_out, open_model, whole

HELP = "draw the kernels of convolutions, each scaled by itself"
MAPS = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_layers(parser, "every convolution with kernels of more than one pixel")
    parser.add_argument(
        "--maps",
        type=whole(),
        default=MAPS,
        metavar="N",
        help=f"output maps of a layer, and input maps of each, that are drawn; {MAPS} unless given",
    )
    add_out(parser)


def run(arguments: argparse.Namespace) -> int:
    """Two pictures a layer."""
    from pegboard_visual.pictures.kernels import all_shown, kernels_of, split_shown

    show_log()
    trained = open_model(arguments)
    output = trained.output(arguments.out)
    for kernels in kernels_of(trained.model, arguments.layers):
        output.add(all_shown(kernels, arguments.maps))
        output.add(split_shown(kernels, arguments.maps))
    return 0
