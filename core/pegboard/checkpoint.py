"""Checkpoints on disk: written whole or not at all, checked by SHA-256, and read without running code."""

import hashlib
import json
import logging
import os
import pickle
import re
import time
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch

from pegboard import shards
from pegboard.errors import CheckpointError, did_you_mean
from pegboard.torch_files import refuse_absurd, refuse_bomb

logger = logging.getLogger("pegboard")

INDEX = "index.json"
NAME = r"iteration_\d{8,}\.pt"


class Checkpoints:
    """The checkpoints of a run, in ``folder``; one counts once ``index.json`` lists it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def index(self) -> list[dict[str, Any]]:
        """``file``, ``iteration``, ``epoch``, ``sha256`` and ``time`` of each, the one to go on from last.

        Raises:
            CheckpointError: the file that says so is damaged.
        """
        try:
            entries: list[dict[str, Any]] = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise CheckpointError(f"{self.folder / INDEX} is damaged: {error}") from error
        if not isinstance(entries, list) or not all(map(_is_entry, entries)):
            raise CheckpointError(f"{self.folder / INDEX} is damaged: expected a list of files in the same folder")
        return entries

    def listed(self) -> bool:
        """Is there any that a resume can look for?"""
        try:
            return bool(self.index())
        except (CheckpointError, OSError):
            return True  # damaged: the files themselves may be whole

    def path_of(self, iteration: int) -> Path:
        """Where the checkpoint of an iteration lies, or will."""
        return self.folder / f"iteration_{iteration:08}.pt"

    def save(self, state: dict[str, Any], keep: int, begun: float | None = None) -> Path:
        """Write a checkpoint, then list it, then remove all but the newest ``keep``.

        Args:
            begun: when the state was gathered, seconds since 1970; now unless given.
        """
        path = self.path_of(state["iteration"])
        begun = time.time() if begun is None else begun
        sha256 = write(path, state)
        entry = {"file": path.name, "iteration": state["iteration"], "epoch": state["epoch"], "sha256": sha256}
        entry["time"] = begun
        if shards.KEY in state:
            entry[shards.KEY] = state[shards.KEY]["folder"]
        entries = [known for known in self._sound_index() if known["file"] != path.name] + [entry]
        old, kept = entries[:-keep], entries[-keep:]
        self._write_index(kept)
        for known in old:
            (self.folder / known["file"]).unlink(missing_ok=True)
        shards.remove_unused(self.folder, kept)
        return path

    def go_on_from(self, iteration: int) -> None:
        """This one is the newest from now on, whatever was saved after it; what a killed save left is removed.

        That is half-written files, and checkpoints that the index had given up already, but were still there.
        """
        if not self.folder.is_dir():
            return
        entries = self._sound_index()
        chosen = [known for known in entries if known["iteration"] == iteration]
        if chosen and entries[-1] != chosen[-1]:
            self._write_index([known for known in entries if known["iteration"] != iteration] + chosen)
        for path in self.folder.iterdir():
            if re.fullmatch(rf"({NAME}|\.{re.escape(INDEX)}|[\w-]+\.pt)-\d+", path.name):
                path.unlink()
        shards.remove_unused(self.folder, entries)
        if not entries:  # the index is lost, and unlisted files are all there is
            return
        oldest = min(known["iteration"] for known in entries)
        kept = f"iteration_{iteration:08}.pt"
        for path in self.folder.glob("iteration_*.pt"):
            number = path.stem.removeprefix("iteration_")
            if re.fullmatch(NAME, path.name) and int(number) < oldest and path.name != kept:
                path.unlink()

    def saved_at(self, iteration: int) -> float | None:
        """When the checkpoint of an iteration was saved, seconds since 1970; None where that is not known."""
        times: list[float | None] = [
            known.get("time") for known in self._sound_index() if known["iteration"] == iteration
        ]
        return times[-1] if times else None

    def _sound_index(self) -> list[dict[str, Any]]:
        """The index; a damaged one is set aside, so that a run can go on saving."""
        try:
            return self.index()
        except CheckpointError as error:
            aside = self.folder / f"{INDEX}.damaged"
            (self.folder / INDEX).replace(aside)
            logger.error("%s; it is %s now, and a new one begins", error, aside)
            return []

    def _write_index(self, entries: list[dict[str, Any]]) -> None:
        temporary = self.folder / f".{INDEX}-{os.getpid()}"
        try:
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(entries, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.folder / INDEX)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(self.folder)

    def newest(self, whole: bool = True) -> tuple[Path, dict[str, Any]]:
        """The newest checkpoint that is whole, with its contents; a damaged one is passed over, and said so.

        Args:
            whole: as in ``load``.

        Raises:
            CheckpointError: there is none.
        """
        for path, sha256 in self._newest_first():
            try:
                return path, load(path, sha256, whole)
            except CheckpointError as error:
                logger.warning("%s; taking the one before", error)
        raise CheckpointError(f"there is no whole checkpoint in {self.folder}; start the run again")

    def _newest_first(self) -> Iterator[tuple[Path, str | None]]:
        """Each with its SHA-256; after those of the index, files that it does not list, if it is damaged or missing."""
        listed = []
        try:
            listed = [(self.folder / entry["file"], entry["sha256"]) for entry in self.index()]
        except CheckpointError as error:
            logger.warning("%s", error)
        yield from reversed(listed)
        for path in sorted(set(self.folder.glob("iteration_*.pt")) - {path for path, _ in listed}, reverse=True):
            logger.warning("%s is not in the index; its own checksums are all there is", path)
            yield path, None


def _is_entry(entry: Any) -> bool:
    """Whole, and naming a file of the folder itself: one elsewhere is not ours to read or remove."""
    kinds = {"file": str, "iteration": int, "epoch": int, "sha256": str}
    return (
        isinstance(entry, dict)
        and all(isinstance(entry.get(key), kind) for key, kind in kinds.items())
        and re.fullmatch(NAME, entry["file"]) is not None
    )


def write(path: Path, contents: dict[str, Any]) -> str:
    """Put a file of tensors and plain values at ``path``, whole or not at all.

    Returns:
        its SHA-256.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}-{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            _torch_save(contents, file)
            file.flush()
            os.fsync(file.fileno())
        sha256 = _sha256(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return sha256


def _torch_save(contents: dict[str, Any], file: IO[bytes]) -> None:
    try:
        torch.save(contents, file)
    except RuntimeError as error:  # torch's own complaint about what the disk refused
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def _sync_folder(folder: Path) -> None:
    """Until a folder is synced, a power cut may take back which files are in it."""
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def load(path: Path, sha256: str | None = None, whole: bool = True) -> dict[str, Any]:
    """What a checkpoint or weights file holds, on the CPU; only tensors and plain values are read, no code is run.

    Args:
        whole: read the tensors that lie beside a checkpoint, in parts that each rank has written; without, a resumed
            run reads its own.

    Raises:
        CheckpointError: there is no such file, its bytes are not those that were written, or it would run code.
    """
    if not path.is_file():
        if path.exists():
            raise CheckpointError(f"{path} is no file; expected a checkpoint, or a file of weights")
        around = path.parent.glob("*") if path.parent.is_dir() else ()
        near = did_you_mean(path.name, [file.name for file in around if file.name != path.name])
        raise CheckpointError(f"there is no checkpoint {path}{near}")
    if not path.stat().st_size:
        raise CheckpointError(f"{path} is empty; expected a checkpoint, or a file of weights")
    sha256 = sha256 or _listed_sha256(path)
    if sha256 is not None and _sha256(path) != sha256:
        raise CheckpointError(f"{path} is damaged: its SHA-256 is not the one it was written with")
    refuse_bomb(path)  # before anything unpacks it
    if sha256 is None:
        _refuse_wrong_crc(path)
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
    if shards.KEY in loaded:
        loaded = shards.located(path, loaded)
    return shards.whole(loaded) if whole else loaded


def _listed_sha256(path: Path) -> str | None:
    """What the index beside a checkpoint says of it; None where there is none that does."""
    try:
        entries = Checkpoints(path.parent).index()
    except (CheckpointError, OSError):
        return None
    return next((entry["sha256"] for entry in entries if entry["file"] == path.name), None)


def _refuse_wrong_crc(path: Path) -> None:
    """A file that no index lists has at least the checksums of the zip archive that it is; torch does not look at them.

    Raises:
        CheckpointError: one is wrong.
    """
    try:
        if not zipfile.is_zipfile(path):
            return  # of torch before 1.6, or no torch file: torch says so
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, OSError, EOFError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if wrong is not None:
        raise CheckpointError(
            f"{path} is damaged: the checksum of its part {wrong!r} is not the one it was written with"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
