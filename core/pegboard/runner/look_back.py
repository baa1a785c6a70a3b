"""What a hook would have drawn at the end of a run that is over."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pegboard.config import Config
from pegboard.config.keys import DEFAULT_HOOKS
from pegboard.errors import ConfigError, PegboardError
from pegboard.hooks.hook import Hook
from pegboard.hooks.tracker import Tracker
from pegboard.pictures import Pictures, Shown
from pegboard.registry import HOOKS
from pegboard.runner import prepare
from pegboard.runner.loop import Runner


def look_back(config: Config, state: Mapping[str, Any], folder: Path) -> tuple[list[Shown], Runner]:
    """Let the only hook of a config draw the run as its checkpoint left it.

    The hook passes the points of a run that is resumed where it ends, with a validation still to come. What it draws
    goes into ``folder/figures``; whatever else it writes is lost.

    Args:
        config: of the run, with that hook alone; without problems.
        state: the checkpoint.
        folder: where ``figures/`` is to be.

    Returns:
        what it has drawn, and the run, whose ``pending`` holds what it has logged.

    Raises:
        ConfigError: what is called a hook is none.
        PegboardError: the hook cannot draw this run.
    """
    [(name, part)] = config.values["hooks"].items()
    run = Runner(config)
    prepare.testing(run, "val", state)
    run.val_loader = run.builder.loader("val")
    prepare.refuse_other_data(run.val_loader, "val", state)
    run.epoch, run.position, run.iteration = (state.get(key, 0) for key in ("epoch", "position", "iteration"))
    run.total_iterations = run.iteration  # whatever is done every so often is due
    hook = HOOKS.build(part, f"hooks.{name}", run.builder.known)
    _refuse_what_draws_nothing(name, part["type"], hook)
    hook.essential = True  # its failure is the command's
    watching = _Watching()
    run.use_hooks({name: hook, "watching": watching})
    with TemporaryDirectory(prefix="pegboard-") as scratch, _in_words(name):
        run.folder = Path(scratch)
        run.call("before_run")
        run.call("before_train")
        run.call("before_val")
        figures = run.evaluate(run.val_loader, "val") or {}
        run.call("after_val", metrics={f"val/{key}": value for key, value in figures.items()})
        run.call("after_train")
        run.call("after_run")
        shown = [_moved(one, Pictures(folder / "figures")) for one in watching.shown.values()]
    return shown, run


class _Watching(Hook):
    """Keeps what is drawn; a picture that is drawn twice counts once."""

    def __init__(self) -> None:
        self.shown: dict[str, Shown] = {}

    def on_show(self, run: Runner, shown: Shown) -> None:
        self.shown[shown.name] = shown


def _refuse_what_draws_nothing(name: str, kind: str, hook: object) -> None:
    """Before minutes are spent, and before a tracker tells anybody of a run that it knows."""
    if not isinstance(hook, Hook):
        raise ConfigError(f"hooks.{name}: built a {type(hook).__name__}, which is no Hook")
    if isinstance(hook, Tracker) or kind in {part["type"] for part in DEFAULT_HOOKS.values() if part}:
        raise PegboardError(f"{kind} draws nothing itself; expected a hook that calls run.show, e.g. ConfusionMatrix")


@contextmanager
def _in_words(name: str) -> Iterator[None]:
    try:
        yield
    except PegboardError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise PegboardError(f"{name} cannot draw a run that is over: {what}; --debug shows where") from error


def _moved(shown: Shown, pictures: Pictures) -> Shown:
    """The same picture where it is wanted, its table with it and its JSON file last."""
    path = pictures.path_of(shown.name, shown.iteration)
    path.parent.mkdir(parents=True, exist_ok=True)
    for ending in (".png", ".csv", ".json"):
        if (file := shown.path.with_suffix(ending)).is_file():
            temporary = path.with_name(f".{path.name}{ending}")
            shutil.copyfile(file, temporary)
            temporary.replace(path.with_suffix(ending))
    return Shown(shown.name, shown.caption, shown.epoch, shown.iteration, path, shown.data)
