"""Random numbers as a function of where they are used, not of what was drawn before.

``uniforms(seed, epoch, place, index, k)`` gives sample ``index`` the same ``k`` numbers whatever the batch size, the
number of workers or the order, so that a run resumes in mid-epoch without replaying anything.
"""

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MASK = (1 << 64) - 1


def mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit integers one to one, so that neighbours share nothing.

    Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators" (SplitMix64, variant 13 of
    Stafford's mixers).
    """
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def hashed(*numbers: int) -> int:
    """One 63-bit integer from several, e.g. a generator's seed from ``(seed, epoch)``; ``mix`` in plain integers."""
    state = 0
    for number in numbers:
        x = (state + number * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & _MASK
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
        state = x ^ (x >> 31)
    return state >> 1


def uniforms(seed: int, epoch: int, place: int, index: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """``k`` numbers in [0, 1) for each sample.

    Args:
        place: position of the transform in its list; two transforms draw different numbers.
        index: (B,) which sample of the dataset (or, for transforms that mix samples, which place in the epoch).

    Returns:
        (B, k) float64, multiples of 2**-53.
    """
    stream = np.uint64(hashed(seed, epoch, place))
    sample = mix(index.astype(np.uint64) * _GOLDEN + stream)
    draws = mix(sample[:, None] + np.arange(1, k + 1, dtype=np.uint64) * _GOLDEN)
    return (draws >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order of the samples in an epoch: (count,) int64, a function of (seed, epoch)."""
    return np.random.Generator(np.random.Philox(hashed(seed, epoch, -1))).permutation(count)
