"""What the tests of the commands share."""

from collections.abc import Callable

import pytest

from pegboard.cli import main

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def pegboard(tmp_path, monkeypatch, capsys) -> Command:
    """``pegboard("split", "images", ...)`` in this process and in ``tmp_path``: status, output, error output.

    Quicker than ``pegboard_cli``, with which each command is tried too.
    """
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main([*map(str, arguments)])
        except SystemExit as stop:  # argparse
            status = stop.code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, out, err

    return run
