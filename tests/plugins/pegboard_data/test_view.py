"""Subset, Repeat and ClassBalanced: samples of another dataset in another order."""

import logging
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pegboard import DATASETS, DataError
from pegboard_data.class_balanced import ClassBalanced
from pegboard_data.repeat import Repeat
from pegboard_data.subset import Subset, write_indices
from tests.plugins.pegboard_data.inner import Bare, Told

AROUND = [
    pytest.param(lambda inner: Subset(inner, indices=[0, 3, 3, 1]), [0, 3, 3, 1], id="Subset"),
    pytest.param(lambda inner: Repeat(inner, 2), [0, 1, 2, 3, 0, 1, 2, 3], id="Repeat"),
    pytest.param(lambda inner: ClassBalanced(inner), [0, 1, 2, 2, 3, 3], id="ClassBalanced"),
]
TARGETS = [0, 0, 1, 2]


@pytest.mark.parametrize(("wrap", "indices"), AROUND)
def test_what_the_inner_dataset_says_is_passed_on_unread(wrap, indices):
    inner = Told(TARGETS)
    dataset = wrap(inner)
    assert dataset.targets.tolist() == [TARGETS[index] for index in indices]
    assert (dataset.classes, dataset.num_classes) == (["a", "b", "c"], 3)
    assert (dataset.mean, dataset.std, dataset.label, dataset.stand_in) == (Told.mean, Told.std, "told", True)
    assert inner.reads == 0
    assert list(dataset) == [(f"image {index}", TARGETS[index]) for index in indices]
    assert len(dataset) == len(indices) == len(pickle.loads(pickle.dumps(dataset)))
    assert dataset[-1] == dataset[len(dataset) - 1]


@pytest.mark.parametrize(("wrap", "indices"), AROUND)
def test_a_dataset_that_says_nothing_is_decoded_once(wrap, indices, caplog):
    caplog.set_level(logging.INFO, "pegboard")
    inner = Bare([np.int64(0), torch.tensor(0), True, 2])
    dataset = wrap(inner)
    for _ in range(3):
        assert dataset.targets.tolist() == [TARGETS[index] for index in indices]
        assert (dataset.classes, dataset.num_classes) == (["0", "1", "2"], 3)
    assert inner.reads == 4
    assert caplog.text.count("Bare has no `targets`: decoding its 4 samples") == 1
    assert [hasattr(dataset, name) for name in ("mean", "std", "stand_in")] == [False] * 3
    assert dataset.label == "Bare"  # what a run would have called it


def test_one_around_another_decodes_once():
    inner = Bare(TARGETS)
    dataset = Repeat(ClassBalanced(Subset(inner, indices=[0, 2, 3, 1])), 2)
    assert np.bincount(dataset.targets).tolist() == [4, 4, 4]
    assert inner.reads == 4


@pytest.mark.parametrize("targets", [torch.tensor([0, 1, 1]), np.array([0, 1, 1], dtype=np.uint8), (0, 1, 1)])
def test_targets_of_any_kind_are_read(targets):
    inner = Bare([0, 1, 1])
    inner.targets = targets
    assert Repeat(inner, 1).targets.tolist() == [0, 1, 1]
    assert Repeat(inner, 1).targets.dtype == np.int64


@pytest.mark.parametrize(
    ("targets", "message"),
    [([0.5, 1.0], r"sample 0 of Bare has the target 0\.5; expected a class number"), ([[0, 1], [1, 0]], "sample 0")],
)
def test_targets_that_are_no_classes_are_left_alone_where_none_are_needed(targets, message):
    dataset = Subset(Bare(targets), indices=[1])
    assert dataset[0] == ("image 1", targets[1])
    assert getattr(dataset, "classes", None) is None and getattr(dataset, "num_classes", None) is None
    with pytest.raises(DataError, match=message):
        _ = dataset.targets
    with pytest.raises(DataError, match=message):
        ClassBalanced(Bare(targets))
    said = Bare(targets)
    said.targets = targets
    with pytest.raises(DataError, match="the targets of Bare are an array .*; expected 2 class numbers"):
        ClassBalanced(said)


def test_samples_that_are_no_pairs_are_named():
    class Single(Bare):
        def __getitem__(self, index):
            return "image"

    with pytest.raises(DataError, match=r"sample 0 of Single is no \(image, target\) pair but str"):
        ClassBalanced(Single([0]))


@pytest.mark.parametrize("inner", [None, "cifar10", 3, [], Bare([])])
@pytest.mark.parametrize("wrap", [lambda inner: Repeat(inner, 1), ClassBalanced, lambda i: Subset(i, fraction=0.5)])
def test_what_is_no_dataset_is_refused(wrap, inner):
    with pytest.raises(DataError, match=r"is no dataset; expected __len__|is empty"):
        wrap(inner)


# -- Subset ---------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(count=st.integers(1, 60), fraction=st.floats(0.01, 1), seed=st.integers(0, 2**32))
def test_a_fraction_is_drawn_by_the_seed(count, fraction, seed):
    inner = Told([0] * count)
    subset = Subset(inner, fraction=fraction, seed=seed)
    assert len(subset) == max(1, round(fraction * count))
    assert np.all(np.diff(subset.indices) > 0) and subset.indices[-1] < count
    assert np.array_equal(subset.indices, Subset(inner, fraction=fraction, seed=seed).indices)


def test_another_seed_is_another_draw():
    assert len({tuple(Subset(Told([0] * 50), fraction=0.5, seed=seed).indices) for seed in range(20)}) == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "expected either indices or a fraction"),
        ({"indices": [0], "file": "indices.txt"}, "expected either"),
        ({"indices": [0], "fraction": 0.5}, "expected either indices or a fraction"),
        ({"indices": [0, 4]}, "index 4 is out of range; expected numbers from 0 to 3"),
        ({"indices": [-1]}, "index -1 is out of range"),
        ({"indices": []}, "indices is empty"),
        ({"fraction": 0.0}, r"fraction=0\.0; expected a number above 0 and at most 1"),
        ({"fraction": 1.1}, r"fraction=1\.1"),
        ({"fraction": float("nan")}, "fraction=nan"),
        ({"fraction": 0.5, "seed": -1}, "seed=-1; expected at least 0"),
    ],
)
def test_a_subset_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(DataError, match=f"Subset: {message}"):
        Subset(Told(TARGETS), **arguments)


def test_indices_come_from_a_file(tmp_path):
    write_indices(tmp_path / "indices.txt", np.array([3, 0, 3]))
    assert (tmp_path / "indices.txt").read_text() == "3\n0\n3\n"
    subset = Subset(Told(TARGETS), file=str(tmp_path / "indices.txt"))
    assert subset.indices.tolist() == [3, 0, 3] and subset.targets.tolist() == [2, 0, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "indices.txt cannot be read as a file of indices: No such file"),
        (b"\xff", "indices.txt cannot be read as a file of indices: it is no UTF-8 text"),
        (b"0 1\n2 x\n", "indices.txt:2: 'x' is no index; expected whole numbers from 0"),
        (b"0\n-1\n", "indices.txt:2: '-1' is no index"),
        (b"0\n9999999999999999999\n", "indices.txt:2: '9999999999999999999' is no index"),
        (b"0 4\n", "index 4 is out of range; expected numbers from 0 to 3"),
        (b"\n", "indices.txt is empty"),
    ],
)
def test_a_file_that_holds_no_indices_is_refused(tmp_path, text, message):
    path = tmp_path / "indices.txt"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(DataError, match=f"^Subset: .*{message}"):
        Subset(Told(TARGETS), file=str(path))


# -- Repeat ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [0, -2])
def test_a_repetition_that_cannot_be_is_refused(times):
    with pytest.raises(DataError, match=f"Repeat: times={times}; expected at least 1"):
        Repeat(Told(TARGETS), times)


# -- ClassBalanced --------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(counts=st.lists(st.integers(1, 20), min_size=1, max_size=5), seed=st.integers(0, 2**32), mix=st.randoms())
def test_every_class_becomes_equally_frequent(counts, seed, mix):
    targets = [number for number, count in enumerate(counts) for _ in range(count)]
    mix.shuffle(targets)
    inner = Told(targets, tuple(map(str, range(len(counts)))))
    dataset = ClassBalanced(inner, seed)
    assert np.bincount(dataset.targets).tolist() == [max(counts)] * len(counts)
    times = np.bincount(dataset.indices, minlength=len(targets))
    for number, count in enumerate(counts):
        members = times[np.array(targets) == number]
        assert members.min() == max(counts) // count and members.max() - members.min() <= 1
    assert np.array_equal(dataset.indices, ClassBalanced(inner, seed).indices)


def test_the_seed_chooses_what_comes_once_more():
    inner = Told([0] * 10 + [1] * 7, ("a", "b"))
    assert len({tuple(ClassBalanced(inner, seed).indices) for seed in range(20)}) > 10


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([0, 0, 2], "no sample of class 'b'; expected"),
        ([0, 1, 5], "sample 2 has the target 5"),
        ([0, -1, 1], "sample 1"),
    ],
)
def test_classes_that_cannot_be_balanced_are_named(targets, message):
    with pytest.raises(DataError, match=f"ClassBalanced: {message}"):
        ClassBalanced(Told(targets))
    with pytest.raises(DataError, match="ClassBalanced: seed=-1"):
        ClassBalanced(Told(TARGETS), seed=-1)


def test_a_config_puts_one_around_another():
    shapes = {"type": "DrawnShapes", "count": 15}
    part = {"type": "Subset", "dataset": {"type": "ClassBalanced", "dataset": shapes}, "fraction": 0.5}
    dataset = DATASETS.build(part, "train.dataset")
    assert len(dataset) == 10 and dataset.num_classes == 10 and dataset.label == "drawn shapes"
