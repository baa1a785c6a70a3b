"""Several datasets as one."""

import numpy as np
import pytest

from pegboard import DataError, Loader
from pegboard_data.concat import Concat
from pegboard_data.drawn_shapes import DrawnShapes
from pegboard_data.image_folder import ImageFolder
from tests.plugins.pegboard_data.inner import Bare, Told
from tests.plugins.pegboard_data.pictures import write_parts


def test_the_parts_follow_each_other():
    parts = [Told([0, 1]), Told([2]), Told([1, 1, 0])]
    dataset = Concat(parts)
    assert (len(dataset), dataset.targets.tolist()) == (6, [0, 1, 2, 1, 1, 0])
    assert list(dataset) == [sample for part in parts for sample in part]
    assert dataset[-1] == ("image 2", 0) and dataset[-6] == ("image 0", 0)
    for index in (6, -7):
        with pytest.raises(IndexError, match="there are 6 samples"):
            dataset[index]
    assert (dataset.classes, dataset.num_classes, dataset.mean) == (["a", "b", "c"], 3, Told.mean)
    assert (dataset.label, dataset.stand_in) == ("told", True)


def test_statistics_that_differ_are_passed_on_by_nobody():
    other = Told([0])
    other.mean, other.label, other.stand_in = (0.5, 0.5, 0.5), "other", False
    dataset = Concat([Told([1]), other])
    assert not hasattr(dataset, "mean") and dataset.std == Told.std
    assert (dataset.label, dataset.stand_in) == ("told + other", True)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("a", "b"), "dataset 2 lacks 'c'; expected the classes of dataset 0"),
        (("a", "b", "c", "d"), "dataset 2 adds 'd'; expected"),
        (("a", "berry", "c"), "dataset 2 lacks 'b' and adds 'berry'; expected"),
        (("a", "c", "b"), "dataset 2 has the classes in another order: class 1 is 'c' there and 'b' in dataset 0"),
    ],
)
def test_other_classes_are_refused_by_name(classes, message):
    with pytest.raises(DataError, match=f"Concat: {message}"):
        Concat([Told([0]), Told([0]), Told([0], classes)])


def test_a_misspelt_class_is_answered_with_the_nearest():
    with pytest.raises(DataError, match=r"did you mean 'airplane'\?"):
        Concat([Told([0], ("airplane",)), Told([0], ("aeroplane",))])


def test_parts_without_classes_are_decoded_once():
    inner = Bare([0, 3])
    dataset = Concat([inner, Bare([1])])
    for _ in range(2):
        assert (dataset.targets.tolist(), dataset.classes) == ([0, 3, 1], ["0", "1", "2", "3"])
    assert inner.reads == 2
    named = Concat([Bare([0, 1]), Told([2])])
    assert named.classes == ["a", "b", "c"] and named.datasets[0].reads == 0


def test_another_number_of_classes_is_refused():
    two = Bare([0])
    two.num_classes = 2
    with pytest.raises(DataError, match="Concat: dataset 0 has 2 classes, another 3; expected the same"):
        Concat([two, Told([0])])


@pytest.mark.parametrize("parts", [[], "cifar10", Told([0]), [3], [Told([0]), Bare([])]])
def test_what_is_no_list_of_datasets_is_refused(parts):
    with pytest.raises(DataError, match=r"Concat: (datasets=.*; expected a list|int is no dataset|the dataset inside)"):
        Concat(parts)


def test_folders_that_differ_in_their_classes(tmp_path):
    write_parts(tmp_path, {"train": {"cat": 2, "dog": 1}, "test": {"cat": 1, "dgo": 1}})
    with pytest.raises(DataError, match=r"dataset 1 lacks 'dog' and adds 'dgo'; .*did you mean 'dog'\?"):
        Concat([ImageFolder(str(tmp_path / part)) for part in ("train", "test")])


def test_a_loader_takes_it():
    dataset = Concat([DrawnShapes(7), DrawnShapes(5, "val")])
    loader = Loader(dataset, batch_size=5)
    assert np.concatenate([batch.targets.numpy() for batch in loader.batches(0)]).tolist() == dataset.targets.tolist()
