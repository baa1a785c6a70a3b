"""A run folder or a checkpoint, opened by a command without running its config."""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

from pegboard.config import Config
from pegboard.errors import CheckpointError, did_you_mean

LAST = "last"


class Opened(NamedTuple):
    """What a checkpoint of ours holds.

    Args:
        file: the checkpoint.
        state: its contents; ``state["config"]`` is the run's config as data.
        beside: the run folder, or the folder of a checkpoint that lies alone.
    """

    file: Path
    state: dict[str, Any]
    beside: Path


def add_arguments(parser: argparse.ArgumentParser, more: str = "") -> None:
    """RUN_OR_CHECKPOINT, --checkpoint, --device and --plugins; ``more`` is what else the path may be."""
    parser.add_argument("path", metavar="RUN_OR_CHECKPOINT", help=f"a run folder{more or ' or a checkpoint'}")
    parser.add_argument(
        "--checkpoint",
        default=LAST,
        metavar="NAME",
        help="of a run folder: last, or what a hook wrote beside it, such as best; last unless given",
    )
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--plugins", nargs="+", metavar="PLUGIN", help="run these files or modules first; the run's own are not"
    )


def load_plugins(arguments: argparse.Namespace) -> None:
    """Run what --plugins names."""
    from pegboard.plugins import load_plugin

    for plugin in arguments.plugins or ():
        load_plugin(plugin, Path())


def named(path: Path, name: str) -> Path:
    """The file that a path and ``--checkpoint NAME`` mean: the path itself, or ``name.pt`` beside a run's checkpoints.

    Raises:
        CheckpointError: there is none.
    """
    from pegboard.recorded import find_run

    if name == LAST:
        return path
    if path.is_file():
        raise CheckpointError(f"{path} is a checkpoint already; --checkpoint {name} is for a run folder")
    file = find_run(path) / "checkpoints" / f"{name}.pt"
    if not file.is_file():
        names = [LAST, *(other.stem for other in file.parent.glob("*.pt"))]
        hint = "; the hook BestCheckpoint writes it after a validation" if name == "best" else ""
        raise CheckpointError(f"there is no {file}{did_you_mean(name, names, otherwise=hint)}")
    return file


def open_run(path: Path, instead: str = "") -> Opened:
    """A checkpoint, or the newest of a run folder; nothing but tensors and plain values is read.

    Args:
        instead: what to do with a file that has weights alone, for the message.

    Raises:
        CheckpointError: there is none, or it is none of ours.
    """
    from pegboard import checkpoint
    from pegboard.recorded import find_run

    if path.is_file():
        state, beside = checkpoint.load(path), path.parent.parent if path.parent.name == "checkpoints" else path.parent
    else:
        beside = find_run(path)
        path, state = checkpoint.Checkpoints(beside / "checkpoints").newest()
    if "config" not in state or "model" not in state:
        raise CheckpointError(f"{path} is no checkpoint of pegboard but a bare file of weights{instead}")
    return Opened(path, state, beside)


def of_run(path: Path, options: list[str]) -> tuple[Config, dict[str, Any], Path]:
    """The config that a checkpoint of ours holds as data, its contents, and the run's folder; no config file is run.

    Raises:
        CheckpointError: it is none of ours, or damaged, or not there.
    """
    file, state, beside = open_run(path, "; say --config CONFIG")
    config = Config.from_values(state["config"], str(file))
    config.override(options)
    return config, state, beside


def with_config(path: Path, config_file: str, options: list[str]) -> tuple[Config, dict[str, Any], Path]:
    """The config file, which is run, and the weights of a file that says nothing of itself."""
    from pegboard import checkpoint

    loaded = checkpoint.load(path)
    is_ours = "config" in loaded and "model" in loaded
    return Config.load(config_file, options), loaded if is_ours else {"model": loaded}, Path()
