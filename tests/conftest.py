"""Fixtures that every test may use."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # several test processes: each keeps to a core of its own
    os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from hypothesis import settings

from pegboard import plugins
from pegboard.registry import BOARDS

settings.register_profile("shared machine", deadline=None)  # how long one example takes says nothing here
settings.load_profile("shared machine")

REPOSITORY = Path(__file__).resolve().parent.parent

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session", autouse=True)
def _cache_of_names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A ``PEGBOARD_CACHE`` of the test run's own, for this process and those that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PEGBOARD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module", autouse=True)
def _log_as_before() -> Iterator[None]:
    """Commands let the log be shown; the tests of other modules did not ask for that."""
    log = logging.getLogger("pegboard")
    handlers, level, propagate = list(log.handlers), log.level, log.propagate
    yield
    log.handlers, log.level, log.propagate = handlers, level, propagate


@pytest.fixture
def repository() -> Path:
    return REPOSITORY


@pytest.fixture
def python(tmp_path: Path) -> Command:
    """``python("-c", "...", cwd=..., path=[folders on PYTHONPATH], **environment)``, in ``tmp_path`` unless said."""

    def run(
        *arguments: object,
        cwd: Path = tmp_path,
        path: "list[Path] | tuple[Path, ...]" = (),
        seconds: float = 300,
        **environment: str,
    ) -> "subprocess.CompletedProcess[str]":
        variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        if path:
            variables["PYTHONPATH"] = os.pathsep.join(map(str, path))
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=seconds)

    return run


@pytest.fixture
def pegboard_cli(python: Command) -> Command:
    """``pegboard_cli("check", config)``: what the console script ``pegboard`` does, in a process of its own."""

    def run(*arguments: object, **options: object) -> "subprocess.CompletedProcess[str]":
        return python("-c", "from pegboard.cli import main; raise SystemExit(main())", *arguments, **options)

    return run


@contextmanager
def restored_boards() -> Iterator[None]:
    """What hangs on the boards inside is taken off again."""
    plugins.installed_plugins()
    before = {
        name: ({part: list(entries) for part, entries in board.entries.items()}, list(board.bridges))
        for name, board in BOARDS.items()
    }
    try:
        yield
    finally:
        for name, (entries, bridges) in before.items():
            BOARDS[name].entries, BOARDS[name].bridges = entries, bridges


@pytest.fixture
def boards() -> Iterator[None]:
    """What a test hangs on the boards is taken off again."""
    with restored_boards():
        yield
