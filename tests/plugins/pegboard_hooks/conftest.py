"""Every test here may name the tiny parts of ``tests/runs.py``."""

import logging
from collections.abc import Callable, Iterator

import pytest

from pegboard import cli
from tests import runs

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _tiny_parts(boards: None) -> None:
    runs.hang_up()


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """``command("test", folder)``: exit status, standard output and error of ``pegboard test`` in this process."""
    log = logging.getLogger("pegboard")
    handlers, level, propagate = list(log.handlers), log.level, log.propagate

    def call(name: str, *arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        return (cli.run(name, list(map(str, arguments))), *capsys.readouterr())

    yield call
    log.handlers, log.level, log.propagate = handlers, level, propagate
