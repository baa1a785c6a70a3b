"""The speed of a run, by a clock that the test sets."""

import time
from collections.abc import Iterator

import pytest

from pegboard.runner.ranks import Ranks
from pegboard.runner.speed import WARM_UP, Speed
from pegboard.strategies import Strategy


class Clock:
    """Seconds, and those of them that went into communication."""

    now = spoken = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: found.now)
    return found


def _steps(speed: Speed, clock: Clock, count: int) -> None:
    """Each takes 1 s: 0.25 s for its batch, 0.35 s for communication, 0.4 s for all else."""

    def batches() -> Iterator[int]:
        for number in range(count):
            clock.now += 0.25
            yield number

    speed.start(0, 0)
    for _ in speed.waiting(batches()):
        clock.now, clock.spoken = clock.now + 0.75, clock.spoken + 0.35
    speed.read(count, 8 * count)


@pytest.mark.parametrize(("share", "communication"), [(0.0, 0.35), (0.5, 0.55), (1.0, 0.75)])
def test_what_a_step_hides_is_a_share_of_the_rest_of_its_time(clock: Clock, share: float, communication: float) -> None:
    speed = Speed(100, lambda: clock.spoken, lambda: share)
    _steps(speed, clock, WARM_UP)
    assert speed.communication == 0  # not before the warm-up is over
    _steps(speed, clock, 20)
    assert speed.communication == pytest.approx(communication)
    assert (speed.data_wait, speed.steady) == (pytest.approx(0.25), pytest.approx(8.0))


@pytest.mark.parametrize(
    ("pieces", "sample", "share"), [(1, (1.0, 3.0), 0.25), (3, (1.0, 3.0), 0.1), (1, (0.0, 3.0), 0), (1, (0.0, 0.0), 0)]
)
def test_the_sample_of_a_strategy_is_of_the_last_piece(pieces: int, sample: tuple[float, float], share: float) -> None:
    class Sampled(Strategy):
        def waited_and_computed(self) -> tuple[float, float]:
            return sample

    ranks = Ranks.__new__(Ranks)
    ranks.strategy, ranks._pieces_a_step = Sampled(), pieces
    assert ranks.waited_share() == pytest.approx(share)
