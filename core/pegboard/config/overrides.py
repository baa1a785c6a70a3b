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


def parse(options: Sequence[str], place: str = PLACE) -> list[Override]:
    """Read ``KEY=VALUE`` options; a value that is no Python literal or ``dict(...)`` of literals is a string.

    Args:
        place: where they were given, for messages.

    Raises:
        ConfigError: every option that is malformed.
    """
    overrides, problems = [], []
    for option in options:
        key, equals, text = option.partition("=")
        if not equals or not all(part.strip() == part and part for part in key.split(".")):
            problems.append(
                Problem(f"{option!r} is no override; expected KEY=VALUE, e.g. optimizer.lr=0.1", place=place)
            )
            continue
        if text.lower() in ("none", "null", "true", "false") and text not in ("None", "True", "False"):
            right = "None" if text.lower() in ("none", "null") else text.capitalize()
            problems.append(
                Problem(f"{text!r} is ambiguous; write {right}, or quote the string: \"'{text}'\"", key, place)
            )
            continue
        value = _value(text)
        if not _is_data(value):
            problems.append(Problem(f"a {type(value).__name__} cannot be stored in a config", key, place))
            continue
        overrides.append(Override(tuple(key.split(".")), value))
    if problems:
        raise ConfigError(problems)
    return overrides


def _value(text: str) -> Any:
    try:
        return _literal(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return text


def _is_data(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_data(part) for key, part in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_data, value))
    return value is None or isinstance(value, bool | int | float | str)


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
    if top == "_base_":
        return "the bases of a config cannot be overridden; write a config with the other bases"
    if top not in values or (rest and values[top] is None and len(rest) == 1):
        if top not in run_keys:
            return "matches nothing" + did_you_mean(top, {*values, *run_keys})
        if len(rest) == 1:  # hooks.report=None where the config says nothing of hooks
            values[top] = {}
            origin.children[top] = Origin(PLACE)
        elif rest:
            return f"matches nothing: the config has no {top!r}"
    try:
        _put(values, origin, override.path, override.value, "")
    except LookupError as error:
        return f"matches nothing{error.args[0]}"
    return ""


def _put(here: Any, origin: Origin, path: Sequence[str], value: Any, where: str) -> Any:
    """``here`` with ``value`` at ``path``: dicts and lists changed in place, tuples made anew.

    Raises:
        LookupError: the path leads nowhere; the message goes on after "matches nothing".
    """
    key: Any
    if isinstance(here, dict):
        length = next((n for n in range(len(path), 0, -1) if ".".join(path[:n]) in here), 1)  # a key may hold dots
        key = ".".join(path[:length])
        if key not in here and len(path) > 1:
            inside = ", ".join(map(str, here)) or "nothing in it"
            raise LookupError(did_you_mean(key, here, otherwise=f"; {where!r} has {inside}"))
    elif isinstance(here, list | tuple):
        length, text = 1, path[0]
        if not text.isdecimal() or len(text) > 9 or int(text) >= len(here):
            expected = f"expected an index from 0 to {len(here) - 1}" if here else "it is empty"
            raise LookupError(f": {where!r} is a {type(here).__name__} of {len(here)}; {expected}")
        key = int(text)
    else:
        raise LookupError(f": {where!r} is {here!r}")
    rest, inside = path[length:], f"{where}.{key}".lstrip(".")
    child = origin.children.setdefault(str(key), Origin(origin.place))
    if rest:
        value = _put(here[key], child, rest, value, inside)
    else:
        origin.children[str(key)] = Origin(PLACE)
    if isinstance(here, tuple):
        return (*here[:key], value, *here[key + 1 :])
    here[key] = value
    return here
