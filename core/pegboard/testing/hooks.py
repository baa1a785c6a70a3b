"""A hook that is resumed half way ends in the same state; one that watches leaves training as it is.

It is tried in a run that classifies images; if it fails there, in one that classifies their pixels.
"""

import tempfile
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from pegboard import Hook, Runner
from pegboard.checkpoint import Checkpoints
from pegboard.config.keys import DEFAULT_HOOKS
from pegboard.testing.contract import ContractError, Part, expect
from pegboard.testing.tiny import PLUGIN, Probe, on_the_boards, same, train

HALF = 4  # iterations, of nine in three epochs


class Watched(NamedTuple):
    """A whole run with the hook.

    Args:
        folder: it is gone. masks: the run's targets are masks.
    """

    run: Runner
    folder: str
    masks: bool


def resumes(part: Part) -> None:
    """Its state is taken back, and it ends as in one go."""
    name = _name_of(part)
    whole, its_folder, masks = _watched(part)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _run(part, folder, Probe(name, stop_at=HALF), masks)
        state = Checkpoints(folder / "checkpoints").newest()[1]
        probe = Probe(name)
        last = _run(part, folder, probe, masks, state)
        kept = state["hooks"][name]
        expect(same(probe.begins_with, kept), f"{part.name} did not take back its state {kept}")
        ended, resumed = plain(whole.hooks[name], its_folder), plain(last.hooks[name], temporary)
    differing = sorted(key for key in ended.keys() | resumed.keys() if not same(ended.get(key), resumed.get(key)))
    advice = "name them in 'state' if a resumed run needs them, in 'fleeting' if it does not"
    such_as = "a time, a cache, an id that a service gave"
    expect(not differing, f"{part.name} resumed half way forgot {differing}; {advice} ({such_as})")


def only_watches(part: Part) -> None:
    """Training is the same bit for bit with it and without it, unless it says that it steers."""
    watched, _, masks = _watched(part)
    if watched.hooks[_name_of(part)].steers:
        return
    plain_run = _unwatched(masks)
    advice = "leave weights, gradients, modes and random state as they were; or say steers = True"
    for what in ("model", "optimizer"):
        there, here = (getattr(run, what).state_dict() for run in (plain_run, watched))
        expect(same(there, here), f"{part.name} changed the {what}; {advice}")
    losses = [run.final["train/loss"] for run in (plain_run, watched)]
    expect(losses[0] == losses[1], f"{part.name} changed the training loss; {advice}")


@lru_cache(maxsize=1)  # both promises of a hook look at the same run
def _watched(part: Part) -> Watched:
    refused: list[ContractError] = []
    for masks in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            try:
                return Watched(_run(part, Path(folder), Probe(_name_of(part)), masks), folder, masks)
            except ContractError as error:
                refused.append(error)
    classes, pixels = refused
    also = "" if str(classes) == str(pixels) else f"; and where each pixel has a class: {pixels.__cause__}"
    raise ContractError(f"{classes}{also}") from classes.__cause__


@cache
def _unwatched(masks: bool) -> Runner:
    with tempfile.TemporaryDirectory() as folder, on_the_boards():
        return train(Path(folder), masks=masks)


def _run(part: Part, folder: Path, probe: Probe, masks: bool, resume: "Mapping[str, Any] | None" = None) -> Runner:
    hooks = {"probe": {"type": f"{PLUGIN}:probe"}, _name_of(part): part.config}
    with on_the_boards(probe=probe):
        try:
            return train(folder, resume, masks=masks, hooks=hooks)
        except Exception as error:
            if any(f"hook {_name_of(part)!r}" in note for note in getattr(error, "__notes__", ())):
                raise ContractError(f"{part.name} failed in a run of nine iterations: {error}") from error
            raise


def _name_of(part: Part) -> str:
    """A hook that every run has stands where it always does; another one as ``part``."""
    return next((name for name, known in DEFAULT_HOOKS.items() if known and known["type"] == part.name), "part")


def plain(hook: Hook, folder: str) -> dict[str, Any]:
    """The part of a hook's attributes that is data and lasts; its run's folder is called alike in every run."""
    values: dict[str, Any] = _plain(vars(hook), hook.fleeting, folder)
    return values


def _plain(value: Any, fleeting: tuple[str, ...], folder: str) -> Any:
    if isinstance(value, Mapping):
        kept = {key: inner for key, inner in value.items() if key not in fleeting and _is_data(inner)}
        return {key: _plain(inner, fleeting, folder) for key, inner in kept.items()}
    return value.replace(folder, "FOLDER") if isinstance(value, str) else value


def _is_data(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_data, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_data, value))
    return value is None or isinstance(value, bool | int | float | str | Tensor)
