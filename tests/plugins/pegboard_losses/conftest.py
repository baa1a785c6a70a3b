"""Every test here may name the tiny parts of ``tests/runs.py``, of ``points.py`` and of ``tasks.py``."""

import pytest

from tests import runs
from tests.plugins.pegboard_losses import tasks
from tests.plugins.pegboard_optim import points


@pytest.fixture(autouse=True)
def _tiny_parts(boards: None) -> None:
    runs.hang_up()
    points.hang_up()
    tasks.hang_up()
