"""Tensors that several processes hold in parts: files that each rank writes for itself, beside the checkpoint.

``checkpoints/iteration_00000500.pt`` holds all else, and lists the files of its folder ``iteration_00000500-0.shards``
with the SHA-256 of each; the index has that of the ``.pt``, so that a checkpoint counts only when all its files are
there and whole. They are written and read by ``torch.distributed.checkpoint`` in its safetensors form: its usual form
describes the files in a pickle, which runs code when it is read; a safetensors file can hold numbers alone.
"""

import copy
import hashlib
import math
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pegboard import distributed
from pegboard.errors import CheckpointError, PegboardError

KEY = "shards"  # of a checkpoint's contents
FOLDER = r"[\w]+-\d+\.shards"
FILE = r"[\w.-]+\.safetensors"

Path_ = tuple[Any, ...]


class Kind(NamedTuple):
    """Shape and number format of a tensor."""

    size: tuple[int, ...]
    dtype: torch.dtype


# -- tensors in a nested state -----------------------------------------------------------------------------------------


def is_part(value: Any) -> bool:
    """Is it a tensor of which this process holds a part?"""
    return isinstance(value, Tensor) and hasattr(value, "full_tensor")


def leaves(state: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """(keys from the outside in, value) of everything in dicts and lists."""
    if isinstance(state, Mapping):
        for key, value in state.items():
            yield from leaves(value, (*path, key))
    elif isinstance(state, list | tuple):
        for index, value in enumerate(state):
            yield from leaves(value, (*path, index))
    else:
        yield path, state


def replaced(state: Any, by: Mapping[Path_, Any], path: Path_ = ()) -> Any:
    """The same state with other values at some paths; its dicts and lists are new, the rest is shared."""
    if isinstance(state, Mapping):
        new: Any = copy.copy(state)  # keeps the metadata of a model's state dict
        for key, value in state.items():
            new[key] = replaced(value, by, (*path, key))
        return new
    if isinstance(state, list | tuple):
        return type(state)(replaced(value, by, (*path, index)) for index, value in enumerate(state))
    return by.get(path, state)


def copied(state: Any, mesh: Any) -> Any:
    """The same state in memory of the CPU that no later step changes; what was a part is one still.

    Args:
        mesh: the ranks, as a mesh of CPUs.
    """
    from torch.distributed.tensor import DTensor

    def copy_of(value: Tensor) -> Tensor:
        own: Tensor = distributed.local(value.detach())
        new = torch.empty(own.shape, dtype=own.dtype).copy_(own)
        if not isinstance(value, DTensor):
            return new
        return DTensor.from_local(
            new, mesh, value.placements, run_check=False, shape=value.shape, stride=value.stride()
        )

    return replaced(state, {where: copy_of(value) for where, value in leaves(state) if isinstance(value, Tensor)})


# -- files -------------------------------------------------------------------------------------------------------------


def write(folder: Path, tensors: dict[str, Tensor], group: Any = None) -> dict[str, str]:
    """Let each rank write its parts; called on all of them.

    Args:
        group: as in ``distributed.together``.

    Returns:
        the SHA-256 of each file.

    Raises:
        OSError: a disk refuses it. CheckpointError: the ranks do not write to the same folder.
    """
    import torch.distributed as dist
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.state_dict_saver import save

    writer = _storage().HuggingFaceStorageWriter(str(folder), save_distributed=True)
    try:
        save(tensors, storage_writer=writer, process_group=group)
    except CheckpointException as error:
        if distributed.is_first():
            shutil.rmtree(folder, ignore_errors=True)
        rank, (cause, _) = next(iter(error.failures.items()))
        if isinstance(cause, OSError):
            raise OSError(cause.errno, f"rank {rank}: {cause.strerror or cause}", str(folder)) from error
        raise CheckpointError(f"rank {rank} could not write its part of {folder}: {cause}") from error

    def digests() -> tuple[list[str], dict[str, str]]:
        names = sorted(file.name for file in folder.glob("*.safetensors"))
        return names, {name: _sha256(folder / name) for name in names[dist.get_rank() :: dist.get_world_size()]}

    everyone = distributed.together(digests, group)
    if any(names != everyone[0][0] for names, _ in everyone):
        raise CheckpointError(f"the ranks do not see the same files in {folder}; all must write to the same folder")
    return {name: digest for _, those in everyone for name, digest in those.items()}


def located(path: Path, loaded: dict[str, Any]) -> dict[str, Any]:
    """The contents of a checkpoint file that has its tensors beside it, once these are found whole.

    Raises:
        CheckpointError: a file is missing, damaged, or of somebody else.
    """
    listed = loaded[KEY]
    folder = path.parent / str(listed["folder"])
    if not re.fullmatch(FOLDER, str(listed["folder"])) or not all(re.fullmatch(FILE, str(n)) for n in listed["files"]):
        raise CheckpointError(f"{path} names files that are not beside it; it is not read")
    if not folder.is_dir():
        raise CheckpointError(f"{path} has its tensors in {folder.name}, which is not beside it; move them together")
    found = {file.name for file in folder.glob("*.safetensors")}
    if odd := sorted(found ^ set(listed["files"])):
        what = "is missing" if odd[0] not in found else "is not of this checkpoint"
        raise CheckpointError(f"{folder} is damaged: {odd[0]} {what}")
    for name, digest in listed["files"].items():
        if _sha256(folder / name) != digest:
            raise CheckpointError(f"{folder / name} is damaged: its SHA-256 is not the one it was written with")
    return {**loaded, KEY: {**listed, "at": str(folder)}}


def kinds(folder: Path) -> dict[str, Kind]:
    """Every tensor of a folder, by name.

    Raises:
        CheckpointError: one has more values than are stored.
    """
    metadata = _storage().HuggingFaceStorageReader(str(folder)).read_metadata()
    found: dict[str, Kind] = {}
    for name, about in metadata.state_dict_metadata.items():
        stored = sum(math.prod(chunk.sizes) for chunk in about.chunks)
        if stored != math.prod(about.size):
            raise CheckpointError(
                f"{folder} is damaged: of {name!r} there are {stored} of {math.prod(about.size)} values"
            )
        found[name] = Kind(tuple(about.size), about.properties.dtype)
    return found


def read(folder: Path, tensors: dict[str, Tensor], alone: bool = False) -> None:
    """Fill tensors, whole ones or parts, from the files of a folder, whoever has written which part of them.

    Args:
        alone: the other ranks, if any, are not asked.
    """
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.state_dict_loader import load

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        try:
            load(tensors, storage_reader=_storage().HuggingFaceStorageReader(str(folder)), no_dist=alone)
        except CheckpointException as error:
            raise CheckpointError(f"{folder} cannot be read: {next(iter(error.failures.values()))[0]}") from error


def whole(state: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint's contents with the tensors that lie beside it, each in one piece, on the CPU."""
    if KEY not in state:
        return dict(state)
    folder, paths = Path(state[KEY]["at"]), state[KEY]["paths"]
    tensors: dict[str, Tensor] = {
        name: torch.empty(kind.size, dtype=kind.dtype) for name, kind in kinds(folder).items()
    }
    read(folder, tensors, alone=True)
    return put_back(state, paths, tensors)


def put_back(state: Mapping[str, Any], paths: Mapping[str, Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The state with each named tensor where it was taken from."""
    if missing := sorted(paths.keys() - tensors.keys()):
        raise CheckpointError(f"{state[KEY]['at']} is damaged: there is no {missing[0]!r} in it")
    rest = {key: value for key, value in state.items() if key != KEY}
    filled: dict[str, Any] = replaced(rest, {tuple(path): tensors[name] for name, path in paths.items()})
    return filled


def free_name(folder: Path, stem: str) -> str:
    """A name for the folder of a checkpoint: a new one where the same iteration was saved before."""
    number = 0
    while (folder / f"{stem}-{number}.shards").exists():
        number += 1
    return f"{stem}-{number}.shards"


def remove_unused(folder: Path, entries: list[dict[str, Any]]) -> None:
    """Remove the shards of checkpoints that are gone, that were saved again, or that never came to be."""
    current = {known["file"]: known.get(KEY) for known in entries}
    for shards in folder.glob("iteration_*.shards"):
        file = f"{shards.name.partition('-')[0]}.pt"
        if not (folder / file).exists() or (file in current and current[file] != shards.name):
            shutil.rmtree(shards, ignore_errors=True)


def _storage() -> Any:
    try:
        from torch.distributed.checkpoint import hf_storage
    except ImportError:
        raise PegboardError(f"torch {torch.__version__} has no checkpoints in parts of this form; 2.9 has") from None
    return hf_storage


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
