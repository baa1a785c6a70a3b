"""Runs of several processes: each rank forked from a process that has torch already, on gloo."""

import os
import socket
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests import processes


def start(world: int, function: Callable[..., Any], *arguments: Any, logs: Path) -> list[BaseProcess]:
    """Call a function of a test module on each rank; what rank R prints goes to ``logs/rankR.log``."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    logs.mkdir(parents=True, exist_ok=True)
    return [
        processes.start(_as_rank, rank, world, port, function, arguments, log=logs / f"rank{rank}.log")
        for rank in range(world)
    ]


def call(world: int, function: Callable[..., Any], *arguments: Any, logs: Path, seconds: float = 240) -> list[int]:
    """The same, and wait for their end: exit statuses, negative for a signal."""
    started = start(world, function, *arguments, logs=logs)
    for process in started:
        process.join(seconds)
    for process in started:
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"{function.__name__}{arguments} took more than {seconds} s")
    return [process.exitcode for process in started if process.exitcode is not None]


def _as_rank(rank: int, world: int, port: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    if world > 1:
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "MASTER_PORT": str(port)}
    return function(*arguments)
