"""``pegboard draw RUN_OR_CHECKPOINT HOOK [KEY=VALUE...]``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pegboard.cli.saved_run import SavedRun
from pegboard.config import Config
from pegboard.config.origin import Origin
from pegboard.config.overrides import parse
from pegboard.console import say, show_log
from pegboard.errors import PegboardError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    SavedRun.add_arguments(parser)
    parser.add_argument("hook", metavar="HOOK", help="one that draws, such as GradCAM, or your own")
    parser.add_argument(
        "settings",
        nargs="*",
        default=(),
        metavar="KEY=VALUE",
        help="its arguments, as a config would have them, e.g. images=4",
    )
    parser.add_argument(
        "--out", metavar="DIR", help="where figures/ is; in the run folder, or here without one, unless given"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print where the pictures are, and what the hook has logged."""
    show_log()
    saved = SavedRun.named_by(arguments)
    in_run = (saved.folder / "checkpoints").is_dir()
    folder = Path(arguments.out) if arguments.out else saved.folder if in_run else Path()
    if folder.exists() and not folder.is_dir():
        raise PegboardError(f"--out {folder} is a file; expected a folder, which need not exist")
    _only(saved.config, arguments.hook, arguments.settings)
    saved.check("val")
    from pegboard.runner.look_back import look_back

    shown, looked_at = look_back(saved.config, saved.state, folder)
    for name, value in looked_at.pending.items():
        say(f"{name} {float(value):.4g}")
    for one in shown:
        say(one.path)
    if not shown:
        raise PegboardError(
            f"{arguments.hook} has drawn nothing: it saw a validation and the end of the run, but no training"
        )
    if folder == saved.folder:
        say(f"`pegboard report {arguments.path}` puts them into its report")
    return 0


def _only(config: Config, hook: str, settings: Sequence[str]) -> None:
    """Let the config have this hook and no other."""
    part = {override.key: override.value for override in parse(settings, place="")}
    config.values["hooks"] = {hook: {"type": hook, **part}}
    config.origins.children["hooks"] = Origin("")
