"""Combinations of optimizer and scheduler that cannot work, or that silently mean something else than they say."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from pegboard import OPTIMIZERS, SCHEDULERS, Config, Problem
from pegboard.config.keys import optimizer_parts
from pegboard_optim import functions

# Schedulers that compute the rate from the step alone: what another one did to it is lost at their next step.
CLOSED_FORMS = ("OneCycleLR", "CyclicLR", "LambdaLR", "CosineAnnealingWarmRestarts")

Part = Mapping[str, Any]
Parts = Mapping[str, Part]  # by config path


def problems(config: Config) -> Iterator[Problem]:
    """What is wrong with the optimizer, and between it and each scheduler, of a config that is otherwise sound."""
    values = config.values
    optimizers = optimizer_parts(values.get("optimizer"))
    for path, optimizer in optimizers.items():
        yield from _optimizer(config, optimizer, path)
    yield from _together(config, optimizers, values.get("scheduler") or (), "scheduler")
    for number, phase in enumerate(values.get("phases") or ()):
        yield from _together(config, optimizers, phase.get("scheduler") or (), f"phases.{number}.scheduler")


# -- optimizers --------------------------------------------------------------------------------------------------


def _optimizer(config: Config, optimizer: Part, path: str) -> Iterator[Problem]:
    entry = OPTIMIZERS.find(optimizer["type"])
    if entry.package == "torch" and entry.name == "LBFGS":
        yield from _lbfgs(config, optimizer, path)
    if entry.package == "torch" and entry.name == "SparseAdam" and (config.values.get("clip_grad") or {}).get("value"):
        yield config.problem(
            "clip_grad.value", "torch cannot clip the values of SparseAdam's gradients; clip their norm"
        )
    if entry.package == "torch" and entry.name == "SGD":
        yield from _nesterov(config, optimizer, path)
        for index, rule in enumerate(optimizer.get("groups") or ()):
            if {"momentum", "dampening", "nesterov"} & rule.keys():
                yield from _nesterov(config, {**optimizer, **rule}, f"{path}.groups.{index}")


def _lbfgs(config: Config, optimizer: Part, path: str) -> Iterator[Problem]:
    values = config.values
    if path != "optimizer":
        yield config.problem(path, "LBFGS searches along a line over all parameters; it must be the only optimizer")
    if values.get("precision") == "fp16":
        yield config.problem(
            "precision", "LBFGS searches along a line and cannot scale its losses for fp16; write 'fp32' or 'bf16'"
        )
    if (values.get("accumulate") or 1) > 1:
        yield config.problem(
            "accumulate", "LBFGS evaluates a batch many times a step and takes it whole; leave accumulate out"
        )
    if optimizer.get("groups"):
        yield config.problem(f"{path}.groups", "LBFGS treats all parameters alike; leave groups out")
    if optimizer.get("layer_decay") is not None:
        yield config.problem(f"{path}.layer_decay", "LBFGS treats all parameters alike; leave layer_decay out")
    if len(values.get("phases") or ()) > 1:
        yield config.problem(
            "phases", "LBFGS keeps a history over all parameters, which no second phase can change; use one phase"
        )


def _nesterov(config: Config, options: Part, path: str) -> Iterator[Problem]:
    if not options.get("nesterov"):
        return
    if not options.get("momentum"):
        yield config.problem(path, "nesterov=True needs a momentum above 0, e.g. momentum=0.9")
    elif options.get("dampening"):
        yield config.problem(path, f"nesterov=True needs dampening=0, got {options['dampening']!r}; leave it out")


# -- schedulers --------------------------------------------------------------------------------------------------


def _together(config: Config, optimizers: Parts, schedulers: Any, path: str) -> Iterator[Problem]:
    """Schedulers that are all stepped: a list of them, or those inside a ChainedScheduler."""
    listed = isinstance(schedulers, list | tuple)
    paths = [f"{path}.{index}" for index in range(len(schedulers))] if listed else [path]
    parts = schedulers if listed else [schedulers]
    for part, where in zip(parts, paths, strict=True):
        yield from _scheduler(config, optimizers, part, where)
    if len(parts) > 1:
        yield from _overwritten(config, parts, paths)


def _kind(scheduler: Part) -> str:
    """The name of one of torch's schedulers; empty for a stranger's."""
    entry = SCHEDULERS.find(scheduler["type"])
    return entry.name if entry.package == "torch" else ""


def _scheduler(config: Config, optimizers: Parts, scheduler: Part, path: str) -> Iterator[Problem]:
    kind = _kind(scheduler)
    if not kind:
        return
    if kind == "ReduceLROnPlateau":
        yield from _plateau(config, scheduler, path)
    elif scheduler.get("monitor") is not None:
        yield config.problem(f"{path}.monitor", f"{kind} watches no metric; only ReduceLROnPlateau does")
    if kind in ("OneCycleLR", "CyclicLR"):
        yield from _cycle(config, kind, scheduler, optimizers, path)
    if "last_epoch" in scheduler:
        yield config.problem(
            f"{path}.last_epoch", "a resumed run restores its schedules itself; leave it out and use --resume"
        )
    if "milestones" in scheduler:
        yield from _milestones(config, scheduler["milestones"], f"{path}.milestones")
    for argument in functions.ARGUMENTS:
        if scheduler.get(argument) is not None:
            for where, message in functions.problems(scheduler[argument], f"{path}.{argument}"):
                yield config.problem(where, message)
    if kind in ("SequentialLR", "ChainedScheduler"):
        yield from _inside(config, kind, optimizers, scheduler, path)


def _plateau(config: Config, scheduler: Part, path: str) -> Iterator[Problem]:
    if scheduler.get("monitor") is None:
        yield config.problem(
            path, "ReduceLROnPlateau needs monitor, the metric that it watches, e.g. monitor='val/loss'"
        )
    elif "mode" not in scheduler and not str(scheduler["monitor"]).partition("/")[2].startswith("loss"):
        yield config.problem(
            path,
            f"ReduceLROnPlateau needs mode='max' or mode='min': whether a higher or a lower {scheduler['monitor']} is "
            "better",
        )
    if scheduler.get("unit") == "iter":
        yield config.problem(f"{path}.unit", "ReduceLROnPlateau steps once a validation; write unit='epoch'")


def _cycle(config: Config, kind: str, scheduler: Part, optimizers: Parts, path: str) -> Iterator[Problem]:
    ends = {name: scheduler[name] for name in ("base_lr", "max_lr") if name in scheduler}
    cycles = scheduler.get("cycle_momentum", True)
    span = "0.85 to 0.95" if kind == "OneCycleLR" else "0.8 to 0.9"
    for place, optimizer in optimizers.items():
        lr = optimizer.get("lr")
        if lr is not None and "max_lr" in ends and lr not in ends.values():
            said = " and ".join(f"{name}={value}" for name, value in ends.items())
            what = "peaks at its own" if kind == "OneCycleLR" else "goes between its own"
            message = f"{lr} is overwritten by {kind}, which {what} {said}; give one of the two"
            yield config.problem(f"{place}.lr", message)
        for name in ("momentum", "betas"):
            if cycles and name in optimizer:
                yield config.problem(
                    f"{place}.{name}",
                    f"{optimizer[name]} is overwritten by {kind}, which cycles momentum from {span} by "
                    f"default; write {path}.cycle_momentum=False to keep it, or leave it out",
                )
    kinds = [
        {"momentum", "betas"} & OPTIMIZERS.find(part["type"]).signature().parameters.keys()
        for part in optimizers.values()
    ]
    if cycles and len(kinds) > 1 and not set.intersection(*kinds):
        names = " and ".join(str(part["type"]) for part in optimizers.values())
        yield config.problem(
            path, f"{kind} cycles momentum or betas, and {names} have neither in common; write cycle_momentum=False"
        )


def _milestones(config: Config, milestones: Any, path: str) -> Iterator[Problem]:
    if not isinstance(milestones, list | tuple) or not all(type(step) is int and step >= 1 for step in milestones):
        yield config.problem(path, f"must be a list of numbers of steps, at least 1, got {milestones!r}")
    elif any(later <= earlier for earlier, later in pairwise(milestones)):
        yield config.problem(path, f"must increase, got {milestones!r}; did you mean {sorted(set(milestones))!r}?")


def _inside(config: Config, kind: str, optimizers: Parts, scheduler: Part, path: str) -> Iterator[Problem]:
    parts = scheduler["schedulers"]
    if not isinstance(parts, list | tuple) or not parts:
        yield config.problem(f"{path}.schedulers", f"{kind} needs a list of schedulers, got {parts!r}")
        return
    for number, part in enumerate(parts):
        where = f"{path}.schedulers.{number}"
        if _kind(part) == "ReduceLROnPlateau":
            yield config.problem(where, f"{kind} cannot step ReduceLROnPlateau; list it beside {kind}")
        elif kind == "SequentialLR":
            yield from _scheduler(config, optimizers, part, where)
    if kind == "ChainedScheduler":
        chained = [part for part in parts if _kind(part) != "ReduceLROnPlateau"]
        if len(chained) == len(parts):
            yield from _together(config, optimizers, parts, f"{path}.schedulers")
    elif len(scheduler["milestones"]) != len(parts) - 1:
        yield config.problem(
            f"{path}.milestones",
            f"{len(parts)} schedulers need {len(parts) - 1} milestones between them, got {scheduler['milestones']!r}",
        )


def _overwritten(config: Config, parts: Sequence[Part], paths: Sequence[str]) -> Iterator[Problem]:
    """One closed form among several leaves nothing of what the others do."""
    for index, (part, path) in enumerate(zip(parts, paths, strict=True)):
        if closed := _closed_form(part):
            other = next(number for number in range(len(parts)) if number != index)
            yield config.problem(
                path,
                f"{closed} sets the rate at each of its steps anew, so that what {parts[other]['type']} does "
                f"({paths[other]}) is lost; use SequentialLR, or one of the two",
            )
            return


def _closed_form(scheduler: Part) -> str:
    """The name of a closed form that the scheduler is, or that takes its turn in it."""
    kind = _kind(scheduler)
    if kind in ("SequentialLR", "ChainedScheduler"):
        return next(filter(None, map(_closed_form, scheduler["schedulers"])), "")
    return kind if kind in CLOSED_FORMS else ""
