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
        place = 0
        for child in node.elts:
            if isinstance(child, ast.Starred):
                count = _count(child, node.elts, len(value), names)
                if count is None:  # from here on, positions cannot be told from the text
                    break
                inner = trace(child.value, value[place : place + count], file, names)
                for index in range(count):
                    item = inner.children.get(str(index))
                    origin.children[str(place + index)] = item or Origin(f"{file}:{child.lineno}")
                place += count
            elif place < len(value):
                origin.children[str(place)] = trace(child, value[place], file, names)
                place += 1
    return origin


def _count(child: ast.Starred, among: Sequence[ast.expr], total: int, names: Mapping[str, Origin]) -> int | None:
    """How many items ``*child`` stands for; None if the text and the total do not tell."""
    starred = [other for other in among if isinstance(other, ast.Starred)]
    if starred == [child]:
        return total - (len(among) - 1)
    if isinstance(child.value, ast.Name) and child.value.id in names:
        return len(names[child.value.id].children) or None
    return len(child.value.elts) if isinstance(child.value, ast.List | ast.Tuple) else None


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


class Snapshot:
    """What lay in the dicts and lists of some names before a statement, and where each item came from.

    ``train["batch_size"] = 64``, ``transforms.insert(0, ...)`` and functions that are handed a dict change it in place:
    comparing what is there afterwards tells which items are new, whatever the statement looked like.
    """

    def __init__(self, values: Mapping[str, Any], origins: Mapping[str, Origin]) -> None:
        self.before: dict[
            int, tuple[Origin, list[tuple[str, Any, Origin]]]
        ] = {}  # container by id: its own, its items'
        self.alive: list[Any] = []  # the containers, so that no id is given away
        for name, origin in origins.items():
            if name in values:
                self._keep(values[name], origin)

    def _keep(self, value: Any, origin: Origin) -> None:
        if not isinstance(value, dict | list) or id(value) in self.before:
            return
        items = [(key, item, origin.nearest([key])) for key, item in _items(value)]
        self.before[id(value)] = origin, items
        self.alive.append(value)
        for _, item, inner in items:
            self._keep(item, inner)

    def follow(self, value: Any, origin: Origin, place: str, around: tuple[int, ...] = ()) -> None:
        """Bring ``origin`` up to date: what is new in the value, at any depth, came from ``place``."""
        if id(value) not in self.before or id(value) in around:
            return
        old, items = list(self.before[id(value)][1]), _items(value)
        if [(key, id(item)) for key, item in items] != [(key, id(item)) for key, item, _ in old]:
            origin.children = {key: _taken(key, item, value, old) or self._new(item, place) for key, item in items}
        for key, item in items:
            inner = origin.children.get(key) or Origin(origin.place)
            self.follow(item, inner, place, (*around, id(value)))
            if inner.children:
                origin.children[key] = inner

    def _new(self, item: Any, place: str) -> Origin:
        """Put there at ``place``; what lay elsewhere before keeps the places of what is in it."""
        return self.before[id(item)][0].copy(place) if id(item) in self.before else Origin(place)


def _taken(key: str, item: Any, around: Any, old: list[tuple[str, Any, Origin]]) -> Origin | None:
    """The origin of an item that was there before, taken out of ``old``; None if it is new. In a list it may move."""
    for wanted in (key, None) if isinstance(around, list) else (key,):
        for place, (name, before, origin) in enumerate(old):
            if before is item and wanted in (name, None):
                del old[place]
                return origin
    return None


def _items(value: Any) -> list[tuple[str, Any]]:
    """Keys, or indexes as strings, with what lies there."""
    if isinstance(value, dict):
        return [(str(key), item) for key, item in value.items()]
    return [(str(index), item) for index, item in enumerate(value)] if isinstance(value, list) else []


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
