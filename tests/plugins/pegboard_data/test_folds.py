"""The parts of a cross-validation by themselves: how data is cut, what figures say, and what a run leaves behind."""

import math
import random
import statistics

import numpy as np
import pytest
import torch

from pegboard import DataError
from pegboard_data.concat import Concat
from pegboard_data.fold_figures import figures
from pegboard_data.fold_record import changes
from pegboard_data.fold_run import isolated
from pegboard_data.folds import Scheme, digest
from pegboard_data.groups import paths_of
from pegboard_data.subset import Subset
from tests.plugins.pegboard_data.inner import Bare, Told


def scheme(name="kfold", folds=3, seed=0, stratify=True, group_by=None):
    return Scheme(name, folds, seed, stratify, group_by)


def with_paths(paths, targets=None):
    dataset = Told(targets or [0] * len(paths))
    dataset.paths = paths
    return dataset


def cut(dataset, **how):
    asked = scheme(**how)
    count, folds = asked.cut(asked.samples(dataset))
    folds = [(train.tolist(), val.tolist()) for train, val in folds]
    assert len(folds) == count
    return folds


# -- cutting --------------------------------------------------------------------------------------------------------


def test_another_seed_cuts_otherwise():
    inner = Told([0, 1, 2] * 8)
    assert cut(inner, seed=1) == cut(inner, seed=1) != cut(inner, seed=2)
    assert cut(inner, name="bootstrap", seed=1) == cut(inner, name="bootstrap", seed=1) != cut(inner, name="bootstrap")


def test_each_fold_has_the_share_of_every_class():
    targets = np.array([0] * 9 + [1] * 6 + [2] * 3)
    for _, val in cut(Told(targets.tolist())):
        assert np.bincount(targets[val]).tolist() == [3, 2, 1]


def test_leaving_one_out_asks_for_no_classes():
    assert cut(Bare([0.5, 1.5, 2.5]), name="loo", folds=None) == [([1, 2], [0]), ([0, 2], [1]), ([0, 1], [2])]


def test_targets_that_are_no_classes_need_no_stratify():
    with pytest.raises(DataError, match="cannot be stratified: sample 0 of Bare has the target 0.5; .*--no-stratify"):
        cut(Bare([0.5, 1.5, 2.5]))
    assert len(cut(Bare([0.5, 1.5, 2.5]), stratify=False)) == 3


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Subset(Told([0] * 9), indices=[4, 5, 4]), "Subset shows sample 4 2 times"),
        (Subset(Subset(Told([0] * 9), indices=[4, 5, 4]), indices=[0, 2]), "Subset shows sample 4 2 times"),
        (with_paths(["a/1", "a/2", "a/1"]), "Told shows sample 'a/1' 2 times"),
        (Concat([Told([0]), with_paths(["a/1", "a/1"])]), "Told shows sample 'a/1' 2 times"),
    ],
)
def test_a_sample_that_comes_twice_would_leak(dataset, message):
    with pytest.raises(DataError, match=message):
        cut(dataset, stratify=False)
    assert len(cut(Subset(Subset(Told([0] * 9), indices=[4, 5, 4, 6]), indices=[0, 1, 3]))) == 3


def test_paths_are_found_through_views_and_as_torchvision_has_them():
    inner = with_paths(["a/1", "b/2", "b/3"])
    assert paths_of(Subset(Concat([inner, inner]), indices=[5, 1])) == ["b/3", "b/2"]
    theirs = Told([0, 1])
    theirs.samples, theirs.root = [("data/a/1", 0), ("data/b/2", 1)], "data"
    assert paths_of(theirs) == ["a/1", "b/2"]
    with pytest.raises(DataError, match="asks for the paths of the images, and Bare has none"):
        paths_of(Bare([0]))


def test_a_digest_tells_data_apart():
    datasets = [Told([0, 0, 1, 1]), Told([0, 1, 0, 1]), Told([0, 0, 1, 1, 1])]
    assert len({digest(scheme().samples(dataset)) for dataset in datasets}) == 3
    grouped = scheme(group_by=r"\d").samples(with_paths(["1a", "1b", "2", "3"], [0, 0, 1, 1]))
    assert digest(grouped) != digest(scheme().samples(datasets[0]))


# -- figures --------------------------------------------------------------------------------------------------------


def test_figures_by_hand():
    values = [0.5, 0.7, 0.6, 0.9, 0.8]
    found = figures(values, [10, 10, 10, 10, 5])
    half = 2.7764451051977987 * statistics.stdev(values) / math.sqrt(5)  # Student's t, 4 degrees of freedom, 0.975
    assert found.mean == pytest.approx(0.7) and found.std == pytest.approx(statistics.stdev(values))
    assert found.interval == pytest.approx((0.7 - half, 0.7 + half))
    assert found.pooled == pytest.approx((5 + 7 + 6 + 9 + 4) / 45)


def test_a_fold_without_a_value_is_left_out_and_nan_is_passed_on():
    found = figures([1.0, None, 3.0], [1, 5, 3])
    assert (found.per_fold, found.mean, found.pooled) == ([1.0, None, 3.0], 2.0, 2.5)
    assert math.isnan(figures([1.0, math.nan], [1, 1]).mean) and math.isnan(figures([1.0, math.inf], [1, 1]).std)
    assert math.isnan(figures([1.0, None], [1, 1]).std)
    assert figures([0.1, 0.1, 0.1], [1, 1, 1]).std == 0


def test_changes_are_named_by_their_paths():
    old = {"a": {"b": [1, 2]}, "c": 1, "same": None}
    assert dict(changes(old, {"a": {"b": [1, 3]}, "c": 1.0, "same": None, "new": "x"})) == {
        "a.b.1": " was 2, is 3",
        "c": " was 1, is 1.0",
        "new": " was not given, is 'x'",
    }
    assert dict(changes({"a": [1]}, {"a": [1, 2]})) == {"a": " was [1], is [1, 2]"}
    assert dict(changes(old, old)) == {}


# -- what a run leaves behind ---------------------------------------------------------------------------------------


def test_a_run_leaves_the_process_as_it_was():
    def state():
        generators = random.getstate()[1][:9], np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
        return generators, torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()

    before = state()
    threads = before[1] % 2 + 1  # another number
    with pytest.raises(KeyboardInterrupt), isolated():
        random.seed(9)
        np.random.seed(9)
        torch.manual_seed(9)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(not before[2])
        assert all(one != other for one, other in zip(state(), before, strict=True))
        raise KeyboardInterrupt
    assert state() == before
