"""``pegboard train CONFIG``; ``tools/train.py`` is the same."""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

from pegboard import distributed
from pegboard.cli.common import add_config, load
from pegboard.cli.interrupts import Interrupts
from pegboard.config import Config, check
from pegboard.console import say, show_log
from pegboard.errors import ConfigError

LATEST = "latest"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--work-dir", metavar="DIR", help="the run folder; runs/<config name>/<time> unless given")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--seed", type=int, metavar="N", help="replaces the config's seed")
    parser.add_argument(
        "--resume",
        nargs="?",
        const=LATEST,
        metavar="PATH",
        help="go on with a run folder or a checkpoint; with the newest run of this config if no PATH is given",
    )
    parser.add_argument("--check", action="store_true", help="only find what is wrong with the config")
    parser.add_argument("--try", action="store_true", dest="just_try", help="two iterations of everything, then stop")


def run(arguments: argparse.Namespace) -> int:
    """Train; 0 when finished, 130 or 143 when interrupted by Ctrl-C or SIGTERM with the state saved, 0 by SIGUSR1."""
    arguments.cfg_options += [f"device={arguments.device!r}"] if arguments.device else []
    arguments.cfg_options += [f"seed={arguments.seed}"] if arguments.seed is not None else []
    config = load(arguments)
    show_log(logging.INFO if distributed.is_first() else logging.CRITICAL)
    problems = check(config)
    if problems:
        raise ConfigError(problems)
    if arguments.check:
        say(f"{arguments.config}: no problems")
        return 0
    from pegboard.runner import Runner

    distributed.join()
    folder, state = _start(arguments, config)
    runner = Runner(config, folder, state, try_iterations=2 if arguments.just_try else None)
    try:
        with Interrupts(runner) as interrupts:
            summary = runner.train()
    except KeyboardInterrupt:
        print("ended at once; --resume goes on from the last checkpoint", file=sys.stderr)
        return 130
    interrupted = summary["exit"] == "interrupted"
    return interrupts.status if interrupted and interrupts.status is not None else 0


def _start(arguments: argparse.Namespace, config: Config) -> tuple[Path | None, dict[str, Any] | None]:
    """The run folder, and the state to go on from; of several ranks the first one looks."""
    from pegboard import checkpoint

    launches = distributed.launches()
    folder, path, state = _where(arguments, config, launches) if distributed.is_first() else (None, None, None)
    folder, path = distributed.from_first((folder, path))
    return folder, checkpoint.load(path, whole=False) if path is not None and state is None else state


def _where(
    arguments: argparse.Namespace, config: Config, launches: list[str]
) -> tuple[Path | None, Path | None, dict[str, Any] | None]:
    """The run folder, and the checkpoint to go on from with its contents."""
    work_dir = arguments.work_dir or config.values.get("work_dir")
    folder = Path(work_dir) if work_dir else None
    begun = _begun(folder or _latest(arguments, config), launches)
    if arguments.resume is None and begun is None:
        return folder, None, None
    from pegboard import checkpoint
    from pegboard.recorded import find_run

    if begun is not None:
        if not checkpoint.Checkpoints(begun / "checkpoints").listed():
            return begun, None, None
        found = begun
    elif arguments.resume == LATEST:
        found = find_run(folder or Path("runs") / _name(arguments, config))
    elif Path(arguments.resume).is_file():
        file = Path(arguments.resume).resolve()
        in_run = file.parent.name == "checkpoints"
        return folder or (file.parent.parent if in_run else None), file, checkpoint.load(file, whole=False)
    else:
        found = find_run(Path(arguments.resume))
    return folder or found, *checkpoint.Checkpoints(found / "checkpoints").newest(whole=False)


def _name(arguments: argparse.Namespace, config: Config) -> str:
    return str(config.values.get("name") or Path(arguments.config).stem)


def _latest(arguments: argparse.Namespace, config: Config) -> Path:
    return (Path("runs") / _name(arguments, config) / "latest").resolve()


def _begun(folder: Path, launches: list[str]) -> Path | None:
    """The run folder, if the ranks of a torchrun that is still there have begun the run in it; else None.

    Of several torchruns one may have been lost, and another may have come in its place.
    """
    try:
        known = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return folder if set(known.get("launches") or ()) & set(launches) else None
