"""What a run leaves behind beside its checkpoints: its folder, its surroundings, its log and its summary."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pegboard import distributed
from pegboard.checkpoint import Checkpoints
from pegboard.config import to_json, to_python, with_origins
from pegboard.console import LogFile
from pegboard.distributed import PeerLost
from pegboard.errors import PegboardError
from pegboard.pictures import Pictures
from pegboard.runner.environment import environment, versions
from pegboard.runner.folder import new_folder, point_latest, replace_text, write_json

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner

logger = logging.getLogger("pegboard")


def claim(run: "Runner") -> None:
    """Take the folder that the user chose, if it is there already.

    Raises:
        PegboardError: a live run uses it, or it holds a run that is not resumed.
    """
    folder = run.chosen_folder
    if not distributed.is_first() or folder is None or not folder.exists():
        return
    if not folder.is_dir():
        raise PegboardError(f"{folder} is no folder; a run needs one")
    run.lock.take(folder)
    if run.resume is None and _holds_a_run(folder / "checkpoints"):
        raise PegboardError(f"{folder} holds a run already; --resume goes on with it, another --work-dir starts anew")


def _holds_a_run(checkpoints: Path) -> bool:
    """Whether something lies there that a new run would lose; a checkpoint that a kill left unlisted does not count."""
    others = any(not path.name.startswith("iteration_") for path in checkpoints.glob("*.pt"))
    return others or bool(Checkpoints(checkpoints).index())


def make_folder(run: "Runner") -> None:
    """The run folder, with the config as it was resolved; of several ranks the first one makes it.

    Raises:
        PegboardError: nothing can be written there, or another run was faster.
    """
    if run.writes:
        _make_folder(run)
    if run.ranks.several:
        run.folder = Path(distributed.from_first(str(run.folder) if run.writes else None))
        run.checkpoints = Checkpoints(run.folder / "checkpoints")


def _make_folder(run: "Runner") -> None:
    try:
        if run.chosen_folder is None:
            run.folder = new_folder(Path("runs"), run.name, "try_" if run.limit else "")
            run.lock.take(run.folder)
            if not run.limit:
                point_latest(run.folder)
        else:
            run.folder = run.chosen_folder
            run.folder.mkdir(parents=True, exist_ok=True)
            claim(run)  # again, for one that was made in the meantime
        run.checkpoints = Checkpoints(run.folder / "checkpoints")
        if run.resume is not None:
            run.checkpoints.go_on_from(run.iteration)
            Pictures(run.folder / "figures").forget_after(run.iteration)  # they are drawn again
        replace_text(run.folder / "config.py", to_python(run.config.values))
        replace_text(run.folder / "config.json", to_json(run.config.values))
        write_json(run.folder / "origins.json", {path: place for path, _, place in with_origins(run.config)})
    except OSError as error:
        raise PegboardError(
            f"the run cannot be written to {error.filename or run.chosen_folder}: {error.strerror}"
        ) from error


@contextmanager
def kept(run: "Runner") -> Iterator[None]:
    """Around a run: its log file, its environment, and its summary, however it ends."""
    started = time.perf_counter()
    outcome = "failed"
    log = "log.txt" if run.writes else f"log_rank{run.ranks.rank}.txt"
    with run.lock, LogFile(run.folder / log):
        found = environment(run)
        run.begins_in(found)
        if run.writes:
            write_json(run.folder / "environment.json", found)
        _warn_of_stand_in(run)
        try:
            yield
            outcome = "interrupted" if run.interrupted else "stopped" if run.stop_reason else "finished"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                outcome = "interrupted"
            elif isinstance(error, PegboardError):
                for line in error.lines:
                    logger.debug("%s", line)  # for log.txt; whoever called shows it
            elif distributed.is_lost(error):
                logger.debug("another rank has ended: %s", error)
            else:
                logger.debug("the run failed", exc_info=True)
            run.call("on_exception", error=error)
            if distributed.is_lost(error):
                raise PeerLost(
                    "another rank of the run has ended, and this one with it; --resume goes on from the last checkpoint"
                ) from error
            if _is_out_of_memory(error):
                last = "; --resume goes on from the last checkpoint" if run.checkpoints.listed() else ""
                raise PegboardError(
                    f"out of memory at iteration {run.iteration + 1} with batch_size={run.train_loader.batch_size}: "
                    f"accumulate=2 takes the batch in two pieces, with the same gradients{last} "
                    f"({str(error).splitlines()[0] if str(error) else type(error).__name__})"
                ) from error
            raise
        finally:
            run.summary = summary(run, outcome, time.perf_counter() - started)
            _write_summary(run)
            run.call("on_end", summary=run.summary)
            run.summary["hook_seconds"] = _hook_seconds(run)  # with what the report has taken
            _write_summary(run)
            _warn_of_stand_in(run)
            logger.info("%s; everything is in %s%s", run.stop_reason or outcome, run.folder, _report(run))


def _report(run: "Runner") -> str:
    """Where to read about the run, if the hook of that name has written it."""
    page = run.folder / "report.html"
    return f"; its report is {page}" if "report" in run.hooks and page.is_file() else ""


def _is_out_of_memory(error: BaseException) -> bool:
    """On a GPU torch has a class for it; on the CPU only words."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _write_summary(run: "Runner") -> None:
    if not run.writes:
        return
    try:
        write_json(run.folder / "summary.json", run.summary)
    except OSError as error:  # a full disk: what made the run end is the better error
        logger.error("summary.json could not be written: %s", error)


def _warn_of_stand_in(run: "Runner") -> None:
    if getattr(run.train_loader.dataset, "stand_in", False):
        logger.warning("the data is a STAND-IN drawn by code; no figure of this run says anything about real images")


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
    if run.ranks.several:
        said["communication"] = round(run.speed.communication, 4)
    if run.skipped:
        said["skipped_steps"] = run.skipped
    loaders = {"train": run.train_loader, "val": run.val_loader}
    if bad := {split: len(loader.bad.found) for split, loader in loaders.items() if loader and loader.bad.found}:
        said["bad_samples"] = bad
    return {**said, "stop_reason": run.stop_reason} if run.stop_reason else said
