"""All that a page shows of a run, out of its folder; nothing of torch is needed for it.

Unlike ``pegboard.recorded``, which a command that compares runs can rely on, this reads a run that goes on or was
killed as far as it came, and notes what it had to leave out.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pegboard import Config, DataError, Pictures, Shown
from pegboard.config import with_origins

LOG_LINES = 25  # of log.txt, shown of a run that failed


class Setting(NamedTuple):
    """One value of the config, as Python writes it, and the ``FILE:LINE`` that set it; empty where nobody noted it."""

    path: str
    value: str
    place: str


@dataclass(frozen=True)
class RunFolder:
    """One run.

    Args:
        folder: where it lies.
        summary: how it ended, or how it stands; empty of a run that goes on, or was killed.
        environment: what its figures may depend on outside its config.
        config: its values.
        settings: the same one by one.
        records: of ``metrics.jsonl``, numbers by name; None stands for one that was not finite.
        pictures: of ``figures/``.
        log_end: the last lines of ``log.txt``.
        notes: what could not be read.
    """

    folder: Path
    summary: dict[str, Any]
    environment: dict[str, Any]
    config: dict[str, Any]
    settings: list[Setting]
    records: list[dict[str, float | None]]
    pictures: list[Shown]
    log_end: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The config's name."""
        return str(self.summary.get("config") or self.config.get("name") or self.folder.parent.name)

    @property
    def data(self) -> str:
        """What the training data calls itself."""
        return str(self.summary.get("data") or self.environment.get("data") or "unknown data")

    @property
    def is_stand_in(self) -> bool:
        """Was it trained on images drawn by code?"""
        return self.data == "stand-in"

    @property
    def exit(self) -> str:
        """``finished``, ``stopped``, ``interrupted``, ``failed``, ``running``; ``unfinished`` where nobody knows."""
        return str(self.summary.get("exit", "unfinished"))


def read(folder: Path, summary: dict[str, Any] | None = None) -> RunFolder:
    """Read a run.

    Args:
        summary: instead of ``summary.json``, which a run writes when it is over.

    Raises:
        DataError: a file of it is damaged.
    """
    notes: list[str] = []
    records = _records(folder / "metrics.jsonl", notes)
    if summary is None:
        summary = _json(folder / "summary.json") if (folder / "summary.json").is_file() else {}
        last = int(records[-1].get("iteration") or 0) if records else 0
        if summary and last > summary.get("iterations", 0):  # of an earlier part of a run that was taken up again
            summary = {}
    config = _json(folder / "config.json")
    environment = _json(folder / "environment.json") if (folder / "environment.json").is_file() else {}
    pictures = Pictures(folder / "figures").all() if (folder / "figures").is_dir() else []
    failed = summary.get("exit") == "failed"
    log_end = _end(folder / "log.txt") if failed else ""
    settings = _settings(folder, config)
    return RunFolder(folder, summary, environment, config, settings, records, pictures, log_end, notes)


def _settings(folder: Path, config: dict[str, Any]) -> list[Setting]:
    noted = folder / "origins.json"
    places = _json(noted) if noted.is_file() else {}
    return [Setting(path, value, places.get(path, "")) for path, value, _ in with_origins(Config.from_values(config))]


def _records(file: Path, notes: list[str]) -> list[dict[str, float | None]]:
    """The lines of a file that may be in the midst of being written."""
    found = []
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            found.append({str(name): _finite(value) for name, value in values.items()})
        except (ValueError, AttributeError):
            notes.append(f"line {number} of {file.name} is damaged and left out")
    return found


def _finite(value: Any) -> float | None:
    number = float(value)  # "nan" and "inf" are written as strings
    return number if math.isfinite(number) else None


def _json(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{file} is missing") from None
    except ValueError as error:
        raise DataError(f"{file} is damaged: {error}") from None
    if not isinstance(values, dict):
        raise DataError(f"{file} is damaged: expected an object, found a {type(values).__name__}")
    return values


def _end(file: Path) -> str:
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    return "\n".join(lines[-LOG_LINES:])
