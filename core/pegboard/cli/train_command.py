"""``pegboard train CONFIG``; ``tools/train.py`` is the same."""

import argparse
import sys
from pathlib import Path
from typing import Any

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
    problems = check(config)
    if problems:
        raise ConfigError(problems)
    if arguments.check:
        say(f"{arguments.config}: no problems")
        return 0
    show_log()
    from pegboard.runner import Runner

    folder, state = _where(arguments, config)
    runner = Runner(config, folder, state, try_iterations=2 if arguments.just_try else None)
    try:
        with Interrupts(runner) as interrupts:
            summary = runner.train()
    except KeyboardInterrupt:
        print("ended at once; --resume goes on from the last checkpoint", file=sys.stderr)
        return 130
    interrupted = summary["exit"] == "interrupted"
    return interrupts.status if interrupted and interrupts.status is not None else 0


def _where(arguments: argparse.Namespace, config: Config) -> tuple[Path | None, dict[str, Any] | None]:
    """The run folder, and the state to go on from."""
    work_dir = arguments.work_dir or config.values.get("work_dir")
    folder = Path(work_dir) if work_dir else None
    if arguments.resume is None:
        return folder, None
    from pegboard import checkpoint
    from pegboard.runner.folder import find_run

    if arguments.resume == LATEST:
        name = str(config.values.get("name") or Path(arguments.config).stem)
        found = find_run(folder or Path("runs") / name)
    elif Path(arguments.resume).is_file():
        file = Path(arguments.resume).resolve()
        in_run = file.parent.name == "checkpoints"
        return folder or (file.parent.parent if in_run else None), checkpoint.load(file)
    else:
        found = find_run(Path(arguments.resume))
    return folder or found, checkpoint.Checkpoints(found / "checkpoints").newest()[1]
