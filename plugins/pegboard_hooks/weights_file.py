"""A file of weights in the run folder that ``pegboard test`` takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pegboard import CheckpointError, checkpoint
from pegboard.config.dump import to_data

if TYPE_CHECKING:
    from pegboard import Runner


def write(run: "Runner", name: str, weights: Mapping[str, Tensor], **more: Any) -> Path:
    """Write ``checkpoints/<name>.pt``, whole or not at all: weights, and what it takes to build and feed their model.

    Called on every rank. It is no checkpoint to resume from: neither optimizer nor schedules are in it.

    Args:
        weights: a state dict of the run's model.
        more: further keys of the file; plain values.

    Raises:
        CheckpointError: the disk is full, or the like.
    """
    path = run.folder / "checkpoints" / f"{name}.pt"
    weights = run.whole(weights)
    if not run.writes:  # another rank does
        return path
    contents = {
        "model": weights,
        "epoch": epoch_of(run),
        "iteration": run.iteration,
        "known": to_data(run.facts),
        "data": run.data_label,
        "name": run.name,
        "config": to_data(run.config.values),
        **more,
    }
    try:
        checkpoint.write(path, contents)
    except OSError as error:
        raise CheckpointError(f"{path} could not be written: {error}") from error
    return path


def epoch_of(run: "Runner") -> int:
    """The epoch that goes on, or the one that has ended; the first is 1."""
    return run.epoch + 1 if run.position else run.epoch
