"""Runs in processes of their own, forked from one that has imported torch already: to be killed, signalled, resumed.

A process takes a few hundredths of a second so, instead of the three seconds that importing torch takes.
"""

import multiprocessing
import os
import resource
import sys
import traceback
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["torch", "torchvision", "pegboard.runner", "pegboard.hooks", "torch.utils.data"])


def start(function: Callable[..., Any], *arguments: Any, log: Path | None = None) -> BaseProcess:
    """Call a function of a test module in a new process; what it prints goes to ``log``."""
    process = SERVER.Process(target=_call, args=(function, arguments, log))
    process.start()
    return process


def call(function: Callable[..., Any], *arguments: Any, log: Path | None = None, seconds: float = 120) -> int:
    """The same, and wait for its end: its exit status, negative for a signal."""
    process = start(function, *arguments, log=log)
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"{function.__name__}{arguments} took more than {seconds} s")
    return process.exitcode


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], log: Path | None) -> None:
    with Path(log or os.devnull).open("a", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import torch

    torch.set_num_threads(1)
    multiprocessing.set_start_method(multiprocessing.get_all_start_methods()[0], force=True)  # as a user's process has
    try:
        status = function(*arguments)
    except SystemExit:
        raise
    except BaseException:  # noqa: BLE001  # shown, and the status says so
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    sys.stdout.flush()
    sys.exit(status if isinstance(status, int) else 0)


def limit_file_size(limit: int) -> None:
    """No file may become larger: what a full disk does, without filling one."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
