"""Arguments that several commands share."""

import argparse
from pathlib import Path
from typing import Any

from pegboard.config import Config
from pegboard.errors import CheckpointError


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


def of_run(path: Path, options: list[str]) -> tuple[Config, dict[str, Any], Path]:
    """The config that a checkpoint of ours holds as data, its contents, and the run's folder; no config file is run.

    Raises:
        CheckpointError: it is none of ours, or damaged, or not there.
    """
    from pegboard import checkpoint
    from pegboard.runner.folder import find_run

    if path.is_file():
        state, beside = checkpoint.load(path), path.parent.parent if path.parent.name == "checkpoints" else path.parent
    else:
        beside = find_run(path)
        path, state = checkpoint.Checkpoints(beside / "checkpoints").newest()
    if "config" not in state or "model" not in state:
        raise CheckpointError(f"{path} is no checkpoint of pegboard but a bare file of weights; say --config CONFIG")
    config = Config.from_values(state["config"], str(path))
    config.override(options)
    return config, state, beside


def with_config(path: Path, config_file: str, options: list[str]) -> tuple[Config, dict[str, Any], Path]:
    """The config file, which is run, and the weights of a file that says nothing of itself."""
    from pegboard import checkpoint

    loaded = checkpoint.load(path)
    is_ours = "config" in loaded and "model" in loaded
    return Config.load(config_file, options), loaded if is_ours else {"model": loaded}, Path()
