"""One run in several processes, its ranks: who they are, and how they meet. All else is ``torch.distributed``'s.

A launcher says it in the environment: ``torchrun``, Slurm's ``srun``, or RANK and WORLD_SIZE set by hand. Nothing here
imports torch before there is a second rank.
"""

import atexit
import json
import logging
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from uuid import uuid4

from pegboard.errors import PegboardError

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

logger = logging.getLogger("pegboard")

T = TypeVar("T")

PATIENCE = 3.0  # seconds that a mistake waits on a later rank: the first one, which has most likely made it too, tells
LOST = re.compile(r"gloo|NCCL|closed by peer|reset by peer|Broken pipe|TCPStore|Socket", re.IGNORECASE)


class PeerLost(PegboardError):
    """Another rank has ended, so that this one cannot go on; what ended it is said by that rank."""


class Place(NamedTuple):
    """Which of a run's processes this one is.

    Args:
        rank: from 0 to ``world`` - 1; 0 is the one that writes.
        local_rank, local_world: the same among those of this machine.
        address, port: where the ranks meet.
    """

    rank: int
    world: int
    local_rank: int
    local_world: int
    address: str
    port: int


def place(environ: Mapping[str, str] = os.environ) -> Place | None:
    """What the launcher says; None for a process that is alone.

    Raises:
        PegboardError: it says it by halves.
    """
    if "RANK" in environ or "WORLD_SIZE" in environ:
        return _plain(environ)
    return _slurm(environ)


def _plain(environ: Mapping[str, str]) -> Place | None:
    """torchrun's variables, or the same set by hand."""
    world = _number(environ, "WORLD_SIZE")
    if world == 1:
        return None
    rank = _number(environ, "RANK")
    if not 0 <= rank < world:
        raise PegboardError(f"RANK is {rank}; expected 0 to {world - 1}, since WORLD_SIZE is {world}")
    local = _number(environ, "LOCAL_RANK", rank)
    beside = _number(environ, "LOCAL_WORLD_SIZE", world)
    return Place(rank, world, local, beside, environ.get("MASTER_ADDR", "127.0.0.1"), _number(environ, "MASTER_PORT"))


def _slurm(environ: Mapping[str, str]) -> Place | None:
    """Those of a job step; a batch script itself, which starts its steps by ``srun``, has none."""
    world = _number(environ, "SLURM_STEP_NUM_TASKS", 1)
    if world == 1 or "SLURM_PROCID" not in environ:
        return None
    tasks = environ.get("SLURM_STEP_TASKS_PER_NODE", str(world))  # such as 4(x2),1
    counts = [int(n) for n, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", tasks) for _ in range(int(times or 1))]
    node = _number(environ, "SLURM_NODEID", 0)
    hosts = environ.get("SLURM_STEP_NODELIST", "127.0.0.1")  # such as gpu[03-05,9],cpu1
    first = re.sub(r"^([^,\[]*)\[(\d+)[^\]]*\]([^,]*).*$", r"\1\2\3", hosts).split(",")[0]
    port = 20_000 + _number(environ, "SLURM_JOB_ID", 0) % 20_000
    return Place(
        rank=_number(environ, "SLURM_PROCID"),
        world=world,
        local_rank=_number(environ, "SLURM_LOCALID"),
        local_world=counts[node] if node < len(counts) else world,
        address=environ.get("MASTER_ADDR", first),
        port=_number(environ, "MASTER_PORT", port),
    )


def _number(environ: Mapping[str, str], name: str, default: int | None = None) -> int:
    found = environ.get(name, default)
    if found is None:
        raise PegboardError(f"{name} is not set; a run of several processes needs RANK, WORLD_SIZE and MASTER_PORT")
    try:
        return int(found)
    except ValueError:
        raise PegboardError(f"{name} is {found!r}; expected a number") from None


def is_first() -> bool:
    """True for the process that writes and speaks: rank 0, or one that is alone."""
    here = place()
    return here is None or here.rank == 0


def join() -> Place | None:
    """Meet the other ranks, once; None for a process that is alone.

    Raises:
        PeerLost: they did not all come.
    """
    here = place()
    if here is None:
        return None
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    if dist.is_initialized():
        return here
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    os.environ.setdefault("MASTER_ADDR", here.address)
    os.environ.setdefault("MASTER_PORT", str(here.port))
    logger.info("rank %d of %d meets the others at %s:%d", here.rank, here.world, here.address, here.port)
    try:
        meeting, _, _ = next(rendezvous("env://", here.rank, here.world, timeout=timeout()))
        store = _of_this_attempt(meeting, here) if launch() else meeting
        world, rank = here.world, here.rank
        dist.init_process_group(backend, timeout=timeout(), store=store, rank=rank, world_size=world)
    except (RuntimeError, ValueError) as error:
        raise PeerLost(
            f"rank {here.rank} of {here.world} could not meet the others at {here.address}:{here.port}: {error}"
        ) from error
    atexit.register(_leave)
    return here


def _of_this_attempt(store: "Store", here: Place) -> "Store":
    """A part of the store that no earlier attempt has written to, the same on every rank of this one.

    torchrun keeps one store for all its attempts, and TORCHELASTIC_RESTART_COUNT does not tell them apart: each
    torchrun counts the failures of its own ranks, and one that only follows another's counts none. So rank 0 makes up
    a name, and tells it to whoever asks until all have heard; what is left of earlier attempts does not ask again.
    """
    from torch._C._distributed_c10d import PrefixStore

    if here.rank:
        question = uuid4().hex
        store.set(f"asks {here.rank}", question)
        name = store.get(f"answer to {question}").decode()
        store.set(f"{name} heard {here.rank}", "")
        return PrefixStore(name, store)
    name, missing, began = uuid4().hex, set(range(1, here.world)), time.monotonic()
    while missing:
        for rank in [rank for rank in missing if store.check([f"asks {rank}"])]:
            store.set(f"answer to {store.get(f'asks {rank}').decode()}", name)
        missing = {rank for rank in missing if not store.check([f"{name} heard {rank}"])}
        if time.monotonic() - began > timeout().total_seconds():
            raise RuntimeError(f"rank {', '.join(map(str, sorted(missing)))} did not come")
        time.sleep(0.02)
    return PrefixStore(name, store)


def timeout(environ: Mapping[str, str] = os.environ) -> timedelta:
    """How long a rank waits for what the others have to send before it takes them for lost.

    A process that dies is noticed at once. A machine that is cut off is not, and PEGBOARD_TIMEOUT says for how many
    seconds it may be a slow one; half an hour, as torch has it, unless set, since a download may take as long.
    """
    seconds = _number(environ, "PEGBOARD_TIMEOUT", 1800)
    if seconds < 1:
        raise PegboardError(f"PEGBOARD_TIMEOUT is {seconds}; expected at least 1 second")
    return timedelta(seconds=seconds)


def _leave() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


def from_first(value: Any) -> Any:
    """The plain value that rank 0 has, on every rank; the value itself in a process that is alone."""
    if place() is None:
        return value
    import torch.distributed as dist

    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def together(work: Callable[[], T], group: Any = None) -> list[T]:
    """What ``work`` gives on each rank, by rank; called by all at once.

    Args:
        group: the ranks as torch knows them, where this is not the thread that trains: a group is of one thread.

    Raises:
        OSError: a disk refused it on some rank; raised on all, so that they go on alike.
    """
    here = place()
    if here is None:
        return [work()]
    import torch.distributed as dist

    try:
        own: T | OSError = work()
    except OSError as error:
        own = error
    everyone: list[Any] = [None] * here.world
    dist.all_gather_object(everyone, own, group)
    for rank, outcome in enumerate(everyone):
        if isinstance(outcome, OSError):
            raise OSError(outcome.errno, f"rank {rank}: {outcome.strerror or outcome}", outcome.filename) from outcome
    return everyone


def local(tensor: Any) -> Any:
    """A tensor's values that are in this process, sharing its memory: of one that is sharded the own part."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def of_each(value: T) -> list[T]:
    """The plain value that each rank has, by rank; called by all at once."""
    here = place()
    if here is None:
        return [value]
    import torch.distributed as dist

    join()
    values: list[Any] = [None] * here.world
    dist.all_gather_object(values, value)
    return values


def launch(environ: Mapping[str, str] = os.environ) -> str | None:
    """Which torchrun has started this process, the same for all its attempts; None where none has."""
    if "TORCHELASTIC_RUN_ID" not in environ:
        return None
    own = Path(environ.get("TORCHELASTIC_ERROR_FILE", "")).parts[-5:-3]  # .../attempt_N/RANK/error.json
    return "/".join(own) or f"process {os.getppid()} of {socket.gethostname()}"


def launches() -> list[str]:
    """The torchruns that have started the ranks of this run, one a machine; asked by all ranks at once."""
    return sorted({one for one in of_each(launch()) if one is not None})


def barrier() -> None:
    """Wait until every rank is here."""
    if place() is not None:
        import torch
        import torch.distributed as dist

        dist.all_reduce(torch.zeros(1))  # on the CPU: NCCL's own barrier has to guess a GPU


@contextmanager
def first_goes_first() -> Iterator[None]:
    """Let rank 0 do what is inside, then the others: it downloads and fills caches, they find them."""
    here = place()
    if here is not None and here.rank:
        barrier()
    yield
    if here is not None and not here.rank:
        barrier()


def threads(here: Place, environ: Mapping[str, str] = os.environ) -> int | None:
    """CPU threads of each rank: its share of the machine's cores; None where the environment says how many.

    torchrun sets OMP_NUM_THREADS=1 where nobody has, so that 1 says nothing; a config's ``threads=1`` does.
    """
    if environ.get("OMP_NUM_THREADS", "1") != "1":
        return None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // here.local_world)


def is_lost(error: BaseException) -> bool:
    """Did a collective call fail because another rank is gone?"""
    if place() is None or not isinstance(error, RuntimeError):
        return False
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or LOST.search(str(error)) is not None


def let_first_speak() -> None:
    """On a later rank, wait a little before a mistake is told that all may have made; the first ends this process."""
    if not is_first():
        time.sleep(PATIENCE)


def tell_launcher(error: BaseException, environ: Mapping[str, str] = os.environ) -> None:
    """Give torchrun, whose account of a failure comes last, the error to name in it; it would show a link instead."""
    file = environ.get("TORCHELASTIC_ERROR_FILE")
    if not file:
        return
    said = {"message": f"{type(error).__name__}: {error}", "timestamp": int(time.time())}
    with suppress(OSError):  # it goes without
        Path(file).write_text(json.dumps(said), encoding="utf-8")
