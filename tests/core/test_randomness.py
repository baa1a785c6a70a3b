"""Random numbers as a function of where they are used."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegboard.randomness import hashed, mix, permutation, uniforms

integers = st.integers(0, 2**62)


def chi_square(u: "np.ndarray", bins: int) -> float:
    """How far the counts are from even, in standard deviations of the chi-square distribution."""
    counts = np.bincount((u * bins).astype(int), minlength=bins)
    expected = len(u) / bins
    statistic = ((counts - expected) ** 2 / expected).sum()
    return float((statistic - (bins - 1)) / np.sqrt(2 * (bins - 1)))


def test_uniforms_are_spread_evenly() -> None:
    u = uniforms(0, 0, 0, np.arange(200_000), 2)
    assert u.shape == (200_000, 2) and u.dtype == np.float64
    assert u.min() >= 0 and u.max() < 1
    for column in u.T:
        assert abs(chi_square(column, 100)) < 5
    assert abs(chi_square(u.ravel() * 1000 % 1, 100)) < 5  # the low digits too


def test_the_test_of_evenness_catches_numbers_that_are_not() -> None:
    u = np.random.default_rng(0).random(200_000)
    assert abs(chi_square(u, 100)) < 5
    assert chi_square(u**1.02, 100) > 5  # a slight lean
    assert chi_square(np.floor(u * 150) / 150, 100) > 5  # too few values


@pytest.mark.parametrize("axis", ["seed", "epoch", "place", "sample", "number"])
def test_neighbours_share_nothing(axis: str) -> None:
    """Pairs that differ by one in a single number fill the square evenly."""
    index = np.arange(100_000)
    if axis == "number":
        both = uniforms(3, 1, 2, index, 2)
    elif axis == "sample":
        both = uniforms(3, 1, 2, np.arange(100_001), 1)
        both = np.stack([both[:-1, 0], both[1:, 0]], 1)
    else:
        numbers = {"seed": 3, "epoch": 1, "place": 2}
        other = {**numbers, axis: numbers[axis] + 1}
        both = np.stack([uniforms(**n, index=index, k=1)[:, 0] for n in (numbers, other)], 1)
    assert abs(np.corrcoef(both.T)[0, 1]) < 5 / np.sqrt(len(both))
    cells = (both[:, 0] * 10).astype(int) * 10 + (both[:, 1] * 10).astype(int)
    assert abs(chi_square((cells + 0.5) / 100, 100)) < 5


@given(seed=integers, epoch=integers, place=st.integers(0, 100), count=st.integers(1, 50), k=st.integers(0, 5))
def test_a_samples_numbers_do_not_depend_on_its_batch(seed: int, epoch: int, place: int, count: int, k: int) -> None:
    index = np.random.default_rng(count).permutation(1000)[:count]
    batch = uniforms(seed, epoch, place, index, k)
    assert batch.shape == (count, k)
    assert ((batch >= 0) & (batch < 1)).all()
    alone = np.concatenate([uniforms(seed, epoch, place, index[i : i + 1], k) for i in range(count)])
    assert (batch == alone).all()
    assert (batch[:, : k // 2] == uniforms(seed, epoch, place, index, k // 2)).all()  # more numbers change none before


@given(numbers=st.lists(integers, min_size=1, max_size=4))
def test_hashed_is_a_seed_that_generators_take(numbers: list[int]) -> None:
    assert 0 <= hashed(*numbers) < 2**63
    assert hashed(*numbers) == hashed(*numbers)
    assert hashed(*numbers) != hashed(*numbers, 0)
    assert hashed(*numbers) != hashed(numbers[0] + 1, *numbers[1:])


def test_hashed_depends_on_the_order() -> None:
    assert len({hashed(a, b) for a in range(100) for b in range(100)}) == 10_000


def test_mix_is_one_to_one() -> None:
    assert len(np.unique(mix(np.arange(100_000, dtype=np.uint64)))) == 100_000


def test_the_numbers_are_those_that_were_always_drawn() -> None:
    """A change here changes every run of every user: old runs could not be repeated."""
    assert hashed(0, 0) == 6017775124710473527
    assert uniforms(0, 0, 0, np.array([0, 1]), 2).tolist() == [
        [0.1574465721262801, 0.1878850666300862],
        [0.08580268308089356, 0.06300805806539433],
    ]
    assert permutation(0, 0, 8).tolist() == [4, 2, 0, 7, 6, 1, 3, 5]


@given(seed=integers, epoch=st.integers(0, 1000), count=st.integers(0, 200))
def test_a_permutation_has_each_sample_once(seed: int, epoch: int, count: int) -> None:
    assert sorted(permutation(seed, epoch, count).tolist()) == list(range(count))


def test_permutations_differ_by_epoch_and_by_seed() -> None:
    orders = {tuple(permutation(seed, epoch, 50).tolist()) for seed in range(20) for epoch in range(20)}
    assert len(orders) == 400


def test_a_permutation_puts_each_sample_anywhere() -> None:
    places = np.array([permutation(0, epoch, 10) for epoch in range(5000)])
    for column in places.T:
        assert abs(chi_square((column + 0.5) / 10, 10)) < 5
