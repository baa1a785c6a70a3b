"""``pegboard kernels RUN_OR_CHECKPOINT``."""

import argparse

from pegboard.console import show_log
from pegboard_visual.commands.output import Output, add_common_arguments, add_model_arguments, opened, positive

HELP = "draw the kernels of convolutions, each scaled by itself"
MAPS = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument(
        "--layers",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="e.g. conv1 'layer1.*'; every convolution with kernels of more than one pixel unless given",
    )
    parser.add_argument(
        "--maps",
        type=positive,
        default=MAPS,
        metavar="N",
        help=f"output maps of a layer, and input maps of each, that are drawn; {MAPS} unless given",
    )
    add_common_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Two pictures a layer."""
    from pegboard_visual.kernels import all_page, kernels_of, split_page

    show_log()
    trained = opened(arguments)
    output = Output(trained.folder, arguments.out, trained.epoch, trained.iteration)
    for kernels in kernels_of(trained.model, arguments.layers):
        data = {"kind": "kernels", "layer": kernels.layer, "shape": list(kernels.weights.shape)}
        caption = f"{kernels.layer}: {kernels.size}"
        rows, grids = all_page(kernels, arguments.maps), split_page(kernels, arguments.maps)
        output.add(f"{kernels.layer}_all", rows, f"{caption}, one row per output map", data)
        output.add(f"{kernels.layer}_split_in_channel", grids, f"{caption}, one grid per output map", data)
    return 0
