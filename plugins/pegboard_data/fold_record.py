"""``cross_validation.json``: what is cross-validated, from the start, and what came of it, at the end."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pegboard.config import to_json
from pegboard.errors import PegboardError
from pegboard.runner.folder import write_json

FILE = "cross_validation.json"
SHOWN = 5  # changes that a message names


def read(folder: Path) -> dict[str, Any] | None:
    """The record of a folder; None where there is nothing in it.

    Raises:
        PegboardError: it holds something else, or is no folder.
    """
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise PegboardError(f"--work-dir {folder} is a file; expected a folder")
    path = folder / FILE
    if path.is_file():
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(found["asked"], dict) and isinstance(found["values"], dict):
                return found
        except (ValueError, KeyError, TypeError):
            pass
        raise PegboardError(f"{path} is damaged; expected one that cross-validate wrote, or another --work-dir")
    if any(not name.name.startswith(".") for name in folder.iterdir()):
        raise PegboardError(f"--work-dir {folder} holds something else; expected a cross-validation or an empty folder")
    return None


def write(folder: Path, record: Mapping[str, Any]) -> None:
    """Write it, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FILE, plain(record))


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """What strict JSON makes of it: tuples become lists, nan and infinity strings."""
    found: dict[str, Any] = json.loads(to_json(values))
    return found


def check_same(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuse to go on with a cross-validation of something else.

    Args:
        old, new: two records; ``asked`` holds options of the command, ``values`` the config, ``data`` what is known of
            the samples.

    Raises:
        PegboardError: what changed, by name.
    """
    found = [
        *(f"--{name.replace('_', '-')}{change}" for name, change in changes(old["asked"], new["asked"])),
        *(f"{name}{change}" for name, change in changes(old["values"], new["values"])),
        *(f"the data's {name}{change}" for name, change in changes(old.get("data", {}), new["data"])),
    ]
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise PegboardError(
            f"{folder} holds a cross-validation of something else: {', '.join(found[:SHOWN])}{more}; expected the "
            "same, or another --work-dir"
        )


def changes(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The dotted path of each value that differs, and how."""
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = [(str(key), old.get(key, ...), new.get(key, ...)) for key in {**old, **new}]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = [(str(index), *pair) for index, pair in enumerate(zip(old, new, strict=True))]
    else:
        if old != new or type(old) is not type(new):
            yield path, f" was {_shown(old)}, is {_shown(new)}"
        return
    for key, one, other in pairs:
        yield from changes(one, other, f"{path}.{key}" if path else key)


def _shown(value: Any) -> str:
    text = "not given" if value is ... or value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
