"""Combinations of optimizer and scheduler that cannot work, or that silently mean something else than they say."""

from collections.abc import Iterator, Mapping
from typing import Any

from pegboard import Config, Problem


def problems(config: Config) -> Iterator[Problem]:
    """What is wrong between the optimizer and each scheduler of a config that is otherwise sound."""
    optimizer = config.values.get("optimizer") or {}
    schedulers = config.values.get("scheduler") or ()
    listed = isinstance(schedulers, list | tuple)
    for index, scheduler in enumerate(schedulers if listed else [schedulers]):
        path = f"scheduler.{index}" if listed else "scheduler"
        name = str(scheduler.get("type")).rpartition(":")[2]
        if name == "ReduceLROnPlateau":
            yield from _plateau(config, scheduler, path)
        elif scheduler.get("monitor") is not None:
            yield config.problem(f"{path}.monitor", f"{name} watches no metric; only ReduceLROnPlateau does")
        if name == "OneCycleLR":
            yield from _one_cycle(config, scheduler, optimizer, path)
        if "last_epoch" in scheduler:
            yield config.problem(
                f"{path}.last_epoch", "a resumed run restores its schedules itself; leave it out and use --resume"
            )


def _plateau(config: Config, scheduler: Mapping[str, Any], path: str) -> Iterator[Problem]:
    if scheduler.get("monitor") is None:
        yield config.problem(
            path, "ReduceLROnPlateau needs monitor, the metric that it watches, e.g. monitor='val/loss'"
        )
    if scheduler.get("unit") == "iter":
        yield config.problem(f"{path}.unit", "ReduceLROnPlateau steps once a validation; write unit='epoch'")


def _one_cycle(
    config: Config, scheduler: Mapping[str, Any], optimizer: Mapping[str, Any], path: str
) -> Iterator[Problem]:
    lr, max_lr = optimizer.get("lr"), scheduler.get("max_lr")
    if lr is not None and max_lr is not None and max_lr != lr:
        yield config.problem(
            "optimizer.lr",
            f"{lr} is overwritten by OneCycleLR, which peaks at its own max_lr={max_lr}; give one of the two",
        )
    if scheduler.get("cycle_momentum", True):
        for name in ("momentum", "betas"):
            if name in optimizer:
                yield config.problem(
                    f"optimizer.{name}",
                    f"{optimizer[name]} is overwritten by OneCycleLR, which cycles momentum from 0.85 to 0.95 by "
                    f"default; write {path}.cycle_momentum=False to keep it, or leave it out",
                )
