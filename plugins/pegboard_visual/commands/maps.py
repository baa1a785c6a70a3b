"""``pegboard maps RUN_OR_CHECKPOINT IMAGE_OR_INDEX...``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pegboard.console import say, show_log
from pegboard.errors import PegboardError
from pegboard_visual.commands.arguments import add_layers, add_model, add_out, open_model, whole

if TYPE_CHECKING:
    from torch import Tensor

    from pegboard_visual.commands.trained import Trained

HELP = "draw the feature maps of layers for images, before and after the activation"
IMAGES, MAPS = 4, 64
INDEX = {".txt", ".csv", ".lst", ".index"}  # endings of index files


class Listed(NamedTuple):
    """An image that is asked for, and its class where an index file says it."""

    path: Path
    truth: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument(
        "images", metavar="IMAGE_OR_INDEX", nargs="+", help="image files, or index files (.txt) that list them"
    )
    add_layers(parser, "every convolution")
    parser.add_argument(
        "--images",
        dest="most",
        type=whole(),
        default=IMAGES,
        metavar="N",
        help=f"of all, the first N; {IMAGES} unless given",
    )
    parser.add_argument(
        "--maps", type=whole(), default=MAPS, metavar="N", help=f"maps of a layer that are drawn; {MAPS} unless given"
    )
    parser.add_argument("--size", type=whole(), metavar="PIXELS", help="side to which images are brought first")
    parser.add_argument("--root", metavar="DIR", help="where the paths of an index file begin; beside it unless given")
    add_out(parser)


def run(arguments: argparse.Namespace) -> int:
    """A picture a layer, its rows the images."""
    import torch

    from pegboard_visual.pictures.feature_maps import feature_maps, maps_shown
    from pegboard_visual.seen import as_pictures

    show_log()
    listed = listed_images(arguments.images, arguments.root)
    if len(listed) > arguments.most:
        say(f"the first {arguments.most} of {len(listed)} images; --images N draws more")
    listed = listed[: arguments.most]
    trained = open_model(arguments, arguments.size)
    inputs = torch.cat(_of_one_size(trained, listed))
    images = as_pictures(inputs, trained.transforms.transforms)
    titles = [f"{one.path.name}: {one.truth}" if one.truth else one.path.name for one in listed]
    with trained.taking(inputs):
        given = feature_maps(trained.model, inputs, arguments.layers)
    output = trained.output(arguments.out)
    for layer in given:
        output.add(maps_shown(layer, images, titles, output.when, arguments.maps))
    return 0


def listed_images(paths: Sequence[str], root: str | None = None) -> list[Listed]:
    """The images that are named, and those that index files list.

    Raises:
        DataError: an index file is wrong, or lists an image that is not there.
    """
    from pegboard_data.index_files import locate, read_index

    listed = []
    for path in map(Path, paths):
        if path.suffix.lower() not in INDEX:
            listed.append(Listed(path))
            continue
        index = read_index(path)
        for place, target in enumerate(index.targets.tolist()):
            found = locate(index.paths[place], path, Path(root) if root else None)
            listed.append(Listed(found, str(index.classes[target])))
    return listed


def _of_one_size(trained: "Trained", listed: Sequence[Listed]) -> "list[Tensor]":
    inputs = [trained.prepare(one.path).inputs for one in listed]
    for one, other in zip(inputs, listed, strict=True):
        if one.shape != inputs[0].shape:
            shapes = f"{tuple(one.shape[2:])}, and {listed[0].path} {tuple(inputs[0].shape[2:])}"
            raise PegboardError(f"{other.path} goes into the network as {shapes}; --size PIXELS makes them alike")
    return inputs
