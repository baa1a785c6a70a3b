"""Write a config down: as Python that loads to the same values, as JSON, as data for a checkpoint, with its origins.

What was written as Python is also read back, as data.
"""

import ast
import json
import keyword
import math
from collections.abc import Iterator, Mapping
from typing import Any

from pegboard.config.load import Config
from pegboard.config.origin import Origin

WIDTH = 100  # columns of a written config


def to_python(values: Mapping[str, Any]) -> str:
    """A config file with these values, one top-level key after the other."""
    return "".join(f"{name} = {_python(value, 0, len(name) + 3)}\n" for name, value in values.items())


def from_python(text: str) -> dict[str, Any]:
    """The values that ``to_python`` wrote, read as data: nothing is run.

    Raises:
        ValueError: it is no such text; one sentence.
    """
    values = {}
    try:
        for statement in ast.parse(text).body:
            if not (isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)):
                raise ValueError(f"line {statement.lineno} is more than NAME = VALUE")
            values[statement.targets[0].id] = _read(statement.value)
    except (SyntaxError, RecursionError, MemoryError, TypeError) as error:
        raise ValueError(f"it cannot be read: {error}") from error
    return values


def _read(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id == "dict" and not node.args and all(keyword.arg for keyword in node.keywords):
            return {keyword.arg: _read(keyword.value) for keyword in node.keywords}
        if node.func.id == "float" and len(node.args) == 1 and isinstance(node.args[0], ast.Constant):
            return float(node.args[0].value)  # type: ignore[arg-type]  # what does not fit raises
    if isinstance(node, ast.List | ast.Tuple):
        items = [_read(item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.Dict):
        return {ast.literal_eval(k): _read(v) for k, v in zip(_keys(node), node.values, strict=True)}
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"line {node.lineno} holds more than plain values") from None


def _keys(node: ast.Dict) -> list[ast.expr]:
    if None in node.keys:
        raise ValueError(f"line {node.lineno} holds more than plain values")
    return [key for key in node.keys if key is not None]


def _python(value: Any, indent: int, used: int) -> str:
    """The expression for a value; broken into lines where it would pass the width."""
    flat = _flat(value)
    if len(flat) + indent + used <= WIDTH or not isinstance(value, dict | list | tuple) or not value:
        return flat
    inner = " " * (indent + 4)
    if isinstance(value, dict):
        named = _is_named(value)
        heads = [f"{key}=" if named else f"{key!r}: " for key in value]
        items = [
            head + _python(part, indent + 4, len(head) + 1) for head, part in zip(heads, value.values(), strict=True)
        ]
        opening, closing = ("dict(", ")") if named else ("{", "}")
    else:
        items = [_python(part, indent + 4, 1) for part in value]
        opening, closing = ("[", "]") if isinstance(value, list) else ("(", ")")
    return f"{opening}\n" + "".join(f"{inner}{item},\n" for item in items) + " " * indent + closing


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        if _is_named(value):
            return f"dict({', '.join(f'{key}={_flat(part)}' for key, part in value.items())})"
        return "{" + ", ".join(f"{key!r}: {_flat(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flat, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_flat, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    """Double quotes, as the configs here are written, unless the text holds any."""
    single = repr(text)
    if single.startswith("'") and '"' not in text:
        return '"' + single[1:-1].replace("\\'", "'") + '"'
    return single.encode("unicode_escape").decode().replace("\\\\", "\\") if not _encodes(text) else single


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_named(value: Mapping[Any, Any]) -> bool:
    return all(
        key.isascii() and key.isidentifier() and not keyword.iskeyword(key) and key != "__debug__" for key in value
    )


def to_json(values: Mapping[str, Any]) -> str:
    """Strict JSON: tuples as lists, infinity and nan as strings."""
    return json.dumps(_strict(values), indent=2) + "\n"


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _strict(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def to_data(value: Any) -> Any:
    """A copy that is made of plain dicts, lists, tuples and scalars only, as a checkpoint holds it."""
    if isinstance(value, Mapping):
        return {str(key): to_data(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        items = [to_data(part) for part in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def with_origins(config: Config) -> Iterator[tuple[str, str, str]]:
    """Path, value and place of every leaf, in the config's order."""
    for name, value in config.values.items():
        yield from _leaves(name, value, config.origins.nearest([name]))


def _leaves(path: str, value: Any, origin: Origin) -> Iterator[tuple[str, str, str]]:
    inside = list(value.items()) if isinstance(value, dict) else []
    if isinstance(value, list | tuple) and any(isinstance(part, dict | list | tuple) for part in value):
        inside = list(enumerate(value))
    if not inside:
        yield path, _flat(value), origin.place
    for key, part in inside:
        yield from _leaves(f"{path}.{key}", part, origin.nearest([str(key)]))
