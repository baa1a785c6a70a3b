"""Orders of transforms that cannot work, or mean something else than they say."""

from typing import Any

import pytest

from pegboard.config import Config, check
from tests import runs

DATA = {"type": "DrawnShapes", "count": 8}
SOUND: dict[str, Any] = {
    "train": {"dataset": DATA},
    "val": {"dataset": DATA | {"split": "val"}},
    "model": {"type": "LeNet"},
    "loss": {"type": "CrossEntropyLoss"},
    "optimizer": {"type": "SGD", "lr": 0.1},
    "train_for": "2 epochs",
}
NEEDS: dict[str, dict[str, Any]] = {
    "RandomCrop": {"size": 32},
    "torchvision:RandomCrop": {"size": 32},
    "torchvision:Normalize": {"mean": [0.5], "std": [0.5]},
    "Resize": {"size": 8},
    "GaussianBlur": {"kernel_size": 3},
}


def part(step: Any) -> dict[str, Any]:
    """``"Resize"`` or ``("Pad", {"padding": 1})`` as a config writes it."""
    name, arguments = (step, {}) if isinstance(step, str) else step
    return {"type": name, **NEEDS.get(name, {}), **arguments}


def problems(*steps: Any, loader: str = "train") -> list[tuple[str, str]]:
    values = SOUND | {loader: {"dataset": DATA, "transforms": [part(step) for step in steps]}}
    return [(problem.path, problem.message) for problem in check(Config.from_values(values))]


@pytest.mark.parametrize("loader", ["train", "val", "test"])
@pytest.mark.parametrize(
    ("steps", "place", "message"),
    [
        (["Normalize", "ToFloat"], 0, "Normalize takes float images; put it after ToFloat"),
        (["torchvision:Normalize", "Resize", "ToTensor"], 0, "Normalize takes float images; put it after ToTensor"),
        (
            ["ToFloat", "Resize", "ToFloat"],
            2,
            "the images are float already, since an earlier step; leave this ToFloat",
        ),
        (["ToTensor", "ToFloat"], 1, "the images are float already, since an earlier step; leave this ToFloat out"),
        (
            ["ToFloat", "Normalize", ("RandomCrop", {"padding": 4})],
            2,
            "RandomCrop fills its padding with 0, which after Normalize is no longer black; put it before",
        ),
        (
            ["ToFloat", "Normalize", ("Pad", {"padding": [0, 2], "fill": 0.5})],
            2,
            "Pad fills its padding with 0.5, which after",
        ),
        (
            ["ToFloat", "Normalize", ("torchvision:RandomCrop", {"padding": 4})],
            2,
            "RandomCrop fills its padding with 0",
        ),
        (
            ["ToFloat", "Normalize", "Resize", "ColorJitter"],
            3,
            "ColorJitter reads the pixels as colours, which Normalize has chan",
        ),
        (["ToFloat", "torchvision:Normalize", "Grayscale"], 2, "Grayscale reads the pixels as colours"),
        (["Normalize", "torchvision:RandomSolarize"], 1, None),  # misses an argument
        (["ToFloat", "MixUp", "Normalize"], 1, "MixUp mixes the finished images of a batch; put it at the end of the"),
        (["Normalize"], 0, "Normalize takes float images, and nothing makes them so; put ToFloat before it"),
        (["Resize", "torchvision:Normalize", "RandomErasing"], 1, "and nothing makes them so; put ToFloat before it"),
        (["CutMix", "MixUp", "RandomErasing"], 0, "at the end of the list, after RandomErasing"),
        (["torchvision:MixUp", "Resize"], 0, "MixUp mixes the finished images"),
    ],
)
def test_a_wrong_order_is_a_problem(steps: list[Any], place: int, message: str | None, loader: str) -> None:
    (found, text), *more = problems(*steps, loader=loader)
    assert found == f"{loader}.transforms.{place}"
    assert (message or "") in text
    assert all("MixUp mixes" in other for _, other in more)  # both, where both stand too early


def test_steps_inside_a_composed_one_count_in_their_order() -> None:
    inside = [part("torchvision:Normalize"), part(("torchvision:Pad", {"padding": 1}))]
    ((found, text),) = problems("ToFloat", ("torchvision:Compose", {"transforms": inside}))
    assert found == "train.transforms.1.transforms.1" and "Pad fills its padding" in text


@pytest.mark.parametrize("holder", ["RandomApply", "torchvision:RandomChoice", "Compose"])
def test_a_batched_transform_inside_one_of_torchvisions_is_a_problem(holder: str) -> None:
    inside = [part("torchvision:RandomCrop"), {"type": "RandomOrder", "transforms": [part("ColorJitter")]}]
    ((found, text),) = problems("Resize", (holder, {"transforms": inside}))
    assert found == "train.transforms.1.transforms.1.transforms.0.type"
    assert text == (
        "RandomOrder calls this on single images, pegboard's ColorJitter takes batches; write 'torchvision:ColorJitter'"
    )
    ((_, text),) = problems((holder, {"transforms": [part("AlternatingFlip")]}))
    assert text.endswith("pegboard's AlternatingFlip takes batches; put it outside " + holder.rpartition(":")[2])


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [("torchvision:ToDtype", {"dtype": "float32", "scale": True}), "Normalize"],
        ["RandomCrop", "ColorJitter", "ToFloat", "Normalize", "RandomErasing", "MixUp", "CutMix"],
        ["ToFloat", "Normalize", ("RandomCrop", {"padding": 4, "padding_mode": "reflect"}), "GaussianBlur"],
        ["ToFloat", "Normalize", "RandomCrop", ("Pad", {"padding": 0}), "RandomHorizontalFlip"],
        [("Pad", {"padding": 4}), "ToTensor", "torchvision:Normalize"],
    ],
)
def test_a_right_order_is_none(steps: list[Any]) -> None:
    assert problems(*steps) == []


def test_only_of_datasets_that_surely_give_bytes_is_float_asked(boards: None) -> None:
    class Floats:
        classes = ("a",)

    theirs = runs.hang("datasets", "Floats", Floats)
    for dataset, count in (
        (DATA, 1),
        (theirs, 0),
        ({"type": "Repeat", "dataset": DATA, "times": 2}, 1),
        ({"type": "Concat", "datasets": [DATA, theirs]}, 0),
        ({"type": "Concat", "datasets": [DATA, DATA]}, 1),
    ):
        values = SOUND | {"train": {"dataset": dataset, "transforms": [part("Normalize")]}}
        assert len(check(Config.from_values(values))) == count, dataset


def test_transforms_that_a_child_takes_back_are_none() -> None:
    values = SOUND | {"train": {"dataset": DATA, "transforms": None}, "test": None}
    assert check(Config.from_values(values)) == []
