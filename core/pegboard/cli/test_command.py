"""``pegboard test RUN_OR_CHECKPOINT``; ``tools/test.py`` is the same."""

import argparse
import sys
from pathlib import Path

from pegboard.cli.common import add_overrides, of_run, with_config
from pegboard.config import check
from pegboard.console import show_log, table
from pegboard.errors import CheckpointError, ConfigError, did_you_mean

LAST = "last"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="RUN_OR_CHECKPOINT", help="a run folder, a checkpoint, or (with --config) a state dict"
    )
    parser.add_argument(
        "--config", metavar="CONFIG", help="for a bare weights file: the config that says what it is; it is run"
    )
    parser.add_argument(
        "--split", default="test", choices=("train", "val", "test"), help="which data; test unless given"
    )
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
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the figures and write test.json."""
    show_log()
    path = Path(arguments.path)
    if arguments.checkpoint != LAST:
        path = _named(path, arguments.checkpoint)
    options = arguments.cfg_options + ([f"device={arguments.device!r}"] if arguments.device else [])
    config, state, beside = with_config(path, arguments.config, options) if arguments.config else of_run(path, options)
    if not arguments.config:
        config.values["plugins"] = list(arguments.plugins or ())  # a checkpoint runs nobody's code by itself
    if config.values.get(arguments.split) is None:
        raise CheckpointError(
            f"the config says nothing about {arguments.split!r} data; add {arguments.split}=dict(dataset=...)"
        )
    problems = check(config, "test")
    if problems:
        raise ConfigError(problems)
    from pegboard.runner import Runner
    from pegboard.runner.folder import write_json

    metrics = Runner(config).test(arguments.split, state)
    table(("", "value"), [(name, f"{value:.4f}") for name, value in metrics.items()], file=sys.stdout)
    write_json(beside / "test.json", {"checkpoint": str(path), "split": arguments.split, "metrics": metrics})
    return 0


def _named(path: Path, name: str) -> Path:
    """The file ``name.pt`` beside a run's checkpoints."""
    from pegboard.runner.folder import find_run

    if path.is_file():
        raise CheckpointError(f"{path} is a checkpoint already; --checkpoint {name} is for a run folder")
    file = find_run(path) / "checkpoints" / f"{name}.pt"
    if not file.is_file():
        names = [LAST, *(other.stem for other in file.parent.glob("*.pt"))]
        hint = "; the hook BestCheckpoint writes it after a validation" if name == "best" else ""
        raise CheckpointError(f"there is no {file}{did_you_mean(name, names, otherwise=hint)}")
    return file
