"""What an error says in one line."""

import pytest

from pegboard import PegboardError
from pegboard.errors import reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionError("nobody there"), "ConnectionError: nobody there"),
        (ConnectionError("\n  nobody there\nsince 3:00"), "ConnectionError: nobody there"),
        (TimeoutError(), "TimeoutError"),
        (PegboardError("no such service", "there is 'this'"), "no such service there is 'this'"),
    ],
)
def test_the_reason_of_an_error_is_one_line(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason
