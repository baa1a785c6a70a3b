"""How many samples an optimizer step takes."""

import re
from typing import Any

PER_RANK = re.compile(r"(\d{1,9}) per rank")


def samples(value: int | str, ranks: int) -> int:
    """Samples an optimizer step, of all ranks together, of a value that ``misfit`` has nothing to say about.

    Examples:
        >>> samples(128, ranks=2), samples("128 per rank", ranks=2)
        (128, 256)
    """
    found = PER_RANK.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) * ranks if found else int(value)


def misfit(value: Any) -> str:
    """What is wrong with a batch size; empty where nothing is."""
    if isinstance(value, str) and (found := PER_RANK.fullmatch(value)):
        value = int(found[1])
    if isinstance(value, bool) or not isinstance(value, int):
        return f"must be int, or a string such as '128 per rank', got {value!r}"
    return "" if value >= 1 else f"must be at least 1, got {value!r}"
