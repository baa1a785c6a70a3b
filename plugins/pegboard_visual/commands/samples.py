"""``pegboard samples CONFIG_OR_RUN``."""

import argparse
from pathlib import Path
from typing import Any, Literal

from pegboard.cli import opened
from pegboard.cli.common import add_overrides
from pegboard.config import Config, check
from pegboard.console import say, show_log
from pegboard.errors import ConfigError, PegboardError, did_you_mean
from pegboard_visual.commands.arguments import add_out, options, whole
from pegboard_visual.commands.output import Output

HELP = "draw images as the network gets them: augmented, denormalised, with their labels"
IMAGES = 24
Split = Literal["train", "val", "test"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="CONFIG_OR_RUN", help="a config file, which is run, or a run folder or checkpoint"
    )
    parser.add_argument("--split", choices=("train", "val", "test"), default="train", help="train unless given")
    parser.add_argument("--images", type=whole(), default=IMAGES, metavar="N", help=f"how many; {IMAGES} unless given")
    parser.add_argument(
        "--epoch",
        type=whole(),
        default=1,
        metavar="N",
        help="whose order and augmentation; 1, the first, unless given",
    )
    parser.add_argument(
        "--plugins", nargs="+", metavar="PLUGIN", help="run these files or modules first; the run's own are not"
    )
    parser.set_defaults(device="cpu")  # nothing is trained
    add_overrides(parser)
    add_out(parser)


def run(arguments: argparse.Namespace) -> int:
    """One picture of the first batch of an epoch."""
    show_log()
    opened.load_plugins(arguments)
    config, known, output = _opened(arguments)
    split: Split = arguments.split
    if not config.values.get(split):
        raise PegboardError(f"{arguments.path} says nothing of {split} data")
    draw(config, split, arguments.images, arguments.epoch, known, output)
    return 0


def _opened(arguments: argparse.Namespace) -> tuple[Config, dict[str, Any], Output]:
    """The config, what the run's data said of itself, and where the picture goes."""
    path = Path(arguments.path)
    if path.suffix == ".py":
        config = Config.load(arguments.path, options(arguments))
        if problems := check(config):
            raise ConfigError(problems)
        return config, {}, Output(None, arguments.out)
    if not path.exists():
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise PegboardError(f"there is no config or run {path}{did_you_mean(path.name, beside)}")
    config, state, folder = opened.of_run(path, options(arguments))
    in_run = folder if (folder / "checkpoints").is_dir() else None
    known = dict(state.get("known") or {})
    return config, known, Output(in_run, arguments.out, int(state["epoch"]), int(state["iteration"]))


def draw(config: Config, split: Split, images: int, epoch: int, known: dict[str, Any], output: Output) -> None:
    """The first batch of an epoch, its images read one by one: a whole data set is not decoded for a few of them."""
    from pegboard.runner.build import Builder
    from pegboard_visual.pictures.samples import samples_shown

    builder = Builder(config)
    builder.known = known
    builder.values[split] = {**builder.values[split], "mode": "workers", "workers": 0, "cache": None}
    loader = builder.loader(split)
    batch = next(loader.batches(epoch - 1))
    if len(batch.index) < images:
        more = f"--cfg-options {split}.batch_size={images} makes it larger"
        say(f"{len(batch.index)} images: a batch has no more; {more}")
    output.add(samples_shown(batch, loader, images, builder.known, split, epoch))
