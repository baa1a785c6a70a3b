"""How fast a run is, measured where it is steady."""

import time

WARM_UP = 10  # iterations that the first kernels, caches and clocks take to settle


class Speed:
    """Images a second in training, validation and saving left out.

    Attributes:
        recent: over the last stretch between two readings; 0 before the first.
        steady: over the whole run after the warm-up; 0 if it never got there.
        seconds_left: until the end of training at the steady pace; None while that is unknown.
    """

    def __init__(self, total_iterations: int) -> None:
        self.total = total_iterations
        self.recent = self.steady = 0.0
        self.seconds_left: float | None = None
        self._iterations = 0
        self._images = self._seconds = 0.0
        self._started: float | None = None

    def start(self) -> None:
        """Training goes on from here."""
        self._started = time.perf_counter()

    def read(self, iteration: int, iterations: int, images: int) -> None:
        """So many iterations and images were trained since the last ``start`` or ``read``."""
        if self._started is None or not iterations:
            return
        now = time.perf_counter()
        seconds, self._started = now - self._started, now
        self.recent = images / seconds
        warm, self._iterations = self._iterations >= WARM_UP, self._iterations + iterations
        if warm:
            self._images += images
            self._seconds += seconds
            self.steady = self._images / self._seconds
            self.seconds_left = (self.total - iteration) * (seconds / iterations)
