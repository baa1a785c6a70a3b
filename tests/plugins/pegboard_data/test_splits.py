"""Splits: disjoint, exhaustive, the same for the same seed, stratified, and groups kept together."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pegboard import DataError
from pegboard_data.splits import Samples, bootstrap, check_ratio, check_seed, holdout, kfold, leave_one_out

RATIOS = [(0.7, 0.15, 0.15), (0.8, 0.2), (0.5, 0.25, 0.25), (0.6, 0.4), (0.34, 0.33, 0.33)]


def samples_of(counts, mix=None, groups=None, stratify=True):
    """Samples of so many a class, in an order that ``mix`` chooses."""
    targets = [number for number, count in enumerate(counts) for _ in range(count)]
    if mix is not None:
        mix.shuffle(targets)
    return Samples(np.array(targets, dtype=np.int32), [f"class {n}" for n in range(len(counts))], groups, stratify)


counts_of_classes = st.lists(st.integers(20, 60), min_size=1, max_size=5)
seeds = st.integers(0, 2**32 - 1)


def assert_disjoint_and_exhaustive(parts, count):
    together = np.concatenate(list(parts.values()))
    assert np.array_equal(np.sort(together), np.arange(count))
    assert all(len(part) and np.all(np.diff(part) > 0) for part in parts.values())


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


# -- hold-out -------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(counts=counts_of_classes, ratio=st.sampled_from(RATIOS), seed=seeds, mix=st.randoms(), stratify=st.booleans())
def test_a_holdout_is_disjoint_exhaustive_and_stratified(counts, ratio, seed, mix, stratify):
    samples = samples_of(counts, mix, stratify=stratify)
    parts = holdout(samples, ratio, seed)
    assert list(parts) == ["train", "valid", "test"][: len(ratio)]
    assert_disjoint_and_exhaustive(parts, sum(counts))
    for share, part in zip(ratio, parts.values(), strict=True):
        assert abs(len(part) - share * sum(counts)) < 1.01  # valid and test are rounded, train is the rest
        if stratify:
            for number, count in enumerate(np.bincount(samples.targets[part], minlength=len(counts))):
                assert abs(count - share * counts[number]) < 2.5  # two cuts, each rounded up or down
    assert same(parts, holdout(samples, ratio, seed))


def test_two_parts_are_stratified_within_one():
    samples = samples_of([53, 31, 17])
    parts = holdout(samples, (0.8, 0.2), 3)
    for number, count in enumerate([53, 31, 17]):
        assert abs((samples.targets[parts["valid"]] == number).sum() - 0.2 * count) < 1


@pytest.mark.parametrize("draw", [lambda s, seed: holdout(s, (0.5, 0.5), seed), bootstrap])
def test_another_seed_is_another_split(draw):
    samples = samples_of([20, 20])
    assert len({tuple(draw(samples, seed)["train"]) for seed in range(20)}) == 20


def test_the_test_part_does_not_depend_on_what_is_left_to_validate_on():
    samples = samples_of([40, 60])
    tests = [holdout(samples, ratio, 5)["test"] for ratio in ((0.7, 0.1, 0.2), (0.5, 0.3, 0.2))]
    assert np.array_equal(*tests)


@pytest.mark.parametrize(
    ("counts", "ratio", "message"),
    [
        ([30, 2], (0.7, 0.15, 0.15), "class 'class 1' has 2 images, too few .*: expected at least 3, one for each of"),
        ([30, 1], (0.8, 0.2), "class 'class 1' has 1 image, too few"),
        ([100, 4], (0.9, 0.05, 0.05), "class 'class 1' has 4 images, too few to be in each part: "),
        ([9, 9, 8], (0.98, 0.02), "class 'class 2' has 8 images, .* a part of 1 images cannot hold all 3 classes"),
        ([2], (0.34, 0.33, 0.33), "SOURCE has 2 images; expected at least 3"),
    ],
)
def test_a_class_too_small_to_be_in_each_part_is_named(counts, ratio, message):
    with pytest.raises(DataError, match=message):
        holdout(samples_of(counts), ratio, 0)


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=6), ratio=st.sampled_from(RATIOS), seed=st.integers(0, 9)
)
def test_small_classes_are_in_each_part_or_named(counts, ratio, seed):
    """Never a traceback of scikit-learn's, and never a part that lacks a class."""
    samples = samples_of(counts)
    try:
        parts = holdout(samples, ratio, seed)
    except DataError as error:
        assert "class 'class" in str(error) or f"SOURCE has {sum(counts)} image" in str(error)
    else:
        assert_disjoint_and_exhaustive(parts, sum(counts))
        assert all(len(np.unique(samples.targets[part])) == len(counts) for part in parts.values())


def test_without_stratification_a_small_class_is_no_error():
    parts = holdout(samples_of([30, 1], stratify=False), (0.8, 0.2), 0)
    assert_disjoint_and_exhaustive(parts, 31)


@pytest.mark.parametrize(
    ("ratio", "message"),
    [
        ((70, 15, 15), r"--ratio 70 15 15; expected two .* sum to 1; did you mean 0\.7 0\.15 0\.15\?"),
        ((0.7, 0.2), r"--ratio 0\.7 0\.2; .* did you mean 0\.7778 0\.2222\?"),
        ((1.0,), "--ratio 1; expected two"),
        ((0.5, 0.5, 0.0), r"--ratio 0\.5 0\.5 0; expected"),
        ((0.4, 0.3, 0.2, 0.1), "expected two"),
        ((float("nan"), 0.5), "expected two"),
    ],
)
def test_ratios_that_are_none_are_refused(ratio, message):
    with pytest.raises(DataError, match=message):
        check_ratio(ratio)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(DataError, match=f"--seed {seed}; expected 0 to 4294967295"):
        check_seed(seed)


# -- folds ----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(counts=counts_of_classes, folds=st.integers(2, 9), seed=seeds, mix=st.randoms(), stratify=st.booleans())
def test_each_sample_validates_in_one_fold(counts, folds, seed, mix, stratify):
    samples = samples_of(counts, mix, stratify=stratify)
    cuts = kfold(samples, folds, seed)
    assert len(cuts) == folds
    for parts in cuts:
        assert_disjoint_and_exhaustive(parts, sum(counts))
        if stratify:
            for number, count in enumerate(np.bincount(samples.targets[parts["valid"]], minlength=len(counts))):
                assert abs(count - counts[number] / folds) < 1
    assert np.array_equal(np.sort(np.concatenate([parts["valid"] for parts in cuts])), np.arange(sum(counts)))
    assert all(same(*pair) for pair in zip(cuts, kfold(samples, folds, seed), strict=True))


def test_more_folds_than_a_class_has_images_are_refused():
    with pytest.raises(DataError, match="class 'class 1' has 4 images, .*: expected at least 5, one for each fold"):
        kfold(samples_of([20, 4]), 5, 0)
    with pytest.raises(DataError, match="SOURCE has 4 images; expected at least 5, one for each fold"):
        kfold(samples_of([4], stratify=False), 5, 0)
    with pytest.raises(DataError, match="--folds 1; expected at least 2"):
        kfold(samples_of([20]), 1, 0)


@pytest.mark.parametrize("groups", [None, [0, 0, 1, 2, 2, 2]])
def test_leaving_one_out(groups):
    samples = samples_of([2, 4], groups=None if groups is None else np.array(groups))
    count, cuts = leave_one_out(samples)
    cuts = list(cuts)
    assert count == len(cuts) == (6 if groups is None else 3)
    for parts in cuts:
        assert_disjoint_and_exhaustive(parts, 6)
    left_out = [parts["valid"].tolist() for parts in cuts]
    assert left_out == ([[i] for i in range(6)] if groups is None else [[0, 1], [2], [3, 4, 5]])
    with pytest.raises(DataError, match="SOURCE has 1 image; expected at least 2"):
        leave_one_out(samples_of([1]))


# -- bootstrap ------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(counts=counts_of_classes, seed=seeds, mix=st.randoms(), stratify=st.booleans())
def test_a_bootstrap_tests_on_what_it_never_drew(counts, seed, mix, stratify):
    samples = samples_of(counts, mix, stratify=stratify)
    parts = bootstrap(samples, seed)
    assert len(parts["train"]) == sum(counts)
    assert_disjoint_and_exhaustive({"train": np.unique(parts["train"]), "test": parts["test"]}, sum(counts))
    if stratify:
        assert np.bincount(samples.targets[parts["train"]]).tolist() == counts
    assert same(parts, bootstrap(samples, seed))


def test_a_bootstrap_never_draws_36_8_percent():
    for stratify in (True, False):
        shares = [len(bootstrap(samples_of([500, 500], stratify=stratify), seed)["test"]) / 1000 for seed in range(20)]
        assert np.mean(shares) == pytest.approx(np.exp(-1), abs=0.01)


def test_a_class_that_is_always_drawn_is_named():
    with pytest.raises(DataError, match="class 'class 1' has 1 image, too few .* there would be none in the test part"):
        bootstrap(samples_of([20, 1]), 0)


# -- groups ---------------------------------------------------------------------------------------------------------


@st.composite
def grouped(draw, least=6):
    """Samples of three classes in groups, some of which hold two classes; each class is in several groups."""
    per_class = draw(st.integers(least, 12))
    targets, groups = [], []
    for number in range(3):
        for group in range(per_class):
            size = draw(st.integers(1, 5))
            targets += [number] * size
            groups += [number * per_class + group] * size
    for _ in range(draw(st.integers(0, 5))):
        targets.append(draw(st.integers(0, 2)))
        groups.append(draw(st.integers(0, 3 * per_class - 1)))
    names = np.array([f"patient {group}" for group in groups])
    return Samples(np.array(targets), ["a", "b", "c"], names, stratify=draw(st.booleans()))


def assert_no_group_is_in_two_parts(samples, parts):
    groups = [set(samples.groups[part].tolist()) for part in parts.values()]
    assert all(groups)
    assert sum(map(len, groups)) == len(set.union(*groups)) == samples.units()


@settings(deadline=None, max_examples=50)
@given(samples=grouped(), ratio=st.sampled_from(RATIOS), folds=st.integers(2, 3), seed=st.integers(0, 99))
def test_a_group_is_never_split(samples, ratio, folds, seed):
    try:
        parts, again = (holdout(samples, ratio, seed) for _ in range(2))
        cuts = kfold(samples, folds, seed)
    except DataError as error:
        assert "too few to be in each part" in str(error)
        assume(False)
    assert_disjoint_and_exhaustive(parts, len(samples))
    assert_no_group_is_in_two_parts(samples, parts)
    assert same(parts, again)
    for cut in cuts:
        assert_disjoint_and_exhaustive(cut, len(samples))
        assert_no_group_is_in_two_parts(samples, cut)
    drawn = bootstrap(Samples(samples.targets, samples.classes, samples.groups, stratify=False), seed)
    drawn["train"] = np.unique(drawn["train"])
    assert_disjoint_and_exhaustive(drawn, len(samples))
    assert_no_group_is_in_two_parts(samples, drawn)


def test_the_check_of_groups_catches_one_that_is_split():
    samples = samples_of([4], groups=np.array([0, 0, 1, 1]))
    with pytest.raises(AssertionError):
        assert_no_group_is_in_two_parts(samples, {"train": np.array([0, 2]), "valid": np.array([1, 3])})


def test_groups_drawn_for_a_holdout_keep_the_shares_of_the_classes():
    targets, groups = np.repeat([0, 1], [300, 100]), np.arange(400) // 5
    parts = holdout(Samples(targets, ["a", "b"], groups), (0.7, 0.15, 0.15), 0)
    for share, part in zip((0.7, 0.15, 0.15), parts.values(), strict=True):
        assert np.bincount(targets[part]) / [300, 100] == pytest.approx([share, share], abs=0.06)


def test_a_class_in_too_few_groups_is_named():
    groups = np.concatenate([np.arange(20), [20] * 10])
    with pytest.raises(DataError, match="class 'class 1' has 1 group, too few to be in each part: expected at least 2"):
        holdout(samples_of([20, 10], groups=groups), (0.8, 0.2), 0)
    with pytest.raises(DataError, match="SOURCE has 1 group; expected at least 3"):
        holdout(samples_of([20], groups=np.zeros(20)), (0.7, 0.15, 0.15), 0)
