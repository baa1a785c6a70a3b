"""What a run leaves behind beside its checkpoints: its folder, its surroundings, its log and its summary."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pegboard.checkpoint import Checkpoints
from pegboard.config import to_json, to_python
from pegboard.console import LogFile
from pegboard.errors import PegboardError
from pegboard.pictures import Pictures
from pegboard.runner.environment import environment, versions
from pegboard.runner.folder import new_folder, point_latest, write_json

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner

logger = logging.getLogger("pegboard")


def make_folder(run: "Runner") -> None:
    """The run folder, with the config as it was resolved."""
    if run.chosen_folder is None:
        run.folder = new_folder(Path("runs"), run.name, "try_" if run.limit else "")
        if not run.limit:
            point_latest(run.folder)
    else:
        run.folder = run.chosen_folder
        run.folder.mkdir(parents=True, exist_ok=True)
    run.checkpoints = Checkpoints(run.folder / "checkpoints")
    Pictures(run.folder / "figures").forget_after(run.iteration)  # a resumed run draws them again
    (run.folder / "config.py").write_text(to_python(run.config.values), encoding="utf-8")
    (run.folder / "config.json").write_text(to_json(run.config.values), encoding="utf-8")


@contextmanager
def kept(run: "Runner") -> Iterator[None]:
    """Around a run: its log file, its environment, and its summary, however it ends."""
    started = time.perf_counter()
    outcome = "failed"
    with LogFile(run.folder / "log.txt"):
        write_json(run.folder / "environment.json", environment(run))
        _warn_of_stand_in(run)
        try:
            yield
            outcome = "interrupted" if run.interrupted else "stopped" if run.stop_reason else "finished"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                outcome = "interrupted"
            elif isinstance(error, PegboardError):
                logger.debug("%s", error)  # for log.txt; whoever called shows it
            else:
                logger.debug("the run failed", exc_info=True)
            run.call("on_exception", error=error)
            raise
        finally:
            run.summary = _summary(run, outcome, time.perf_counter() - started)
            write_json(run.folder / "summary.json", run.summary)
            _warn_of_stand_in(run)
            logger.info("%s; everything is in %s", run.stop_reason or outcome, run.folder)


def _warn_of_stand_in(run: "Runner") -> None:
    if getattr(run.train_loader.dataset, "stand_in", False):
        logger.warning("the data is a STAND-IN drawn by code; no figure of this run says anything about real images")


def _summary(run: "Runner", outcome: str, seconds: float) -> dict[str, Any]:
    summary = {
        "config": run.name,
        "data": run.data_label,
        "seed": run.seed,
        "epochs": run.epoch,
        "iterations": run.iteration,
        "final": dict(run.final),
        "best": {name: {"value": value, "epoch": epoch} for name, (value, epoch) in run.best.items()},
        "images_per_second": round(run.speed.steady, 1),
        "data_wait": round(run.speed.data_wait, 4),
        "wall_seconds": round(seconds, 3),
        "hook_seconds": {name: round(spent, 3) for name, spent in run.hook_seconds.items()},
        "versions": versions(),
        "exit": outcome,
    }
    loaders = {"train": run.train_loader, "val": run.val_loader}
    if bad := {split: len(loader.bad.found) for split, loader in loaders.items() if loader and loader.bad.found}:
        summary["bad_samples"] = bad
    return {**summary, "stop_reason": run.stop_reason} if run.stop_reason else summary
