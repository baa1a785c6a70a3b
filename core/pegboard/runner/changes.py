"""A run that goes on with another config than it began with: what changed, and what that means."""

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pegboard.config.dump import to_data
from pegboard.errors import CheckpointError
from pegboard.runner import contents

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner

logger = logging.getLogger("pegboard")

NOTHING = object()
FROM_HERE = "holds from here on"

# First key of a path -> what a change means for what is left of the run.
MEANING: Mapping[str, str] = {
    "train": "the rest is trained on other data, or on other images of it",
    "val": "figures before and after do not compare",
    "metrics": "figures before and after do not compare; one that is new counts from here on",
    "loss": "what is minimised is another from here on",
    "model": "the weights go on in it",
    "init": "has no effect: the weights are those of the checkpoint",
    "pretrained": "has no effect: the weights are those of the checkpoint",
    "optimizer": "has no effect: the optimizer goes on with its own settings, the learning rate among them",
    "scheduler": "has no effect on what a schedule keeps itself: it goes on as it was saved",
    "train_for": "the run ends then; schedules keep the length that they were built for",
    "phases": "holds for what is left of the run",
    "seed": "order, augmentation and dropout are drawn anew: in mid-epoch samples may come twice, or not at all",
    "device": "the numbers may differ in their last bits",
    "threads": "the numbers may differ in their last bits",
    "deterministic": "the numbers may differ in their last bits",
    "precision": "the numbers are computed otherwise from here on",
    "compile": "the numbers may differ in their last bits",
    "strategy": "the numbers may differ in their last bits",
    "channels_last": "the numbers may differ in their last bits",
    "hooks": "a hook that is new begins without a past; the past of one that is gone is forgotten",
}
# These change nothing that a run computes.
SILENT = ("name", "work_dir", "plugins", "test")


def tell(run: "Runner", state: Mapping[str, Any]) -> None:
    """Log each value that is not the one the run was saved with."""
    for path, before, now in differences(state["config"], to_data(run.config.values)):
        key = path.partition(".")[0]
        if key not in SILENT:
            level = logging.INFO if key == "hooks" else logging.WARNING  # one that watches comes and goes
            what = (path, _shown(before), _shown(now), MEANING.get(key, FROM_HERE))
            logger.log(level, "%s was %s, now %s: %s", *what)


def tell_of_data(run: "Runner", state: Mapping[str, Any]) -> None:
    """Warn of data that the config names as before, and that holds something else now, or may do so.

    It is no error: a mended label is a reason to go on. Another number of batches is refused with the config's.
    """
    now = to_data(run.config.values)
    for split, then in (state.get("contents") or {}).items():
        found = run.contents.get(split)
        if found is None or found["of"] != then["of"] or state["config"].get(split) != now.get(split):
            continue  # it was loaded otherwise, or is said to be other data
        if found["hash"] == then["hash"]:
            if found.get("times") != then.get("times", found.get("times")):
                loader = run.train_loader if split == "train" else run.val_loader
                logger.warning(
                    "files of the %s data were written to since the run began, and have kept their sizes (last: %s): "
                    "if more than a copy was made, %s",
                    *(split, contents.last_written(loader) if loader else "", MEANING[split]),
                )
        else:
            counts = then["samples"], found["samples"]
            amount = f"{counts[0]} samples then, {counts[1]} now; " if counts[0] != counts[1] else ""
            logger.warning(
                "the %s data has changed since the checkpoint (%shash of its %s %s, now %s): %s",
                *(split, amount, then["of"], then["hash"], found["hash"], MEANING[split]),
            )


def refuse(run: "Runner", state: Mapping[str, Any]) -> None:
    """End here where the rest of the run cannot be the rest of this one.

    Raises:
        CheckpointError: its past would not be that of the config.
    """
    for number, (then, now) in enumerate(zip(state["plan"], plan(run), strict=False)):
        if then["start"] > run.iteration or (then["start"] == run.iteration and number):
            break
        over = then["end"] <= run.iteration
        for key in ("start", "per_epoch", *(["end"] if over and number + 1 < len(state["plan"]) else [])):
            if then[key] != now[key]:
                what = {"per_epoch": "iterations an epoch", "start": "as its first iteration", "end": "as its last"}[
                    key
                ]
                where = f"phase {number + 1}" if len(state["plan"]) > 1 else "the run"
                raise CheckpointError(
                    f"the checkpoint counts {then[key]} {what} of {where}, the config {now[key]}: its position would "
                    "mean something else; keep train.batch_size, the data and the phases that are over, or take its "
                    "weights for a new run: pretrained=dict(path=...)"
                )
    for number, schedule in enumerate(run.schedules):
        total = getattr(schedule.scheduler, "total_steps", None)  # OneCycleLR ends with an error after these
        phase = run.phases[run.phase]
        last = phase.end if not run.builder.values["scheduler"] else run.total_iterations
        begun = phase.start if not run.builder.values["scheduler"] else 0
        if total is not None and schedule.unit == "iter" and last - begun > total:
            name = type(schedule.scheduler).__name__
            raise CheckpointError(
                f"scheduler {number} of the checkpoint, {name}, ends after {total} steps, the config asks for "
                f"{last - begun}; a run with it cannot be made longer"
            )


def refuse_other_classes(run: "Runner", state: Mapping[str, Any]) -> None:
    """End here where the state of one class would be loaded into another, which torch does not notice.

    Raises:
        CheckpointError: the config names another optimizer or scheduler.
    """
    for then, now in zip(state["classes"], classes(run), strict=False):
        if then != now:
            raise CheckpointError(
                f"the checkpoint was saved by {then}, the config has {now}, which cannot go on from it"
            )


def classes(run: "Runner") -> list[str]:
    """The optimizer's class and the schedulers'."""
    return [type(part).__name__ for part in (run.optimizer, *(schedule.scheduler for schedule in run.schedules))]


def plan(run: "Runner") -> list[dict[str, int]]:
    """What the position of a checkpoint counts in: each phase's first and last iteration, and those of an epoch."""
    return [
        {"start": phase.start, "end": phase.end, "per_epoch": run.train_loader.batches_of(phase.batch_size)}
        for phase in run.phases
    ]


def differences(one: Any, other: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Path, old and new value of each place where two configs as data differ; ``NOTHING`` where there is none."""
    if isinstance(one, Mapping) and isinstance(other, Mapping) and one.get("type") == other.get("type"):
        for key in [*one, *(key for key in other if key not in one)]:
            yield from differences(
                one.get(key, NOTHING), other.get(key, NOTHING), f"{path}.{key}" if path else str(key)
            )
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (old, new) in enumerate(zip(one, other, strict=True)):
            yield from differences(old, new, f"{path}.{index}")
    elif one != other:
        yield path, one, other


def _shown(value: Any) -> str:
    text = "not set" if value is NOTHING else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
