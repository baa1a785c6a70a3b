"""Layers of a model by name pattern."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from pegboard import PegboardError
from pegboard.errors import did_you_mean


def matching(patterns: Sequence[str], names: Sequence[str], kind: str = "layer") -> list[str]:
    """The names that the patterns mean, in the order of the names: ``"conv*"``, or one of them as it is.

    Raises:
        PegboardError: a pattern means none; the nearest name, and some of all there are, are said.
    """
    chosen = set()
    for pattern in patterns:
        found = [name for name in names if fnmatchcase(name, pattern)]
        if not found:
            hint = did_you_mean(pattern, names, otherwise=f"; there are {some(names)}")
            raise PegboardError(f"the model has no {kind} {pattern!r}{hint}")
        chosen.update(found)
    return [name for name in names if name in chosen]


def some(names: Sequence[str], most: int = 12) -> str:
    """``"conv1, conv2, and 18 more"``."""
    return ", ".join(names[:most]) + (f", and {len(names) - most} more" if len(names) > most else "")
