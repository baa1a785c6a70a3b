"""What the transforms' arguments may be; one that is wrong is refused in one sentence."""

from collections.abc import Sequence
from math import inf
from numbers import Real
from typing import Any, NoReturn

from pegboard import PegboardError


def refuse(owner: str, argument: str, value: Any, expected: str) -> NoReturn:
    """Say that ``argument`` of the transform ``owner`` must be ``expected``."""
    raise PegboardError(f"{owner}: {argument} must be {expected}, got {value!r}")


def probability(owner: str, value: float) -> float:
    """A number from 0 to 1."""
    if not 0 <= value <= 1:
        raise PegboardError(f"{owner}: p must be from 0 to 1, got {value}")
    return value


def choice(owner: str, argument: str, value: str, choices: Sequence[str]) -> str:
    """One of the strings."""
    if value not in choices:
        refuse(owner, argument, value, "one of " + ", ".join(map(repr, choices)))
    return value


def sides(owner: str, argument: str, value: int | Sequence[int]) -> tuple[int, int]:
    """Two lengths in pixels, e.g. (height, width), from one for both or from two."""
    both = list(value) if isinstance(value, Sequence) else [value]
    if len(both) == 1:
        both *= 2
    if len(both) != 2 or not all(isinstance(side, int) and side >= 1 for side in both):
        refuse(owner, argument, value, "an integer of at least 1 or two of them")
    return both[0], both[1]


def interval(
    owner: str,
    argument: str,
    value: Sequence[float],
    lowest: float = -inf,
    highest: float = inf,
    *,
    above: bool = False,
) -> tuple[float, float]:
    """(min, max) inside [lowest, highest]; ``above`` leaves ``lowest`` itself out."""
    pair = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    if (
        len(pair) != 2
        or not all(isinstance(number, Real) for number in pair)
        or not lowest <= pair[0] <= pair[1] <= highest
        or (above and pair[0] <= lowest)
    ):
        bounds = f" from {lowest:g}" if lowest > -inf else ""
        bounds += f" to {highest:g}" if highest < inf else ""
        bounds += f", above {lowest:g}" if above else ""
        refuse(owner, argument, value, f"(min, max) with min <= max{bounds}")
    return float(pair[0]), float(pair[1])


def colour(owner: str, argument: str, value: float | Sequence[float]) -> tuple[float, ...]:
    """One number for all channels, as a tuple of length 1, or one a channel."""
    numbers = (value,) if isinstance(value, Real) else tuple(value) if isinstance(value, list | tuple) else ()
    if not numbers or not all(isinstance(number, Real) for number in numbers):
        refuse(owner, argument, value, "a number or one number a channel")
    return tuple(numbers)
