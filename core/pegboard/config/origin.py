"""Where each value of a config was set: a tree beside the values, read from the source of the file."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Origin:
    """The place of one value, and of those inside it.

    Args:
        place: ``"FILE:LINE"``, or ``"--cfg-options"``.
        children: of a dict by key, of a list by index as a string.
        note: what a message about this value should add, e.g. that it was inherited from a base of another type.
    """

    place: str
    children: dict[str, "Origin"] = field(default_factory=dict)
    note: str = ""

    def nearest(self, path: Sequence[str]) -> "Origin":
        """The origin at a path, or of the nearest value around it."""
        for count in range(len(path), 0, -1):  # a key may hold dots itself: the longest that fits
            child = self.children.get(".".join(path[:count]))
            if child is not None:
                return child.nearest(path[count:])
        return self

    def copy(self, place: str | None = None) -> "Origin":
        """The same tree anew, with another place at its top if one is given."""
        children = {key: child.copy() for key, child in self.children.items()}
        return Origin(self.place if place is None else place, children, self.note)


def trace(node: ast.expr, value: Any, file: str, names: Mapping[str, Origin]) -> Origin:
    """The origins of ``value``, which the expression ``node`` of ``file`` gave.

    Dict and list displays and ``dict(...)`` are followed to each key and item; a name keeps the places where its
    value was written. Whatever else computed the value, everything in it has the expression's line.

    Args:
        names: origins of the names in scope.
    """
    origin = Origin(f"{file}:{node.lineno}")
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id].copy(origin.place)
    if isinstance(value, dict):
        for key, child, line in _pairs(node):
            if key is None:  # **other, or dict(other, ...)
                inner = trace(child, value, file, names)
                origin.children |= {name: part for name, part in inner.children.items() if name in value}
            elif key in value:
                origin.children[key] = trace(child, value[key], file, names)
                origin.children[key].place = f"{file}:{line}"
    elif isinstance(value, list | tuple) and isinstance(node, ast.List | ast.Tuple):
        for index, (child, item) in enumerate(zip(node.elts, value, strict=False)):
            if isinstance(child, ast.Starred):  # from here on, positions cannot be told from the text
                break
            origin.children[str(index)] = trace(child, item, file, names)
    return origin


def _pairs(node: ast.expr) -> Iterator[tuple[str | None, ast.expr, int]]:
    """Key, value expression and line of each item of a dict expression; a key of None stands for a whole dict."""
    if isinstance(node, ast.Dict):
        for key, child in zip(node.keys, node.values, strict=True):
            if key is None:
                yield None, child, child.lineno
            elif isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, child, key.lineno
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        for argument in node.args:
            yield None, argument, argument.lineno
        for keyword in node.keywords:
            yield keyword.arg, keyword.value, keyword.lineno
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield None, node.left, node.left.lineno
        yield None, node.right, node.right.lineno


def merge(base: Any, child: Any, base_origin: Origin, child_origin: Origin) -> tuple[Any, Origin]:
    """A child's value over its base's: dicts merge, ``_delete_=True`` and everything else replaces."""
    if not isinstance(child, dict):
        return child, child_origin
    if not isinstance(base, dict) or child.get("_delete_") is True:
        return without_delete(child), child_origin
    merged: dict[Any, Any] = dict(base)
    origin = base_origin.copy(child_origin.place)
    retyped = "type" in base and "type" in child and base["type"] != child["type"]
    for key, value in child.items():
        mine = child_origin.nearest([str(key)])
        if key in base:
            merged[key], origin.children[str(key)] = merge(base[key], value, base_origin.nearest([str(key)]), mine)
        else:
            merged[key], origin.children[str(key)] = without_delete(value), mine
    if retyped:
        for key in base.keys() - child.keys():
            inherited = origin.children.setdefault(str(key), Origin(base_origin.place))
            was = f"inherited from {inherited.place}, where type was {base['type']!r}"
            inherited.note = f" ({was}; _delete_=True drops what was inherited)"
    return merged, origin


def without_delete(value: Any) -> Any:
    """The value without the ``_delete_`` marks in it."""
    if isinstance(value, dict):
        return {key: without_delete(part) for key, part in value.items() if key != "_delete_"}
    if isinstance(value, list | tuple):
        return type(value)(map(without_delete, value)) if type(value) in (list, tuple) else value
    return value
