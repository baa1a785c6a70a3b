"""Patterns over the names of a model's tensors, such as ``"conv*"``, ``"layer1"`` or ``"*.bias"``."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from pegboard.errors import did_you_mean


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern means a tensor: by its own name, or by that of a module around it.

    Examples:
        >>> matches("conv*", "conv1.weight"), matches("layer1", "layer1.0.bn.bias"), matches("layer1", "layer10.bias")
        (True, True, False)
    """
    if fnmatchcase(name, pattern):
        return True
    parts = name.split(".")
    return any(fnmatchcase(".".join(parts[:count]), pattern) for count in range(1, len(parts)))


def select(patterns: Sequence[str], names: Iterable[str]) -> set[str]:
    """Every name that one of the patterns means.

    Raises:
        ValueError: a pattern means none of them.
    """
    listed = list(names)
    chosen: set[str] = set()
    for pattern in patterns:
        found = {name for name in listed if matches(pattern, name)}
        if not found:
            raise ValueError(f"{pattern!r} matches nothing in the model{nearest_name(pattern, listed)}")
        chosen |= found
    return chosen


def nearest_name(pattern: str, names: Sequence[str]) -> str:
    """``"; did you mean ...?"``, or what the names begin with."""
    modules = list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
    tops = ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
    return did_you_mean(pattern, [*modules, *names], otherwise=f"; its names begin with {tops}")


def some(names: Sequence[str], most: int = 6) -> str:
    """The names in one line, the first few of many."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
