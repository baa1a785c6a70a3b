"""``pegboard cross-validate CONFIG``."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pegboard.console import say
from pegboard.errors import ConfigError, PegboardError

if TYPE_CHECKING:
    from pegboard import Config
    from pegboard_data.cross_validation import CrossValidation
    from pegboard_data.fold_figures import Figures

HELP = "train a config once a fold of its training data, and say what the folds say together"
SCHEMES = ("kfold", "loo", "bootstrap")
FOLDS = 5
MANY_RUNS = 100
SHOWN = 20  # folds in the table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pegboard.cli.common import add_config

    add_config(parser)
    parser.add_argument(
        "--scheme",
        choices=SCHEMES,
        default="kfold",
        help="kfold, unless given: each sample validates once in K folds; loo: leave one sample (or group) out in "
        "turn; bootstrap: as many draws with replacement as samples, the never drawn validate, K times",
    )
    parser.add_argument("--folds", type=int, metavar="K", help="how many; 5 unless given; not for loo")
    parser.add_argument(
        "--stratify",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep the share of every class in every part",
    )
    parser.add_argument(
        "--group-by",
        metavar="REGEX",
        help="keep samples together whose path has the same first group, or match, of this",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="what the folds are drawn from; the runs have the config's"
    )
    parser.add_argument(
        "--statistics",
        action="store_true",
        help="give every Normalize the mean and standard deviation of the fold's own training images",
    )
    parser.add_argument(
        "--work-dir",
        metavar="DIR",
        help="where all is written; what was begun there goes on; runs/<name>/cross_validation_<time> unless given",
    )
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--yes", action="store_true", help=f"loo: begin more than {MANY_RUNS} runs")


def run(arguments: argparse.Namespace) -> int:
    """Run every fold that is not over, then print the table; 130 when interrupted."""
    if arguments.folds is not None and arguments.scheme == "loo":
        raise PegboardError("--folds belongs to --scheme kfold or bootstrap, not to loo; leave it out")
    arguments.cfg_options += [f"device={arguments.device!r}"] if arguments.device else []
    config = _config(arguments)
    from pegboard.console import show_log
    from pegboard_data.cross_validation import CrossValidation
    from pegboard_data.folds import Scheme

    show_log()
    folds = None if arguments.scheme == "loo" else FOLDS if arguments.folds is None else arguments.folds
    scheme = Scheme(arguments.scheme, folds, arguments.seed, arguments.stratify, arguments.group_by)
    scheme.check()
    try:
        work = CrossValidation(config, scheme, arguments.statistics)
    except KeyboardInterrupt:
        say("interrupted while the data was read; nothing was begun", file=sys.stderr)
        return 130
    if arguments.scheme == "loo" and work.count > MANY_RUNS and not arguments.yes:
        raise PegboardError(
            f"leaving one out makes {work.count:,} runs; say --yes to train them all, or take --scheme kfold"
        )
    work.open(Path(arguments.work_dir).expanduser() if arguments.work_dir is not None else None)
    try:
        over = work.run()
    except KeyboardInterrupt:  # between two runs, or a second time within one
        over = False
    if not over:
        say(f"interrupted; the same command with --work-dir {work.folder} goes on", file=sys.stderr)
        return 130
    _print(work)
    return 0


def _config(arguments: argparse.Namespace) -> "Config":
    """The config, checked, with the whole of its training data in both loaders."""
    from pegboard.cli.common import load
    from pegboard.config import check
    from pegboard_data.fold_config import normalizes, whole

    config = whole(load(arguments))
    problems = [problem for problem in check(config) if not problem.path.startswith("val.dataset")]  # train has it too
    if problems:
        raise ConfigError(problems)
    if arguments.statistics and not normalizes(config):
        raise PegboardError(f"--statistics: {arguments.config} has no Normalize in train.transforms")
    return config


def _print(work: "CrossValidation") -> None:
    """The table, what it means, and what is odd."""
    sizes = [fold.val for fold in work.over]
    left_out = work.scheme.scheme == "loo"
    _print_table(work.figures(), sizes, left_out)
    say(
        f"over {len(sizes):,} folds, each after its last validation; the interval is Student's t with "
        f"{len(sizes) - 1:,} degrees of freedom, and takes the folds for independent, which they are not quite"
    )
    if left_out:
        say(
            f"pooled mean: each fold's value times its number of samples, summed, over all {sum(sizes):,}; for what is "
            "a mean over samples, as loss and accuracy, that is the mean over the single predictions"
        )
    for fold in work.over:
        if fold.stop_reason:
            say(f"{fold.name} ended early: {fold.stop_reason}")
    if getattr(work.dataset, "stand_in", False):
        say("the data is a STAND-IN drawn by code; these figures say nothing about real images")
    say(f"everything is in {work.folder}")


def _print_table(found: "Mapping[str, Figures]", sizes: list[int], left_out: bool) -> None:
    """Every metric in each fold, and over all.

    Args:
        sizes: how many samples each fold was validated on.
        left_out: whether one sample, or group, was left out in turn.
    """
    from pegboard.console import table

    columns = list(found.values())
    rows = [
        (f"fold_{index + 1}", f"{size:,}", *(_text(column.per_fold[index]) for column in columns))
        for index, size in enumerate(sizes[:SHOWN])
    ]
    if len(sizes) > SHOWN:
        rows.append((f"and {len(sizes) - SHOWN:,} more", "", *("" for _ in columns)))
    lines = {
        "mean": [column.mean for column in columns],
        "standard deviation": [column.std for column in columns],
        "95 % interval from": [column.interval[0] for column in columns],
        "95 % interval to": [column.interval[1] for column in columns],
    }
    if left_out:
        lines["pooled mean"] = [column.pooled for column in columns]
    rows += [(name, "", *map(_text, values)) for name, values in lines.items()]
    table(("", "samples", *found), rows, file=sys.stdout)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"
