"""What the tests of pictures share."""

from collections.abc import Iterator

import pytest

from pegboard.cli import main
from pegboard.registry import BOARDS
from tests import runs
from tests.conftest import restored_boards
from tests.plugins.pegboard_visual import nets


@pytest.fixture(scope="module")
def tiny_parts() -> Iterator[None]:
    """The tiny dataset and models on their boards, and ``Drawn``: a network with dropout, batch norm and maps."""
    with restored_boards():
        runs.hang_up()

        def drawn(num_classes: int) -> nets.Pooled:
            """A network with dropout, batch norm and maps."""
            return nets.Pooled(num_classes)

        BOARDS["models"].register(drawn, name="Drawn", supplied=("num_classes",))
        yield


def status_of(*arguments: str) -> int:
    """What the command line ends with, whoever found the mistake."""
    try:
        return main(arguments)
    except SystemExit as end:  # argparse
        return int(end.code or 0)
