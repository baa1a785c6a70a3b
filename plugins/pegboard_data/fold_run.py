"""One fold's run: fresh, resumed, or over already."""

import gc
import json
import random
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pegboard import Config, Runner
from pegboard.checkpoint import Checkpoints
from pegboard.cli.interrupts import Interrupts
from pegboard.config.keys import DEFAULT_HOOKS
from pegboard.console import quiet
from pegboard.errors import CheckpointError
from pegboard.runner.lock import FolderLock
from pegboard.runner.phases import plan

TRIED = 3  # iterations that tell how long a fold will take
ENDED = ("finished", "stopped")  # a hook such as EarlyStop has the last word on the length of a run


def ended(folder: Path) -> dict[str, Any] | None:
    """The summary of a run that is over; None where it has to begin or to go on."""
    try:
        summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return summary if summary.get("exit") in ENDED else None


def newest_state(folder: Path) -> Mapping[str, Any] | None:
    """What a run can go on from; None where it was ended before its first checkpoint, or has no whole one."""
    checkpoints = Checkpoints(folder / "checkpoints")
    try:
        return checkpoints.newest()[1] if checkpoints.index() else None
    except CheckpointError:
        return None


def is_fresh(folder: Path) -> bool:
    """Has a fold all its run still before it?"""
    try:
        return ended(folder) is None and not Checkpoints(folder / "checkpoints").index()
    except CheckpointError:
        return True


def clear(folder: Path) -> None:
    """Remove what a run left that cannot go on.

    Raises:
        PegboardError: another process has begun it, and goes on.
    """
    if not folder.exists():
        return
    lock = FolderLock()
    lock.take(folder)
    with lock:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def run_fold(config: Config, folder: Path, state: Mapping[str, Any] | None) -> dict[str, Any]:
    """Train a fold; its summary, whose ``"exit"`` says whether Ctrl-C came between.

    Args:
        state: a checkpoint's, to go on from.
    """
    with isolated(bool(config.values.get("compile"))):
        runner = Runner(config, folder, state)
        with Interrupts(runner):
            return runner.train()


def expected_seconds(config: Config, folder: Path) -> float:
    """How long a fold will train, judged by its first iterations; nothing of it is kept but what it writes in a folder.

    The config's hooks are left out: one may tell others of the run. What a validation takes does not count.
    """
    values = {**config.values, "hooks": dict.fromkeys(DEFAULT_HOOKS), "checkpoint": None}
    with isolated(bool(values.get("compile"))), quiet():
        runner = Runner(Config(values, config.origins, config.path), folder, try_iterations=TRIED)
        runner.train()
        phases = plan({"phases": None, "freeze": (), **values}, runner.train_loader, limit=None)
        images = sum((phase.end - phase.start) * phase.batch_size for phase in phases)
    return float(images / runner.speed.recent)


@contextmanager
def isolated(compiles: bool = False) -> Iterator[None]:
    """Whatever one run changes in this process is put back, so that the next one begins as the first did.

    That is the number of threads, which worker processes lower, the common generators, torch's choice of
    algorithms, and what was compiled; and memory is given back.
    """
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    python, arrays, tensors = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if torch.are_deterministic_algorithms_enabled() != deterministic:
            torch.use_deterministic_algorithms(deterministic)
        random.setstate(python)
        np.random.set_state(arrays)
        torch.set_rng_state(tensors)
        gc.collect()
        if compiles:  # torch gives up compiling what it has compiled in eight forms, and each run's model is one
            torch.compiler.reset()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
