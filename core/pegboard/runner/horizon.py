"""How long a schedule is meant to last, beside how long the run lets it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pegboard.registry import SCHEDULERS

# Arguments that say over how many steps a schedule stretches, where its entry declares them as supplied by the run.
HORIZONS = ("T_max", "total_steps", "total_iters")


def supply(length: int) -> dict[str, int]:
    """What a scheduler that leaves its horizon out gets."""
    return dict.fromkeys(HORIZONS, length)


def inside(cfg: Mapping[str, Any], length: int) -> list[int]:
    """How many steps each scheduler inside another lasts: from milestone to milestone, or all, where there are none."""
    parts: Sequence[Any] = cfg.get("schedulers") or ()
    milestones: Sequence[int] = cfg.get("milestones") or ()
    if len(milestones) != len(parts) - 1 or not milestones:
        return [length] * len(parts)
    ends = [*milestones, length]
    return [max(1, end - begin) for begin, end in zip([0, *milestones], ends, strict=True)]


def surprises(cfg: Mapping[str, Any], path: str, length: int, unit: str) -> Iterator[tuple[str, str]]:
    """(config path, what is odd) of horizons that are not the length of the run, or of the stage that they are for."""
    for number, (part, steps) in enumerate(zip(cfg.get("schedulers") or (), inside(cfg, length), strict=True)):
        yield from surprises(part, f"{path}.schedulers.{number}", steps, unit)
    whole = f"{length} {'epoch' if unit == 'epoch' else 'iteration'}{'s' if length > 1 else ''}"
    meant = {name: cfg[name] for name in HORIZONS if name in cfg and name in SCHEDULERS.find(cfg["type"]).supplied}
    if "total_steps" not in meant and cfg.get("epochs") and cfg.get("steps_per_epoch"):
        meant["steps_per_epoch"] = cfg["epochs"] * cfg["steps_per_epoch"]
    for name, steps in meant.items():
        if isinstance(steps, int) and steps != length:
            what = "ends early" if steps < length else "is cut short"
            yield f"{path}.{name}", f"the schedule stretches over {steps} steps and the run over {whole}: it {what}"
    late = [milestone for milestone in cfg.get("milestones") or () if milestone >= length]
    if late:
        yield f"{path}.milestones", f"{late[0]} is never reached: the run lasts {whole}"
