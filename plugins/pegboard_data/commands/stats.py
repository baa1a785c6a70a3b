"""``pegboard stats SOURCE_OR_CONFIG``."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from pegboard.console import say
from pegboard.errors import DataError, PegboardError

if TYPE_CHECKING:
    from PIL.Image import Image

HELP = "mean and standard deviation of the training images, as the line to paste"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pegboard.cli.common import add_overrides

    parser.add_argument(
        "source",
        metavar="SOURCE_OR_CONFIG",
        help="a folder with train/ (or train.txt), which alone is read; a folder of class folders; an index file; or "
        "a config, which is run, and whose train.dataset is read",
    )
    parser.add_argument("--sample", type=int, metavar="N", help="only N images, drawn by the seed: an approximation")
    parser.add_argument(
        "--resize", nargs=2, type=int, metavar=("H", "W"), help="as they are after resizing (bilinear) to this"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="which images --sample draws; 0 unless given")
    parser.add_argument("--root", metavar="DIR", help="where an index file's relative paths are looked up first")
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the line; what else is to be said of it goes to standard error."""
    _check(arguments)
    from PIL.Image import Resampling

    from pegboard_data.statistics import CHANNELS, Tally

    what, count, read = _config(arguments) if arguments.source.endswith(".py") else _part(arguments)
    chosen = _chosen(count, arguments)
    tally = Tally()
    for index in chosen:
        image = read(index)
        if arguments.resize:
            height, width = arguments.resize
            image = image.resize((width, height), Resampling.BILINEAR)
        tally.add(image)
    mean, std = (tuple(round(value, 6) for value in values) for values in (tally.mean(), tally.std()))
    exactly = "all" if len(chosen) == count else f"approximate: {len(chosen):,} of"
    say(f"{what}: {exactly} {count:,} images, RGB, 0..1", file=sys.stderr)
    for name, value in zip(CHANNELS, std, strict=True):
        if value == 0:
            why = "every pixel has the same value; Normalize takes only a std above 0"
            say(f"warning: std of {name} is 0, since {why}", file=sys.stderr)
    say(f'dict(type="Normalize", mean={mean}, std={std})')
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.sample is not None and arguments.sample < 1:
        raise PegboardError(f"--sample {arguments.sample}; expected at least 1")
    if arguments.resize and min(arguments.resize) < 1:
        raise PegboardError(f"--resize {arguments.resize[0]} {arguments.resize[1]}; expected at least 1 1")
    if arguments.seed < 0:
        raise PegboardError(f"--seed {arguments.seed}; expected at least 0")
    if arguments.cfg_options and not arguments.source.endswith(".py"):
        raise PegboardError(f"--cfg-options belongs to a config, and {arguments.source} is none; leave it out")


def _chosen(count: int, arguments: argparse.Namespace) -> "list[int]":
    """The images to read."""
    if arguments.sample is None or arguments.sample >= count:
        return list(range(count))
    import numpy as np

    drawn: list[int] = np.random.default_rng(arguments.seed).choice(count, arguments.sample, replace=False).tolist()
    return sorted(drawn)


def _part(arguments: argparse.Namespace) -> "tuple[str, int, Callable[[int], Image]]":
    """The training part of a folder or index file: its name, length, and how to read an image."""
    from pegboard_data.images import read_image
    from pegboard_data.sources import read_source

    parts = read_source(arguments.source, arguments.root)
    train = [part for part in parts if part.name == "train"] if len(parts) > 1 else parts
    if not train:
        names = ", ".join(part.name for part in parts)
        raise DataError(f"{arguments.source} has the parts {names}; expected a train part, or one of them by itself")
    [part] = train
    return str(part.place), len(part.listed), lambda index: read_image(part.path(index), f"image {index}")


def _config(arguments: argparse.Namespace) -> "tuple[str, int, Callable[[int], Image]]":
    """The training dataset of a config, likewise."""
    from pathlib import Path

    from pegboard import DATASETS, Config
    from pegboard.console import show_log
    from pegboard.plugins import load_plugin
    from pegboard_data.statistics import as_rgb_image

    show_log()  # a dataset that takes a stand-in says so there
    if arguments.root is not None:
        raise PegboardError(f"--root {arguments.root} belongs to an index file; a config says root itself")
    config = Config.load(arguments.source, arguments.cfg_options)
    for name in config.values.get("plugins") or ():
        load_plugin(name, Path(arguments.source).parent)
    train = config.values.get("train")
    if not isinstance(train, dict) or not isinstance(train.get("dataset"), dict):
        raise PegboardError(f"{arguments.source} has no train.dataset; expected train=dict(dataset=dict(type=...))")
    dataset = DATASETS.build(train["dataset"], "train.dataset")
    if not len(dataset):
        raise DataError(f"{arguments.source}: train.dataset is empty")
    what = getattr(dataset, "label", type(dataset).__name__)
    return f"{arguments.source} ({what})", len(dataset), lambda index: as_rgb_image(dataset[index][0], index)
