"""How fast a run is, measured where it is steady."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

WARM_UP = 10  # iterations that the first kernels, caches and clocks take to settle


class Speed:
    """Images a second in training, validation and saving left out.

    Args:
        communicated: seconds so far that only went into sending to other ranks and waiting for them.
        waited_share: of the rest of a step's time, that in which gradients were waited for, by a sample.

    Attributes:
        recent: over the last stretch between two readings; 0 before the first.
        steady: over the whole run after the warm-up; 0 if it never got there.
        data_wait: share of the steady time in which the step waited for its batch.
        communication: share of the steady time that went into sending to other ranks and waiting for them.
        seconds_left: until the end of training at the steady pace; None while that is unknown.
    """

    def __init__(
        self, total_iterations: int, communicated: Callable[[], float], waited_share: Callable[[], float]
    ) -> None:
        self.total = total_iterations
        self._communicated, self._waited_share = communicated, waited_share
        self.recent = self.steady = 0.0
        self.seconds_left: float | None = None
        self._last = (0.0, 0, 0)  # clock, iteration and images at the last reading
        self._iterations = 0  # measured so far; then images and seconds after the warm-up
        self._images = self._seconds = 0.0
        self._waited = self._steady_wait = 0.0  # seconds: since the last reading, and after the warm-up
        self._spoken = self._steady_talk = 0.0  # of communication: all at the last reading; those after the warm-up

    @property
    def data_wait(self) -> float:
        return self._steady_wait / self._seconds if self._seconds else 0.0

    @property
    def communication(self) -> float:
        return self._steady_talk / self._seconds if self._seconds else 0.0

    def waiting(self, batches: Iterable[T]) -> Iterator[T]:
        """The same batches, with a clock on how long each was waited for."""
        clock, iterator = time.perf_counter, iter(batches)
        while True:
            began = clock()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self._waited += clock() - began
            yield batch

    def start(self, iteration: int, images: int) -> None:
        """Training goes on from here, at so many iterations and images in all."""
        self._last = (time.perf_counter(), iteration, images)
        self._waited, self._spoken = 0.0, self._communicated()

    def read(self, iteration: int, images: int) -> None:
        """Training has come to so many iterations and images in all."""
        now, (then, iterations, before) = time.perf_counter(), self._last
        seconds, iterations, trained = now - then, iteration - iterations, images - before
        if not iterations:
            return
        self._last = (now, iteration, images)
        self.recent = trained / seconds
        spoken_before, self._spoken = self._spoken, self._communicated()
        warm, self._iterations = self._iterations >= WARM_UP, self._iterations + iterations
        if warm:
            self._images += trained
            self._seconds += seconds
            self._steady_wait += self._waited
            spoken = self._spoken - spoken_before
            self._steady_talk += spoken + self._waited_share() * (seconds - spoken - self._waited)
            self.steady = self._images / self._seconds
            self.seconds_left = (self.total - iteration) * (seconds / iterations)
        self._waited = 0.0
