"""The run folder: where everything lies that a run leaves behind."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pegboard.errors import CheckpointError, did_you_mean

LIBRARIES = ("pegboard", "torch", "torchvision", "numpy", "pillow", "tensorboardX", "pluggy", "rich", "torchmetrics")


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


def find_run(path: Path) -> Path:
    """The run folder that a path names: itself, or the ``latest`` inside.

    Raises:
        CheckpointError: there is none.
    """
    if (path / "checkpoints").is_dir():
        return path.resolve()
    if (path / "latest" / "checkpoints").is_dir():
        return (path / "latest").resolve()
    if not path.exists():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise CheckpointError(f"there is no {path}{did_you_mean(path.name, siblings)}")
    raise CheckpointError(f"{path} is no run folder: it has no folder 'checkpoints'")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Replace a JSON file in one step."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    temporary.write_text(json.dumps(values, indent=2, default=str) + "\n", encoding="utf-8")
    temporary.replace(path)


def versions() -> dict[str, str]:
    """Python's and the libraries' versions, without importing any."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found


def environment() -> dict[str, Any]:
    """What the figures of a run may depend on outside its config."""
    return {
        "command": sys.argv,
        "directory": str(Path.cwd()),
        "versions": versions(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "git": git_state(),
    }


def git_state() -> dict[str, Any] | None:
    """Commit and whether there are uncommitted changes in the working directory; None outside a repository."""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "changed": changed.splitlines()}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=5)
    return done.stdout.strip()
