"""``pegboard cross-validate CONFIG``."""

import argparse
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pegboard.console import say
from pegboard.errors import ConfigError, PegboardError

if TYPE_CHECKING:
    from pegboard import Config
    from pegboard_data.cross_validation import CrossValidation
    from pegboard_data.fold_results import Results

HELP = "train a config once a fold of its training data, and say what the folds say together"
SCHEMES = ("kfold", "loo", "bootstrap")
FOLDS = 5
MANY_RUNS = 100
SHOWN = 20  # folds in the table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pegboard.cli.common import add_overrides

    parser.add_argument("config", nargs="?", metavar="CONFIG", help="a config file; it is Python, and it is run")
    add_overrides(parser)
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
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="train N folds at a time, each in a process of its own; they share out the threads, and with fewer of "
        "them the last digits differ: threads=1 in the config gives the same bits for every N",
    )
    ways.add_argument(
        "--print-commands",
        action="store_true",
        help="begin, but train nothing: print a command for each fold that is not over, for a cluster's queue",
    )
    ways.add_argument("--fold", type=int, metavar="K", help="train fold K alone, from 1; needs --work-dir")
    ways.add_argument(
        "--collect",
        metavar="DIR",
        help="put together what the folds in DIR say, wherever they were trained; takes no CONFIG",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run every fold that is not over, then print the table; 130 when interrupted, 1 where a fold is to be collected
    that is not over."""
    if arguments.collect is not None:
        return _collect(arguments)
    _check(arguments)
    arguments.cfg_options += [f"device={arguments.device!r}"] if arguments.device else []
    config = _config(arguments)
    from pegboard.console import show_log
    from pegboard_data.cross_validation import CrossValidation
    from pegboard_data.folds import Scheme

    show_log()
    folds = None if arguments.scheme == "loo" else FOLDS if arguments.folds is None else arguments.folds
    scheme = Scheme(arguments.scheme, folds, arguments.seed, arguments.stratify, arguments.group_by)
    scheme.check()
    folder = Path(arguments.work_dir).expanduser() if arguments.work_dir is not None else None
    try:
        work = CrossValidation(config, scheme, arguments.statistics)
        if arguments.scheme == "loo" and arguments.fold is None and not work.is_begun(folder):
            _say_how_long(work, arguments.yes)
    except KeyboardInterrupt:
        say("interrupted before the first fold; nothing was begun", file=sys.stderr)
        return 130
    if arguments.fold is not None and not 1 <= arguments.fold <= work.count:
        raise PegboardError(f"--fold {arguments.fold}; expected 1 to {work.count:,}")
    work.open(folder)
    if arguments.print_commands:
        return _print_commands(arguments, work)
    return _train(arguments, work)


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if arguments.config is None:
        raise PegboardError("CONFIG is missing; expected pegboard cross-validate CONFIG, or --collect DIR")
    if arguments.folds is not None and arguments.scheme == "loo":
        raise PegboardError("--folds belongs to --scheme kfold or bootstrap, not to loo; leave it out")
    if arguments.jobs < 1:
        raise PegboardError(f"--jobs {arguments.jobs}; expected at least 1")
    if arguments.fold is not None and arguments.work_dir is None:
        raise PegboardError(f"--fold {arguments.fold} needs the --work-dir that all folds have in common")


def _say_how_long(work: "CrossValidation", agreed: bool) -> None:
    """Leaving one out is many runs: say so before the first, and refuse very many that nobody has agreed to."""
    expected = work.expected()
    if work.count > MANY_RUNS and not agreed:
        raise PegboardError(f"leaving one out makes {expected}; say --yes to train them all, or take --scheme kfold")
    say(f"leaving one out: {expected}", file=sys.stderr)


def _train(arguments: argparse.Namespace, work: "CrossValidation") -> int:
    """One after the other, side by side, or one alone."""
    results: Results | None = None
    try:
        if arguments.fold is not None:
            over = work.run_one(arguments.fold)
        elif arguments.jobs > 1:
            from pegboard_data.fold_jobs import side_by_side

            results = side_by_side(work, partial(_config, arguments), arguments.jobs)
            over = results is not None
        else:
            results = work.run()
            over = results is not None
    except KeyboardInterrupt:  # between two runs, or a second time within one
        over = False
    if not over:
        say(f"interrupted; the same command with --work-dir {work.folder} goes on", file=sys.stderr)
        return 130
    if results is not None:
        _print(results)
    else:
        _print_fold(work, arguments.fold)
    return 0


def _print_fold(work: "CrossValidation", number: int) -> None:
    """What one fold has come to, and what is left."""
    from pegboard_data.fold_results import collect

    results = collect(work.folder)
    fold = next(fold for fold in results.over if fold.name == work.folder_of(number).name)
    say(f"{fold.name}: {', '.join(f'{name} {_text(value)}' for name, value in fold.metrics.items())}")
    left = len(results.missing)
    say(f"{left:,} of {work.count:,} folds are not over yet" if left else _collecting(work.folder), file=sys.stderr)


def _print_commands(arguments: argparse.Namespace, work: "CrossValidation") -> int:
    """A line for a shell for each fold that is not over, on whatever machine sees the folders.

    Each begins by going where this command was given: a config may name its data from there.
    """
    there = f"cd {shlex.quote(str(Path.cwd()))} && "
    words = ["pegboard", "cross-validate", arguments.config]
    words += ["--cfg-options", *arguments.cfg_options] if arguments.cfg_options else []
    words += ["--scheme", arguments.scheme, "--seed", str(arguments.seed), "--work-dir", str(work.folder)]
    words += ["--folds", str(arguments.folds)] if arguments.folds is not None else []
    words += ["--group-by", arguments.group_by] if arguments.group_by is not None else []
    words += [] if arguments.stratify else ["--no-stratify"]
    words += ["--statistics"] if arguments.statistics else []
    waiting = work.waiting()
    for number in waiting:
        print(there + shlex.join([*words, "--fold", str(number)]))
    if over := work.count - len(waiting):
        say(f"{over:,} of {work.count:,} folds are over already", file=sys.stderr)
    say(f"each goes on where it was ended; when all are over, {_collecting(work.folder)}", file=sys.stderr)
    return 0


def _collecting(folder: Path) -> str:
    return f"pegboard cross-validate --collect {shlex.quote(str(folder))} puts all folds together"


def _collect(arguments: argparse.Namespace) -> int:
    """The table of what the folds of a folder have left; 1 while some are not over."""
    from pegboard_data.fold_results import collect

    if arguments.config is not None:
        raise PegboardError(f"--collect takes no CONFIG, since {arguments.collect} says what was trained; leave it out")
    results = collect(Path(arguments.collect).expanduser())
    if not results.missing:
        results.write()
        _print(results)
        return 0
    if results.over:
        _print(results)
    names = [f"{name} ({how})" for name, how in results.missing.items()]
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    of_all = f"{len(names):,} of {len(names) + len(results.over):,} folds are not over"
    say(f"{of_all}: {', '.join(names[:SHOWN])}{more}", file=sys.stderr)
    return 1


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


def _print(results: "Results") -> None:
    """The table, what it means, and what is odd."""
    sizes = [fold.val for fold in results.over]
    _print_table(results, sizes)
    say(
        f"over {len(sizes):,} folds, each after its last validation; the interval is Student's t with "
        f"{len(sizes) - 1:,} degrees of freedom, and takes the folds for independent, which they are not quite"
    )
    if results.left_out:
        say(
            f"pooled mean: each fold's value times its number of samples, summed, over all {sum(sizes):,}; for what is "
            "a mean over samples, as loss and accuracy, that is the mean over the single predictions"
        )
    for fold in results.over:
        if fold.stop_reason:
            say(f"{fold.name} ended early: {fold.stop_reason}")
    if results.stand_in:
        say("the data is a STAND-IN drawn by code; these figures say nothing about real images")
    say(f"everything is in {results.folder}")


def _print_table(results: "Results", sizes: list[int]) -> None:
    """Every metric in each fold, and over all.

    Args:
        sizes: how many samples each fold was validated on.
    """
    from pegboard.console import table

    found = results.figures()
    columns = list(found.values())
    rows = [
        (fold.name, f"{fold.val:,}", *(_text(column.per_fold[index]) for column in columns))
        for index, fold in enumerate(results.over[:SHOWN])
    ]
    if len(sizes) > SHOWN:
        rows.append((f"and {len(sizes) - SHOWN:,} more", "", *("" for _ in columns)))
    lines = {
        "mean": [column.mean for column in columns],
        "standard deviation": [column.std for column in columns],
        "95 % interval from": [column.interval[0] for column in columns],
        "95 % interval to": [column.interval[1] for column in columns],
    }
    if results.left_out:
        lines["pooled mean"] = [column.pooled for column in columns]
    rows += [(name, "", *map(_text, values)) for name, values in lines.items()]
    table(("", "samples", *found), rows, file=sys.stdout)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"
