"""Hooks of this package that would wait for what never comes, or that get in each other's way."""

from collections.abc import Iterator, Mapping
from typing import Any

from pegboard import HOOKS, Config, Problem


def problems(config: Config) -> Iterator[Problem]:
    """What is wrong with these hooks in a config that is otherwise sound."""
    hooks = config.values.get("hooks") or {}
    typed = {name: part for name, part in hooks.items() if isinstance(part, Mapping) and "type" in part}
    for kind in ("EarlyStop", "BestCheckpoint"):
        for name, part in _of(kind, typed).items():
            yield from _watches_validation(config, f"hooks.{name}.metric", str(part.get("metric")))
    averages = list(_of("EMA", typed))
    for name in averages[1:]:
        yield config.problem(f"hooks.{name}", f"is a second EMA beside hooks.{averages[0]}; a run has one")
    writers: dict[str, str] = {}
    for name, part in _of("BestCheckpoint", typed).items():
        file = str(part.get("file", "best"))
        if file in writers:
            yield config.problem(
                f"hooks.{name}", f"writes {file}.pt, and so does hooks.{writers[file]}; give one of them another file="
            )
        writers[file] = name


def _of(kind: str, hooks: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Those of the hooks that are this package's ``kind``, and not a stranger's of the same name."""
    return {
        name: part
        for name, part in hooks.items()
        if (entry := HOOKS.find(part["type"])).address.endswith(f":{kind}") and entry.package == "pegboard_hooks"
    }


def _watches_validation(config: Config, path: str, metric: str) -> Iterator[Problem]:
    if metric.startswith("val/"):
        return
    if config.values.get("val") is None:
        yield config.problem(path, f"{metric!r} is none of a validation, and this run has none; add val=dict(...)")
    else:
        figure = metric.partition("/")[2]
        yield config.problem(path, f"{metric!r} is none of a validation; did you mean 'val/{figure}'?")
