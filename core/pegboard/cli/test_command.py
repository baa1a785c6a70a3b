"""``pegboard test RUN_OR_CHECKPOINT``; ``tools/test.py`` is the same."""

import argparse
import logging
import sys
from pathlib import Path

from pegboard import distributed
from pegboard.cli import opened
from pegboard.cli.common import add_overrides
from pegboard.config import check
from pegboard.console import show_log, table
from pegboard.errors import CheckpointError, ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    opened.add_arguments(parser, ", a checkpoint, or (with --config) a state dict")
    parser.add_argument(
        "--config", metavar="CONFIG", help="for a bare weights file: the config that says what it is; it is run"
    )
    parser.add_argument(
        "--split", default="test", choices=("train", "val", "test"), help="which data; test unless given"
    )
    parser.add_argument(
        "--predictions", metavar="FILE", help="write what is predicted for every sample to this CSV file"
    )
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the figures and write test.json."""
    show_log(logging.INFO if distributed.is_first() else logging.CRITICAL)
    path = opened.named(Path(arguments.path), arguments.checkpoint)
    options = arguments.cfg_options + ([f"device={arguments.device!r}"] if arguments.device else [])
    config, state, beside = (
        opened.with_config(path, arguments.config, options) if arguments.config else opened.of_run(path, options)
    )
    if not arguments.config:
        config.values["plugins"] = list(arguments.plugins or ())  # a checkpoint runs nobody's code by itself
    if config.values.get(arguments.split) is None:
        raise CheckpointError(
            f"the config says nothing about {arguments.split!r} data; add {arguments.split}=dict(dataset=...)"
        )
    problems = check(config, "test", arguments.split)
    if problems:
        raise ConfigError(problems)
    from pegboard.runner import Runner
    from pegboard.runner.folder import write_json
    from pegboard.runner.predictions import predictions_file

    runner = Runner(config)
    with predictions_file(runner, arguments.predictions, arguments.split):
        metrics = runner.test(arguments.split, state)
    if not distributed.is_first():
        return 0
    table(("", "value"), [(name, f"{value:.4f}") for name, value in metrics.items()], file=sys.stdout)
    write_json(beside / "test.json", {"checkpoint": str(path), "split": arguments.split, "metrics": metrics})
    return 0
