"""``pegboard maps RUN_OR_CHECKPOINT IMAGE_OR_INDEX...``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pegboard.console import show_log
from pegboard.errors import PegboardError
from pegboard_visual.commands.output import Output, add_common_arguments, add_model_arguments, opened, positive

if TYPE_CHECKING:
    from torch import Tensor

    from pegboard_visual.trained import Trained

HELP = "draw the feature maps of layers for images, before and after the activation"
IMAGES, MAPS = 4, 64
INDEX = {".txt", ".csv", ".lst", ".index"}  # endings of index files


class Listed(NamedTuple):
    """An image that is asked for, and its class where an index file says it."""

    path: Path
    truth: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument(
        "images", metavar="IMAGE_OR_INDEX", nargs="+", help="image files, or index files (.txt) that list them"
    )
    parser.add_argument(
        "--layers",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="e.g. conv1 'layer1.*'; every convolution if left out",
    )
    parser.add_argument(
        "--images",
        dest="most",
        type=positive,
        default=IMAGES,
        metavar="N",
        help=f"of all, the first N; {IMAGES} unless given",
    )
    parser.add_argument(
        "--maps", type=positive, default=MAPS, metavar="N", help=f"maps of a layer that are drawn; {MAPS} unless given"
    )
    parser.add_argument("--size", type=positive, metavar="PIXELS", help="side to which images are brought first")
    parser.add_argument("--root", metavar="DIR", help="where the paths of an index file begin; beside it unless given")
    add_common_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """A picture a layer, its rows the images."""
    import torch

    from pegboard_visual.feature_maps import feature_maps, page_of
    from pegboard_visual.seen import as_pictures

    show_log()
    listed = listed_images(arguments.images, arguments.root)
    if len(listed) > arguments.most:
        print(f"the first {arguments.most} of {len(listed)} images; --images N draws more")
    listed = listed[: arguments.most]
    trained = opened(arguments, arguments.size)
    inputs = torch.cat(_of_one_size(trained, listed))
    images = as_pictures(inputs, trained.transforms.transforms)
    titles = [f"{one.path.name}: {one.truth}" if one.truth else one.path.name for one in listed]
    try:
        given = feature_maps(trained.model, inputs, arguments.layers)
    except RuntimeError as error:
        raise PegboardError(
            f"the {type(trained.model).__name__} cannot take an input {tuple(inputs.shape)}: "
            f"{str(error).splitlines()[0]}; --size PIXELS brings images to a square of that side first"
        ) from error
    output = Output(trained.folder, arguments.out, trained.epoch, trained.iteration)
    for layer in given:
        data = {"kind": "feature_maps", "layer": layer.layer, "activation": layer.activation, "labels": titles}
        caption = f"{layer.layer}, epoch {trained.epoch}, iteration {trained.iteration}"
        picture = page_of(layer, images, titles, caption, arguments.maps)
        output.add(f"Feature_Maps_{layer.layer}", picture, caption, data)
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
