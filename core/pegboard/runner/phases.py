"""The stages of a run: how long each lasts, what is frozen in it, and at what batch size and rate it trains."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pegboard.config import batch_size as sizes
from pegboard.config.duration import Duration
from pegboard.data.loader import Loader
from pegboard.errors import DataError
from pegboard.runner.groups import take_in

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner

logger = logging.getLogger("pegboard")


@dataclass(frozen=True)
class Phase:
    """One stage; a run without ``phases`` has a single one.

    Args:
        start, end: iterations of the run, the end excluded.
        epochs: how many passes over the data, the last of which may be cut short.
        batch_size: samples an iteration.
        freeze: patterns of what stands still.
        lr: the learning rate at its start, times each group's ``lr_mult``; None takes the optimizer's.
        scheduler: the schedules of this phase alone, as in the config.
    """

    start: int
    end: int
    epochs: int
    batch_size: int
    freeze: Sequence[str] = ()
    lr: float | None = None
    scheduler: Any = None


def plan(values: Mapping[str, Any], loader: Loader, limit: int | None, world: int = 1) -> list[Phase]:
    """The phases of a run in order.

    Args:
        values: the run keys.
        limit: ends each phase after so many iterations (``--try``).
        world: number of ranks.
    """
    stages: Sequence[Mapping[str, Any]] = values["phases"] or [{"train_for": values["train_for"]}]
    phases: list[Phase] = []
    for stage in stages:
        batch_size = sizes.samples(stage.get("batch_size") or loader.batch_size, world)
        per_epoch = loader.batches_of(batch_size)
        if not per_epoch:
            raise DataError(f"the training data gives no batch: {loader.count} samples at batch_size={batch_size}")
        iterations = limit or Duration.parse(stage["train_for"]).iterations(per_epoch)
        start = phases[-1].end if phases else 0
        phases.append(
            Phase(
                start=start,
                end=start + iterations,
                epochs=-(-iterations // per_epoch),
                batch_size=batch_size,
                freeze=values["freeze"] if stage.get("freeze") is None else stage["freeze"],
                lr=stage.get("lr"),
                scheduler=stage.get("scheduler"),
            )
        )
    return phases


def enter(run: "Runner", number: int) -> None:
    """What is frozen, the batch size, the rates and the schedules of the phase that begins, or goes on."""
    run.phase, phase = number, run.phases[number]
    frozen = run.freezing.apply(phase.freeze)
    run.train_loader.batch_size = phase.batch_size
    run.per_epoch = len(run.train_loader)
    run.log_iterations = run.builder.duration("log_every").iterations(run.per_epoch)
    take_in(run.optimizer, run.rates)
    if not run.builder.values["scheduler"]:  # a schedule of the whole run goes on across its phases
        for group, rate in zip(run.optimizer.param_groups, run.rates, strict=True):
            follows = phase.lr is not None and group["lr_mult"] is not None
            group["lr"] = phase.lr * group["lr_mult"] if follows else rate
            group.pop("initial_lr", None)
        run.schedules = run.builder.schedules(
            run.optimizer, phase.scheduler, f"phases.{number}.scheduler", phase.end - phase.start, phase.epochs
        )
    if len(run.phases) > 1 or frozen:
        rates = sorted({float(group["lr"]) for group in run.optimizer.param_groups})
        lr = " to ".join(f"{rate:g}" for rate in dict.fromkeys((rates[0], rates[-1])))
        still = f"{len(frozen)} tensors frozen" if frozen else "nothing frozen"
        words = "phase %d of %d: %s, batch size %d, lr %s"
        logger.info(words, number + 1, len(run.phases), still, phase.batch_size, lr)
