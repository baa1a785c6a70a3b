"""What a resume needs: gathered from a run, saved, and put back into one."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from pegboard.config.dump import to_data
from pegboard.data.loader import Loader
from pegboard.errors import CheckpointError
from pegboard.runner import changes, non_finite, pinned
from pegboard.runner.groups import added

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner

logger = logging.getLogger("pegboard")

VERSION = 3  # of the layout below


def gather(run: "Runner") -> dict[str, Any]:
    """Everything that the rest of the run depends on, but for the hooks; tensors and plain values only."""
    return {
        "version": VERSION,
        "epoch": run.epoch,
        "position": run.position,
        "phase": run.phase,
        "iteration": run.iteration,
        "validation_due": run.validation_due,
        "skipped": run.skipped,
        "bad_samples": {split: dict(loader.bad.found) for split, loader in _loaders(run)},
        "model": run.model.state_dict(),
        "loss": run.step.criterion.state_dict() if isinstance(run.step.criterion, nn.Module) else {},
        "optimizer": run.optimizer.state_dict(),
        "added_groups": added(run.model, run.optimizer, run.groups_built, run.rates),
        "schedules": [schedule.state_dict() for schedule in run.schedules],
        "scaler": run.scaler.state_dict() if run.scaler else None,
        "figures": run.figures.state_dict(),
        "pending": {name: float(value) for name, value in run.pending.items()},
        "final": dict(run.final),
        "best": {name: list(value) for name, value in run.best.items()},
        "known": to_data(run.facts),
        "data": run.data_label,
        "contents": run.contents,
        "classes": changes.classes(run),
        "plan": changes.plan(run),
        "surroundings": pinned.surroundings(run),
        "name": run.name,
        "config": to_data(run.config.values),
    }


def gather_hooks(run: "Runner") -> dict[str, Any]:
    """Each hook's state under its name in the config.

    Raises:
        CheckpointError: one holds something that a safe load would refuse; the hook is named.
    """
    hooks = {name: hook.state_dict() for name, hook in run.hooks.items()}
    for name, state in hooks.items():
        if alien := _alien(state):
            raise CheckpointError(
                f"hook {name!r} has a {alien} in its state; a checkpoint holds tensors, numbers, strings, "
                "lists and dicts"
            )
    return hooks


def refuse_other_layout(state: Mapping[str, Any]) -> None:
    """End here if a state was gathered by another version of this module.

    Raises:
        CheckpointError: it was.
    """
    if state.get("version") != VERSION:
        raise CheckpointError(f"the checkpoint has layout {state.get('version')!r}; this pegboard reads {VERSION}")


def restore(run: "Runner", state: dict[str, Any]) -> None:
    """Put a gathered state back into a run that was built from the same config.

    Raises:
        CheckpointError: the state is not of this model, optimizer or schedule.
    """
    state = run.ranks.strategy.load(state)
    run.epoch, run.position, run.iteration = state["epoch"], state["position"], state["iteration"]
    changes.tell(run, state)
    changes.tell_of_data(run, state)
    pinned.warn_of_another_machine(run, state["surroundings"])
    run.validation_due = state["validation_due"]
    run.skipped = state["skipped"]
    for split, loader in _loaders(run):
        if run.contents[split] == (state.get("contents") or {}).get(split):  # else one may have been mended
            loader.bad.found |= (state.get("bad_samples") or {}).get(split, {})
    load_weights(run.model, state["model"])
    load_loss(run, state)
    _recall_added(run, state.get("added_groups") or [])
    if len(state["schedules"]) != len(run.schedules):
        raise CheckpointError(
            f"the checkpoint has {len(state['schedules'])} schedulers, the config {len(run.schedules)}"
        )
    changes.refuse_other_classes(run, state)
    try:
        run.optimizer.load_state_dict(state["optimizer"])
        for schedule, saved in zip(run.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(saved)
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"the optimizer's state does not fit the config: {error}") from error
    changes.refuse(run, state)
    if run.scaler and state["scaler"]:
        run.scaler.load_state_dict(state["scaler"])
    for name, hook in run.hooks.items():
        if name in state["hooks"]:
            hook.load_state_dict(state["hooks"][name])
    run.figures.load_state_dict(state["figures"])
    run.pending = dict(state["pending"])
    run.final = dict(state["final"])
    run.best = {name: (value, epoch) for name, (value, epoch) in state["best"].items()}


def _loaders(run: "Runner") -> list[tuple[str, Loader]]:
    loaders = {"train": run.train_loader, "val": run.val_loader}
    return [(split, loader) for split, loader in loaders.items() if loader is not None]


def _recall_added(run: "Runner", groups: list[Mapping[str, Any]]) -> None:
    """Parameters of groups that a hook added may have been frozen until then, and their rates are not the config's."""
    run.rates[run.groups_built :] = [group["rate"] for group in groups if group["rate"] is not None]
    for group in groups:
        for name in group["params"]:
            run.model.get_parameter(name).requires_grad_(name in group["learn"])


def load_weights(model: Any, weights: dict[str, Tensor]) -> None:
    """Load a state dict whose every name and shape must fit.

    Raises:
        CheckpointError: one does not; it is named.
    """
    own = model.state_dict()
    missing, unexpected = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    wrong = [
        f"{name} is {tuple(getattr(weights[name], 'shape', ()))}, the model's {tuple(own[name].shape)}"
        for name in own.keys() & weights.keys()
        if not is_lazy(own[name]) and getattr(weights[name], "shape", None) != own[name].shape
    ]
    if missing or unexpected or wrong:
        parts = [
            f"missing: {', '.join(missing[:5])}" if missing else "",
            f"not in the model: {', '.join(unexpected[:5])}" if unexpected else "",
            f"of another shape: {'; '.join(sorted(wrong)[:5])}" if wrong else "",
        ]
        raise CheckpointError(f"the weights do not fit the {type(model).__name__}: " + "; ".join(filter(None, parts)))
    model.load_state_dict(weights)


def load_loss(run: "Runner", state: Mapping[str, Any]) -> None:
    """Give the loss back what it keeps, such as running centres of classes, unless the config has changed it since."""
    kept, criterion = state.get("loss"), run.step.criterion
    same = (state.get("config") or {}).get("loss") == to_data(run.config.values.get("loss"))
    if kept and same and isinstance(criterion, nn.Module):
        load_weights(criterion, kept)


def _alien(value: Any) -> str:
    """The type of the first thing in a state that a safe load would refuse; empty if there is none."""
    if isinstance(value, dict):
        return next(filter(None, (_alien(part) for pair in value.items() for part in pair)), "")
    if isinstance(value, list | tuple):
        return next(filter(None, (_alien(part) for part in value)), "")
    return "" if value is None or isinstance(value, bool | int | float | str | bytes | Tensor) else type(value).__name__


def save(run: "Runner") -> None:
    """Write a checkpoint, or begin to; where the disk refuses it, the next record tries again."""
    settle(run, wait=True)
    try:
        state = gather(run)
        non_finite.stop(run)
        non_finite.refuse_weights(run)
        run.call("before_checkpoint", state=state)
        state["hooks"] = gather_hooks(run)  # after the call: a hook may bring its own state up to date there
        path = run.ranks.strategy.save(run.checkpoints, state, run.keep_checkpoints)
    except OSError as error:
        _refused(run, run.iteration, error)
        return
    run.saving = (run.iteration, path)
    settle(run)


def settle(run: "Runner", wait: bool = False) -> None:
    """Has the strategy written the checkpoint that it writes beside training, or has the disk refused it?

    Args:
        wait: until one or the other is so.
    """
    if run.saving is None:
        return
    (iteration, path), run.saving = run.saving, None
    try:
        if not run.ranks.strategy.saved(wait):
            run.saving = (iteration, path)
            return
    except OSError as error:
        _refused(run, iteration, error)
        return
    run.save_failure = ""
    run.call("after_checkpoint", path=path)


def _refused(run: "Runner", iteration: int, error: OSError) -> None:
    """A full disk may be freed; the older checkpoints stay."""
    run.save_failure = f"the state at iteration {iteration} could not be saved: {error}"
    logger.error("%s; training goes on, and the next record tries again", run.save_failure)
