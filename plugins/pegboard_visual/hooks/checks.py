"""What several hooks ask of their arguments."""

from collections.abc import Sequence

from pegboard import Hook, PegboardError
from pegboard.errors import did_you_mean


def check_counts(hook: Hook, least: int = 1, most: int | None = None, **counts: object) -> None:
    """Each argument is an integer in a range.

    Raises:
        PegboardError: one is not.
    """
    wanted = f", at least {least}" if most is None else f" from {least} to {most:,}"
    for name, value in counts.items():
        inside = isinstance(value, int) and not isinstance(value, bool) and least <= value <= (most or value)
        if not inside:
            raise PegboardError(f"{type(hook).__name__}: {name} must be an integer{wanted}, got {value!r}")


def check_choice(hook: Hook, name: str, value: str, known: Sequence[str]) -> None:
    """An argument is one of a few names.

    Raises:
        PegboardError: it is not; the nearest one is said.
    """
    if value not in known:
        hint = did_you_mean(str(value), known, otherwise=f"; there are {', '.join(known)}")
        raise PegboardError(f"{type(hook).__name__}: there is no {name} {value!r}{hint}")
