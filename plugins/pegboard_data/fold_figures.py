"""What the folds say together: mean, standard deviation and interval of each metric."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95


@dataclass(frozen=True)
class Figures:
    """One metric over n folds.

    Args:
        per_fold: its value after each fold's last validation; None where a fold has none.
        mean: of the folds, each counted once.
        std: their standard deviation, that of a sample (n - 1).
        interval: from and to, ``mean`` -/+ t * std / sqrt(n) with Student's t of n - 1 degrees of freedom, 95 %.
        pooled: the mean with each fold counted as often as it has validation samples. For a metric that is a mean over
            samples, as loss and accuracy are, that is the mean over all single predictions.

    The interval takes the folds for independent; they share training samples, so that it is rather too narrow.
    Source: Bengio and Grandvalet 2004, "No Unbiased Estimator of the Variance of K-Fold Cross-Validation", JMLR 5.
    """

    per_fold: list[float | None]
    mean: float
    std: float
    interval: tuple[float, float]
    pooled: float


def figures(per_fold: Sequence[float | None], samples: Sequence[int]) -> Figures:
    """The figures of one metric.

    Args:
        samples: how many samples each fold was validated on.
    """
    known = [(value, count) for value, count in zip(per_fold, samples, strict=True) if value is not None]
    values, weights = np.array(known, dtype=np.float64).T
    n = len(values)
    with np.errstate(all="ignore"):  # a metric that is nan or infinite in one fold is that over all
        mean = float(values.mean())
        spread = float(values.std(ddof=1)) if np.ptp(values) else 0.0  # rounding alone gives equal folds a spread
        std = spread if n > 1 else math.nan
        half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * std / math.sqrt(n) if n > 1 else math.nan
        pooled = float((values * weights).sum() / weights.sum())
    return Figures(list(per_fold), mean, std, (mean - half, mean + half), pooled)
