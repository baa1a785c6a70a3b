"""Checkpoints on disk: written whole or not at all, checked by SHA-256, and read without running code."""

import hashlib
import json
import logging
import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from pegboard.errors import CheckpointError, did_you_mean
from pegboard.torch_files import refuse_absurd, refuse_bomb

logger = logging.getLogger("pegboard")

INDEX = "index.json"


class Checkpoints:
    """The checkpoints of a run, in ``folder``; one counts once ``index.json`` lists it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def index(self) -> list[dict[str, Any]]:
        """``file``, ``iteration``, ``epoch`` and ``sha256`` of each, oldest first."""
        try:
            entries: list[dict[str, Any]] = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise CheckpointError(f"{self.folder / INDEX} is damaged: {error}") from error
        if not isinstance(entries, list) or not all(map(_is_entry, entries)):
            raise CheckpointError(f"{self.folder / INDEX} is damaged: expected a list of files in the same folder")
        return entries

    def save(self, state: dict[str, Any], keep: int) -> Path:
        """Write a checkpoint, then list it, then remove all but the newest ``keep``."""
        path = self.folder / f"iteration_{state['iteration']:08}.pt"
        sha256 = write(path, state)
        entry = {"file": path.name, "iteration": state["iteration"], "epoch": state["epoch"], "sha256": sha256}
        entries = [known for known in self.index() if known["file"] != path.name] + [entry]
        old, kept = entries[:-keep], entries[-keep:]
        self._write_index(kept)
        for known in old:
            (self.folder / known["file"]).unlink(missing_ok=True)
        return path

    def _write_index(self, entries: list[dict[str, Any]]) -> None:
        temporary = self.folder / f".{INDEX}-{os.getpid()}"
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(entries, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.folder / INDEX)

    def newest(self) -> tuple[Path, dict[str, Any]]:
        """The newest checkpoint that is whole, with its contents; a damaged one is passed over, and said so.

        Raises:
            CheckpointError: there is none.
        """
        for entry in reversed(self.index()):
            path = self.folder / entry["file"]
            try:
                return path, load(path, entry["sha256"])
            except CheckpointError as error:
                logger.warning("%s; taking the one before", error)
        raise CheckpointError(f"there is no whole checkpoint in {self.folder}")


def _is_entry(entry: Any) -> bool:
    """Whether an entry is whole, and names a file of the folder itself: one elsewhere is not ours to read or remove."""
    if not isinstance(entry, dict) or not isinstance(entry.get("sha256"), str):
        return False
    name = entry.get("file")
    return isinstance(name, str) and Path(name).name == name and name not in ("", "..", INDEX)


def write(path: Path, contents: dict[str, Any]) -> str:
    """Put a file of tensors and plain values at ``path``, whole or not at all.

    Returns:
        its SHA-256.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            torch.save(contents, file)
            file.flush()
            os.fsync(file.fileno())
        sha256 = _sha256(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return sha256


def load(path: Path, sha256: str | None = None) -> dict[str, Any]:
    """What a checkpoint or weights file holds, on the CPU; only tensors and plain values are read, no code is run.

    Raises:
        CheckpointError: there is no such file, its bytes are not those that were written, or it would run code.
    """
    if not path.is_file():
        near = did_you_mean(path.name, [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else [])
        raise CheckpointError(f"there is no checkpoint {path}{near}")
    if sha256 is not None and _sha256(path) != sha256:
        raise CheckpointError(f"{path} is damaged: its SHA-256 is not the one it was written with")
    refuse_bomb(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # of torch, about pickles that it did not write
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors and plain values, or is no torch file; it is not read"
        ) from error
    except Exception as error:  # damaged bytes make torch raise anything, IndexError among it
        raise CheckpointError(f"{path} cannot be read as a torch file: {error}") from error
    if not isinstance(loaded, dict):
        raise CheckpointError(f"{path} holds a {type(loaded).__name__}; expected a dict of tensors")
    refuse_absurd(path, loaded)
    return loaded


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
