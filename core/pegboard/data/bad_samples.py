"""Samples that cannot be read."""

import logging
from typing import Literal

from pegboard.errors import DataError

logger = logging.getLogger("pegboard")

BadSamplePolicy = Literal["error", "skip"]


class BadSamples:
    """Counts them, logs each once, and ends the run when there are too many.

    Args:
        policy: ``"error"`` refuses the first one; ``"skip"`` lets another sample stand in for each.
        limit: largest share of all samples that may be skipped.
        total: how many samples there are.
        what: name in messages, e.g. ``"train"``.
    """

    def __init__(self, policy: BadSamplePolicy = "error", limit: float = 0.01, total: int = 0, what: str = "") -> None:
        self.policy = policy
        self.limit = limit
        self.total = total
        self.what = what
        self.found: dict[int, str] = {}  # number of the sample -> why
        self.elsewhere = False  # in a worker process: what is found is sent to the process that trains
        self.news: dict[int, str] = {}

    def add(self, index: int, reason: str) -> None:
        """One was met.

        Raises:
            DataError: it is one too many.
        """
        if index in self.found:
            return
        self.found[index] = reason
        if self.elsewhere:
            self.news[index] = reason
            return
        share = len(self.found) / self.total
        if share > self.limit:
            raise DataError(
                f"{self.what}: {len(self.found)} of {self.total} samples cannot be read ({share:.1%}), more than "
                f"max_bad={self.limit:g}; the last: {reason}"
            )
        logger.warning("%s: %s; another sample stands in for it", self.what, reason)

    def take_news(self) -> dict[int, str]:
        """What was found in this process since the last time."""
        news, self.news = self.news, {}
        return news
