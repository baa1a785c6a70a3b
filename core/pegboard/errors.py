"""What pegboard says when a user made a mistake: one sentence with the place and the nearest right answer."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class PegboardError(Exception):
    """A mistake that a user can mend. The command line prints it without a traceback and exits with status 2.

    Args:
        message: one line, whatever the names of files and classes in it hold.
        more: further lines.
    """

    def __init__(self, message: object = "", *more: str) -> None:
        super().__init__("\n".join([str(message), *more]))
        self.lines = [str(message), *more]  # so that a line end in a name is told from one that is meant


class DataError(PegboardError):
    """Data that is missing, damaged or not what was said."""


class CheckpointError(PegboardError):
    """A checkpoint that is missing, damaged, or not of this run."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a config.

    Args:
        message: what is wrong and what was expected, without the place.
        path: dotted config path, e.g. ``"train.transforms.0.size"``; empty for a whole file.
        place: ``"FILE:LINE"`` that set the value, or ``"--cfg-options"``; empty where unknown.
    """

    message: str
    path: str = ""
    place: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, self.path, self.message) if part)


class ConfigError(PegboardError):
    """Everything that is wrong with a config; ``str()`` gives one line a problem."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        self.problems = [Problem(problems)] if isinstance(problems, str) else list(problems)
        super().__init__(*map(str, self.problems))


def reason_of(error: BaseException) -> str:
    """What an error says, in one line; a stranger's begins with its kind."""
    if isinstance(error, PegboardError):
        return " ".join(error.lines)
    first = next(filter(None, map(str.strip, str(error).splitlines())), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def did_you_mean(name: object, candidates: Iterable[object], *, otherwise: str = "") -> str:
    """``"; did you mean 'LeNet'?"`` for the nearest candidate, else ``otherwise``."""
    near = nearest(name, candidates)
    return f"; did you mean {near!r}?" if near is not None else otherwise


def nearest(name: object, candidates: Iterable[object]) -> str | None:
    """The candidate that is most like ``name``, upper and lower case alike; None where none is near."""
    by_lower = {str(candidate).lower(): str(candidate) for candidate in candidates}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None
