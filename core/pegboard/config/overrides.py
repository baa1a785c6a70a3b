"""``--cfg-options KEY=VALUE``: read the values, and set them by dotted path."""

import ast
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pegboard.config.origin import Origin
from pegboard.errors import ConfigError, Problem, did_you_mean

PLACE = "--cfg-options"


@dataclass(frozen=True)
class Override:
    """One parsed option; ``path`` is its key, split at the dots."""

    path: tuple[str, ...]
    value: Any

    @property
    def key(self) -> str:
        return ".".join(self.path)


def parse(options: Sequence[str]) -> list[Override]:
    """Read ``KEY=VALUE`` options; a value that is no Python literal or ``dict(...)`` of literals is a string.

    Raises:
        ConfigError: every option that is malformed.
    """
    overrides, problems = [], []
    for option in options:
        key, equals, text = option.partition("=")
        if not equals or not all(part.strip() == part and part for part in key.split(".")):
            problems.append(
                Problem(f"{option!r} is no override; expected KEY=VALUE, e.g. optimizer.lr=0.1", place=PLACE)
            )
            continue
        if text.lower() in ("none", "null", "true", "false") and text not in ("None", "True", "False"):
            right = "None" if text.lower() in ("none", "null") else text.capitalize()
            problems.append(
                Problem(f"{text!r} is ambiguous; write {right}, or quote the string: \"'{text}'\"", key, PLACE)
            )
            continue
        overrides.append(Override(tuple(key.split(".")), _value(text)))
    if problems:
        raise ConfigError(problems)
    return overrides


def _value(text: str) -> Any:
    try:
        return _literal(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return text


def _literal(node: ast.expr) -> Any:
    """``ast.literal_eval`` that also knows ``dict(a=1)``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return {_named(keyword): _literal(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.List | ast.Tuple):
        items = [_literal(item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.Dict):
        return {_literal(k): _literal(v) for k, v in zip(node.keys, node.values, strict=True) if k is not None}
    return ast.literal_eval(node)


def _named(keyword: ast.keyword) -> str:
    if keyword.arg is None:
        raise ValueError("** has no place in an override")
    return keyword.arg


def apply(
    values: dict[str, Any], origin: Origin, overrides: Sequence[Override], run_keys: Collection[str]
) -> list[Problem]:
    """Set each override in ``values`` where its path leads.

    Returns:
        a problem for each that matches nothing.
    """
    problems = []
    for override in overrides:
        message = _set(values, origin, override, run_keys)
        if message:
            problems.append(Problem(message, override.key, PLACE))
    return problems


def _set(values: dict[str, Any], origin: Origin, override: Override, run_keys: Collection[str]) -> str:
    """Set one; empty, or what is wrong."""
    top, *rest = override.path
    if top not in values or (rest and values[top] is None and len(rest) == 1):
        if top not in run_keys:
            return "matches nothing" + did_you_mean(top, {*values, *run_keys})
        if len(rest) == 1:  # hooks.report=None where the config says nothing of hooks
            values[top] = {}
            origin.children[top] = Origin(PLACE)
        elif rest:
            return f"matches nothing: the config has no {top!r}"
    here: Any = values
    where = origin
    for depth, part in enumerate(override.path):
        last = depth == len(override.path) - 1
        if isinstance(here, dict):
            if not last and part not in here:
                return "matches nothing" + did_you_mean(
                    part, here, otherwise=f"; {_at(override, depth)} has {_keys(here)}"
                )
            key: Any = part
        elif isinstance(here, list | tuple):
            if not part.isdecimal() or int(part) >= len(here):
                inside = f"{_at(override, depth)} is a list of {len(here)}"
                return f"matches nothing: {inside}; expected an index from 0 to {len(here) - 1}"
            key = int(part)
        else:
            return f"matches nothing: {_at(override, depth)} is {here!r}"
        if last:
            here[key] = override.value
            where.children[part] = Origin(PLACE)
            return ""
        if isinstance(here[key], tuple):
            here[key] = list(here[key])
        here = here[key]
        where = where.children.setdefault(part, Origin(where.place))
    return ""


def _at(override: Override, depth: int) -> str:
    return repr(".".join(override.path[:depth]))


def _keys(value: dict[str, Any]) -> str:
    return ", ".join(map(str, value)) or "nothing in it"
