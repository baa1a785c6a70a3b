"""Every test here may name the tiny parts of ``tests/runs.py``."""

import pytest

from tests import runs


@pytest.fixture(autouse=True)
def _tiny_parts(boards: None) -> None:
    runs.hang_up()
