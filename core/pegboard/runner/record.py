"""What a run leaves behind beside its checkpoints: its folder, its surroundings, its log and its summary."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pegboard.checkpoint import Checkpoints
from pegboard.config import to_json, to_python, with_origins
from pegboard.console import LogFile
from pegboard.errors import PegboardError
from pegboard.pictures import Pictures
from pegboard.runner.build import fingerprint
from pegboard.runner.folder import environment, new_folder, point_latest, versions, write_json

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
    write_json(run.folder / "origins.json", {path: place for path, _, place in with_origins(run.config)})


@contextmanager
def kept(run: "Runner") -> Iterator[None]:
    """Around a run: its log file, its environment, and its summary, however it ends."""
    started = time.perf_counter()
    outcome = "failed"
    with LogFile(run.folder / "log.txt"):
        write_json(run.folder / "environment.json", _environment(run))
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
            run.summary = summary(run, outcome, time.perf_counter() - started)
            write_json(run.folder / "summary.json", run.summary)
            run.call("on_end", summary=run.summary)
            run.summary["hook_seconds"] = _hook_seconds(run)  # with what the report has taken
            write_json(run.folder / "summary.json", run.summary)
            _warn_of_stand_in(run)
            logger.info("%s; everything is in %s%s", run.stop_reason or outcome, run.folder, _report(run))


def _report(run: "Runner") -> str:
    """Where to read about the run, if the hook of that name has written it."""
    page = run.folder / "report.html"
    return f"; its report is {page}" if "report" in run.hooks and page.is_file() else ""


def _warn_of_stand_in(run: "Runner") -> None:
    if getattr(run.train_loader.dataset, "stand_in", False):
        logger.warning("the data is a STAND-IN drawn by code; no figure of this run says anything about real images")


def _environment(run: "Runner") -> dict[str, Any]:
    return {
        **environment(),
        "device": str(run.device),
        "seed": run.seed,
        "threads": torch.get_num_threads(),
        "engine": run.train_loader.mode,
        "hooks": list(run.hooks),
        "data": run.data_label,
        "data_fingerprint": fingerprint(run.train_loader),
    }


def _hook_seconds(run: "Runner") -> dict[str, float]:
    return {name: round(spent, 3) for name, spent in run.hook_seconds.items()}


def summary(run: "Runner", outcome: str, seconds: float) -> dict[str, Any]:
    """What is to be said of a run so far.

    Args:
        outcome: finished, stopped, interrupted or failed; anything else for a run that goes on.
        seconds: that it has taken.
    """
    said = {
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
        "hook_seconds": _hook_seconds(run),
        "versions": versions(),
        "exit": outcome,
    }
    loaders = {"train": run.train_loader, "val": run.val_loader}
    if bad := {split: len(loader.bad.found) for split, loader in loaders.items() if loader and loader.bad.found}:
        said["bad_samples"] = bad
    return {**said, "stop_reason": run.stop_reason} if run.stop_reason else said
