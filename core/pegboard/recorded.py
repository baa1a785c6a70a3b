"""A run folder found, and read back: its config, environment, summary and records, as data; nothing of it is run."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pegboard.config.dump import from_python
from pegboard.errors import CheckpointError, PegboardError, did_you_mean


@dataclass(frozen=True)
class Recorded:
    """What a run wrote about itself.

    Args:
        folder: the run folder. config: the values of ``config.py``. environment, summary: the JSON files of these
            names; empty where the run did not come that far. records: the lines of ``metrics.jsonl``.
    """

    folder: Path
    config: dict[str, Any]
    environment: dict[str, Any]
    summary: dict[str, Any]
    records: list[dict[str, Any]]


def find_run(path: Path, holding: str = "checkpoints") -> Path:
    """The run folder that a path names: itself, or the ``latest`` inside.

    Args:
        holding: what lies in it: ``"checkpoints"``, or the file that is wanted of a run which may have none.

    Raises:
        CheckpointError: there is none.
    """
    wanted = "a run folder or a checkpoint" if holding == "checkpoints" else "a run folder"
    try:
        for folder in (path, path / "latest"):
            if (folder / holding).exists():
                return folder.resolve()
        if path.is_dir():
            raise CheckpointError(
                f"{path} is no run folder: there is no {holding} in it, nor a folder 'latest' of a run"
            )
        if path.exists():
            raise CheckpointError(f"{path} is a file; expected a run folder")
        siblings = [sibling.name for sibling in path.parent.iterdir()] if path.parent.is_dir() else []
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    hint = did_you_mean(path.name, siblings, otherwise=f"; expected {wanted}, such as runs/NAME/latest")
    raise CheckpointError(f"there is no {path}{hint}")


def read_run(path: Path) -> Recorded:
    """The run in a folder, or in the ``latest`` inside.

    Raises:
        PegboardError: there is none, or a file of it is damaged.
    """
    folder = find_run(path, "config.py")
    return Recorded(
        folder,
        _config(folder / "config.py"),
        _json(folder / "environment.json"),
        _json(folder / "summary.json"),
        read_records(folder / "metrics.jsonl"),
    )


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise PegboardError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _config(file: Path) -> dict[str, Any]:
    try:
        return from_python(_text(file))
    except ValueError as error:
        raise PegboardError(f"{file} is not what a run wrote: {error}") from error


def _json(file: Path) -> dict[str, Any]:
    text = _text(file)
    try:
        values = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise PegboardError(f"{file} is damaged: {error}") from error
    if not isinstance(values, dict):
        raise PegboardError(f"{file} holds a {type(values).__name__}; expected an object")
    return values


def read_records(file: Path) -> list[dict[str, Any]]:
    """The lines of a ``metrics.jsonl``; a last one that was cut off in the middle is left out.

    Raises:
        PegboardError: another line is damaged.
    """
    records: list[dict[str, Any]] = []
    lines = _text(file).splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines) and not line.endswith("\n"):
                return records
            raise PegboardError(f"{file}:{number} is damaged: {error}") from error
        if not isinstance(record, dict):
            raise PegboardError(f"{file}:{number} holds a {type(record).__name__}; expected an object")
        records.append(record)
    return records
