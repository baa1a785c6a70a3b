"""Arguments that several commands share."""

import argparse

from pegboard.config import Config


def add_config(parser: argparse.ArgumentParser) -> None:
    """CONFIG and --cfg-options."""
    parser.add_argument("config", metavar="CONFIG", help="a config file; it is Python, and it is run")
    add_overrides(parser)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """--cfg-options."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="change the config, e.g. optimizer.lr=0.1 train.transforms.0.size=28 hooks.progress=None data_root=PATH",
    )


def load(arguments: argparse.Namespace) -> Config:
    """The config that the arguments name, overrides applied."""
    return Config.load(arguments.config, arguments.cfg_options)
