"""What a torch file may not be, beside code: a small file that fills the memory."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pegboard.errors import CheckpointError

ZIP = b"PK\x03\x04"  # how the files begin that torch reads as an archive
MOST_REPEATED = 2**26  # bytes that a tensor may claim to hold beyond those that are stored, by repeating them


def refuse_bomb(path: Path) -> None:
    """End here if an archive holds more than it is long; torch itself compresses nothing, but reads what is.

    Raises:
        CheckpointError: it does, or it is a broken archive.
    """
    with path.open("rb") as file:
        if file.read(len(ZIP)) != ZIP:
            return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except Exception as error:  # damaged bytes make zipfile raise anything, struct.error among it
        raise CheckpointError(f"{path} cannot be read as a torch file: {error}") from error
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise CheckpointError(f"{path} is a compressed archive, which torch does not write; it is not unpacked")
    if (claimed := sum(entry.file_size for entry in entries)) > path.stat().st_size:
        raise CheckpointError(f"{path} claims to hold {claimed:,} bytes, but is shorter than that; it is not read")


def refuse_absurd(path: Path, loaded: Any) -> None:
    """End here if a tensor in what was loaded has far more values than were stored for it.

    Raises:
        CheckpointError: one has; a copy of it could fill any memory.
    """
    waiting, seen = [loaded], set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:  # what is shared may be reached in more ways than can be gone
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            _refuse_repeated(path, value)
        elif isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, list | tuple | set):
            waiting += value


def _refuse_repeated(path: Path, tensor: Tensor) -> None:
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return
    claimed, stored = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
    if claimed > stored + MOST_REPEATED:
        raise CheckpointError(
            f"{path} has a tensor of {tuple(tensor.shape)} for which only {stored:,} bytes are stored; it is not used"
        )
