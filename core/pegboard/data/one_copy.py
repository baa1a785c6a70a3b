"""Decoded images once a machine: its ranks decode a part each, into memory that all of them map.

An order that is drawn anew each epoch lets a rank need any sample, so that none can do with a part of them alone.
"""

import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from pegboard import distributed
from pegboard.data.bad_samples import BadSamples
from pegboard.errors import DataError

T = TypeVar("T")

SHARED_MEMORY = Path("/dev/shm")  # Linux's file system in memory
BOOT = Path("/proc/sys/kernel/random/boot_id")


class Beside(NamedTuple):
    """The ranks that share a machine's memory; each of its methods is called by all ranks of the run at once.

    Args:
        ranks: theirs, this one's among them, ascending.
        place: of this one in ``ranks``.
    """

    ranks: tuple[int, ...]
    place: int

    def part(self, count: int) -> range:
        """Which of so many samples this rank decodes: those of all ranks, one after the other, are all."""
        ranks = len(self.ranks)
        return range(self.place * count // ranks, (self.place + 1) * count // ranks)

    def joined(self, values: list[T]) -> list[T]:
        """What the ranks have found, one after the other."""
        return [value for those in self._of_each(values) for value in those]

    def memory(self, size: int) -> Tensor:
        """So many bytes, (size,) uint8, that are the same for all these ranks.

        They lie in a file without a name, which the system removes with the last process that maps it.

        Raises:
            DataError: there is no room for them.
        """
        path = _new_file(size) if self.place == 0 else None
        try:
            found = self._of_each(path)[0]
            if found is None:
                raise DataError(
                    f"there is no room for {size / 2**20:,.0f} MiB of decoded images, in {SHARED_MEMORY} or "
                    f"{tempfile.gettempdir()}; set mode='workers'"
                )
            mapped = torch.from_file(found, shared=True, size=size, dtype=torch.uint8)
            self.wait()
        finally:
            if path is not None:
                Path(path).unlink()
        return mapped

    def together(self, mine: Tensor) -> Tensor:
        """(n,) of each rank to (N,), one after the other, in memory that is the same for all these ranks."""
        parts = self._of_each((len(mine), mine.dtype))
        dtype = next((dtype for length, dtype in parts if length), mine.dtype)  # a rank without samples knows of none
        begin = sum(length for length, _ in parts[: self.place])
        found = self.memory(sum(length for length, _ in parts) * dtype.itemsize).view(dtype)
        found[begin : begin + len(mine)] = mine
        self.wait()
        return found

    def tell(self, bad: BadSamples) -> None:
        """Let every rank know of the samples that any has found to be bad."""
        for found in self._of_each(bad.found):
            for sample, reason in found.items():
                bad.add(sample, reason)

    def wait(self) -> None:
        """Until every rank is here: what the others have written can be read then."""
        distributed.barrier()

    def _of_each(self, value: T) -> list[T]:
        everyone = distributed.of_each(value)
        return [everyone[rank] for rank in self.ranks]


def beside() -> Beside | None:
    """The ranks of this machine; None for a process that is alone. Called by all ranks at once."""
    here = distributed.place()
    if here is None:
        return None
    machines = distributed.of_each(_machine())
    ranks = tuple(rank for rank, machine in enumerate(machines) if machine == machines[here.rank])
    return Beside(ranks, ranks.index(here.rank))


def _machine() -> tuple[Any, ...]:
    """The same for two processes that see the same folders of temporary files, and for no others."""
    boot = BOOT.read_text() if BOOT.is_file() else platform.node()
    return (boot, *((str(folder), folder.stat().st_dev) for folder in _folders()))


def _folders() -> Iterator[Path]:
    """Where memory may be had that has a name: the second lies on a disk mostly, and is cached."""
    if SHARED_MEMORY.is_dir():
        yield SHARED_MEMORY
    yield Path(tempfile.gettempdir())


def _new_file(size: int) -> str | None:
    """A file of so many bytes, all of them there already; None where no folder has room."""
    for folder in _folders():
        try:
            number, path = tempfile.mkstemp(prefix="pegboard-", dir=folder)
        except OSError:
            continue
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(number, 0, size)  # a page that is missing later would end the process
            else:
                os.truncate(number, size)
            return path
        except OSError:
            Path(path).unlink()
        finally:
            os.close(number)
    return None
