"""The run folder: where everything lies that a run leaves behind."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pegboard.errors import CheckpointError


def new_folder(root: Path, name: str, label: str = "") -> Path:
    """``root/name/<time>``, made now; a second run in the same second gets a number."""
    stamp = label + time.strftime("%Y-%m-%d_%H-%M-%S")
    for number in range(1, 1000):
        folder = root / name / (stamp if number == 1 else f"{stamp}_{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise CheckpointError(f"no free run folder beside {folder}")


def point_latest(folder: Path) -> None:
    """Let ``latest`` beside the folder point to it; replaced in one step, so that it always points to a run."""
    temporary = folder.parent / f".latest-{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(folder.name, target_is_directory=True)
    temporary.replace(folder.parent / "latest")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Replace a JSON file in one step."""
    replace_text(path, json.dumps(values, indent=2, default=str) + "\n")


def replace_text(path: Path, text: str) -> None:
    """Put text into a file, all of it or nothing."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
