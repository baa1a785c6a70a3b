"""Numbers, times and commands as a reader wants them."""

import shlex
from pathlib import Path
from typing import Any

from pegboard_visual.drawn import moment
from pegboard_visual.report.run_folder import RunFolder

NOT_KNOWN = "n/a"


def figure(value: Any) -> str:
    """Four digits behind the point, or three that count where that would hide the number.

    Examples:
        >>> figure(0.73125), figure(3.2e-6), figure(None), figure(12345.6)
        ('0.7312', '3.2e-06', 'n/a', '1.23e+04')
    """
    if value is None:
        return NOT_KNOWN
    number = float(value)
    return f"{number:.4f}" if 1e-3 <= abs(number) < 1e4 or number == 0 else f"{number:.3g}"


def percent(share: float | None) -> str:
    """``0.7312`` as ``"73.1 %"``; what would round to nothing is ``"< 0.1 %"``."""
    if share is None:
        return NOT_KNOWN
    return "< 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def spoken(seconds: float | None) -> str:
    """A time with its units.

    Examples:
        >>> spoken(0.4), spoken(42.3), spoken(252), spoken(3780)
        ('0.4 s', '42 s', '4 min 12 s', '1 h 03 min')
    """
    if seconds is None:
        return NOT_KNOWN
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def when(shown: Any) -> str:
    """At which epoch and iteration a picture was drawn."""
    return moment(shown.epoch, shown.iteration)


def repeats(run: RunFolder) -> str:
    """The lines for a shell that train the same again, into a folder of its own.

    A run that was resumed is the same, bit for bit, as one that was not; ``--resume`` and ``--work-dir`` are left out.
    """
    called = [str(word) for word in run.environment.get("command") or []]
    words = _after_train(called)
    if words is None:  # it was started from Python: its config, as it was resolved
        words = [str(run.folder / "config.py")]
    kept = _without_places(words)
    lines = [shlex.join(["pegboard", "train", *kept])]
    directory = run.environment.get("working_directory")
    return "\n".join([f"cd {shlex.quote(str(directory))}", *lines] if directory else lines)


def _after_train(called: list[str]) -> list[str] | None:
    """The arguments of ``pegboard train`` or ``tools/train.py``; None if it was another program."""
    if called and Path(called[0]).name == "train.py":
        return called[1:]
    return called[2:] if called[1:2] == ["train"] else None


def _without_places(words: list[str]) -> list[str]:
    kept: list[str] = []
    skips = False
    for word in words:
        takes_value = word in ("--work-dir", "--resume")
        if not (takes_value or word.startswith(("--work-dir=", "--resume=")) or (skips and not word.startswith("-"))):
            kept.append(word)
        skips = takes_value
    return kept
