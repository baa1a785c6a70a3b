"""Where two trees of values, or two lists of records, differ."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

ABSENT = "-"


class Difference(NamedTuple):
    """A value that stands at ``path`` on one side and otherwise, or not at all, on the other.

    Args:
        one, other: as they are shown; ``"-"`` where there is none.
    """

    path: str
    one: str
    other: str


def differences(one: Any, other: Any, path: str = "") -> Iterator[Difference]:
    """Every leaf in which two trees of dicts and lists differ, in the order of the first."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in [*one, *(key for key in other if key not in one)]:
            where = f"{path}.{key}" if path else str(key)
            if key not in other:
                yield Difference(where, _shown(one[key]), ABSENT)
            elif key not in one:
                yield Difference(where, ABSENT, _shown(other[key]))
            else:
                yield from differences(one[key], other[key], where)
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) != len(other):
        yield from _of_lists(one, other, path)
    elif _holds_parts(one) and _holds_parts(other) and len(one) == len(other):
        for index, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            yield from differences(mine, theirs, f"{path}.{index}")
    elif not same(one, other):
        yield Difference(path, _shown(one), _shown(other))


def _of_lists(one: Sequence[Any], other: Sequence[Any], path: str) -> Iterator[Difference]:
    """Of lists that differ in length: what stands between the same beginning and the same end."""
    shorter = min(len(one), len(other))
    begin = next((i for i in range(shorter) if not same(one[i], other[i])), shorter)
    end = next((i for i in range(shorter - begin) if not same(one[-1 - i], other[-1 - i])), shorter - begin)
    mine, theirs = one[begin : len(one) - end], other[begin : len(other) - end]
    if mine and theirs:
        yield Difference(f"{path}.{begin}", *(", ".join(map(_shown, part)) for part in (mine, theirs)))
        return
    for index, value in enumerate(mine or theirs, begin):
        cells = (_shown(value), ABSENT) if mine else (ABSENT, _shown(value))
        yield Difference(f"{path}.{index}", *cells)


def same(one: Any, other: Any, tolerance: float = 0.0) -> bool:
    """Equal; numbers also where they differ by at most ``tolerance`` of the larger; nan equals nan."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        if one != one and other != other:
            return True
        return one == other or math.isclose(one, other, rel_tol=tolerance)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(same(a, b, tolerance) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def first_difference(one: Mapping[str, Any], other: Mapping[str, Any], tolerance: float = 0.0) -> str:
    """In words, the first figure in which two records of a run differ; empty where none does."""
    for name in [*one, *(name for name in other if name not in one)]:
        if name not in other:
            return f"{name} is {one[name]!r} and missing"
        if name not in one:
            return f"{name} is missing and {other[name]!r}"
        if not same(one[name], other[name], tolerance):
            return f"{name} is {one[name]!r} and {other[name]!r}"
    return ""


def place(record: Mapping[str, Any]) -> str:
    """``"epoch 3, iteration 120"``: where in the run a record was written."""
    return ", ".join(f"{name} {record[name]}" for name in ("epoch", "iteration") if name in record)


def _holds_parts(value: Any) -> bool:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return is_list and any(isinstance(part, Mapping) for part in value)


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, int | float | bool) or value is None else repr(value)
