"""``pegboard predict``: a user's own images through a run's model and preprocessing; ``test --predictions`` too."""

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from pegboard import PegboardError
from pegboard.runner.inference import Classifier, probabilities
from pegboard_data.drawn_shapes import DrawnShapes
from tests import runs
from tests.core.cli.conftest import Here, shapes_config


def images(count: int = 20) -> tuple[Tensor, DrawnShapes]:
    """Test images as the run's transforms make them, without any of the runner."""
    data = DrawnShapes(count=count, split="test")
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (data.mean, data.std))
    return (torch.stack([data[i][0] for i in range(count)]) / 255 - mean) / std, data


def by_hand(run: Path, inputs: Tensor) -> Tensor:
    from pegboard_models.lenet import LeNet

    model = LeNet(10).eval()
    model.load_state_dict(runs.newest(run)["model"])
    with torch.no_grad():
        return model(inputs).softmax(1)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three test images as files, one of them in a folder below."""
    data, folder = DrawnShapes(count=3, split="test"), tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    for index, name in enumerate(("a.png", "b.png", "below/c.png")):
        Image.fromarray(data[index][0].permute(1, 2, 0).numpy()).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def test_what_is_predicted_is_what_the_model_gives(shapes_run: Path, pictures: Path, here: Here) -> None:
    done = here("predict", shapes_run, pictures, "--json", "--device", "cpu")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    inputs, data = images(3)
    expected = by_hand(shapes_run, inputs)
    assert [Path(one["image"]).name for one in found] == ["a.png", "b.png", "c.png"]
    for one, row in zip(found, expected, strict=True):
        ranked = row.argsort(descending=True)[:5].tolist()
        assert [r["label"] for r in one["top"]] == [data.classes[number] for number in ranked]
        assert [r["probability"] for r in one["top"]] == pytest.approx(row[ranked].tolist(), abs=1e-5)
        assert (one["label"], one["probability"]) == (one["top"][0]["label"], one["top"][0]["probability"])


def test_a_table_for_a_person(shapes_run: Path, pictures: Path, here: Here) -> None:
    done = here("predict", shapes_run / "checkpoints" / "iteration_00000003.pt", pictures / "a.png", "--top", "2")
    assert done.returncode == 0
    header, row = done.stdout.splitlines()
    assert header.split() == ["image", "label", "probability", "next"]
    assert row.startswith(str(pictures / "a.png"))
    assert len(row.split()) == 5


def test_an_image_of_another_size_is_brought_to_that_of_the_training_images(
    shapes_run: Path, pictures: Path, here: Here
) -> None:
    with Image.open(pictures / "a.png") as image:
        image.resize((96, 96), Image.Resampling.NEAREST).save(pictures / "large.png")
        image.convert("L").save(pictures / "grey.png")
    done = here("predict", shapes_run, pictures / "large.png", pictures / "grey.png", pictures / "a.png", "--json")
    large, _, original = json.loads(done.stdout)
    assert large["probability"] == pytest.approx(original["probability"], abs=0.01)


def test_transforms_that_bring_any_image_to_one_size_are_trusted(tmp_path: Path, shapes_run: Path) -> None:
    state = runs.newest(shapes_run)
    state["config"]["val"]["transforms"].insert(0, {"type": "torchvision:CenterCrop", "size": 32})
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    image[:, 16:48, 16:48] = 255
    assert torch.unique(Classifier(state, "cpu").prepare(image)[0]).numel() == 1  # the middle, not a small copy


def test_a_file_that_is_no_image_is_named_and_the_others_are_classified(
    shapes_run: Path, pictures: Path, here: Here
) -> None:
    (pictures / "bad.png").write_text("no image")
    done = here("predict", shapes_run, pictures)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{pictures / 'bad.png'}: cannot be read as an image")
    assert len(done.stdout.splitlines()) == 4


@pytest.mark.parametrize(
    ("path", "message"),
    [("pictures/aa.png", "did you mean 'a.png'?"), ("empty", "no image in this folder")],
)
def test_images_that_are_not_there(
    tmp_path: Path, shapes_run: Path, pictures: Path, here: Here, path: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    done = here("predict", shapes_run, tmp_path / path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr and len(done.stderr.splitlines()) == 1


def test_bare_weights_are_no_run(tmp_path: Path, shapes_run: Path, pictures: Path, here: Here) -> None:
    torch.save(runs.newest(shapes_run)["model"], tmp_path / "weights.pt")
    done = here("predict", tmp_path / "weights.pt", pictures)
    assert done.returncode == 2
    assert "weights.pt is no checkpoint of pegboard but a bare file of weights" in done.stderr


def test_a_model_of_a_plugin_that_was_not_named(shapes_run: Path, tmp_path: Path, pictures: Path, here: Here) -> None:
    state = runs.newest(shapes_run)
    state["config"] |= {"model": {"type": "NetOfMine"}, "plugins": ["./mine.py"]}
    torch.save(state, tmp_path / "mine.pt")
    done = here("predict", tmp_path / "mine.pt", pictures)
    assert done.returncode == 2
    assert "model.type: no 'NetOfMine' in models" in done.stderr
    assert "the run used plugins: repeat them, --plugins ./mine.py" in done.stderr


def test_top_must_be_positive(shapes_run: Path, pictures: Path, here: Here) -> None:
    assert "--top must be at least 1, got 0" in here("predict", shapes_run, pictures, "--top", "0").stderr


def test_probabilities_of_whatever_a_classifier_gives() -> None:
    logits = torch.tensor([[1.0, 2.0, -3.0], [0.5, 0.25, 4.0]])
    expected = logits.softmax(1)
    for outputs in (logits, logits.log_softmax(1), expected):
        assert torch.allclose(probabilities(outputs), expected, atol=1e-6)


# -- test --predictions ---------------------------------------------------------------------------------------------


def test_predictions_of_a_split(shapes_run: Path, tmp_path: Path, here: Here) -> None:
    done = here("test", shapes_run, "--predictions", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    inputs, data = images()
    expected = by_hand(shapes_run, inputs)
    assert list(rows[0]) == ["sample", "target", "prediction", *(f"p({name})" for name in data.classes)]
    assert [int(row["sample"]) for row in rows] == list(range(20))
    assert [row["target"] for row in rows] == [data.classes[data[i][1]] for i in range(20)]
    assert [row["prediction"] for row in rows] == [data.classes[i] for i in expected.argmax(1).tolist()]
    found = torch.tensor([[float(row[f"p({name})"]) for name in data.classes] for row in rows])
    assert torch.allclose(found, expected, atol=1e-5)
    right = sum(row["target"] == row["prediction"] for row in rows) / 20
    assert f"test/top1  {right:.4f}" in done.stdout


class WithPaths(DrawnShapes):
    """Names its files as torchvision's folders do."""

    @property
    def samples(self) -> list[tuple[str, int]]:
        return [(f"images/{index}.png", 0) for index in range(len(self))]


def test_a_dataset_that_names_its_files_has_them_in_a_column(
    shapes_run: Path, tmp_path: Path, here: Here, boards: None
) -> None:
    data = runs.hang("datasets", "with_paths", WithPaths(count=20, split="test"))
    done = here("test", shapes_run, "--predictions", tmp_path / "o.csv", "--cfg-options", f"test.dataset={data}")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "o.csv").open(newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [f"images/{index}.png" for index in range(20)]


def test_predictions_that_cannot_be_written(shapes_run: Path, tmp_path: Path, here: Here) -> None:
    done = here("test", shapes_run, "--predictions", tmp_path / "no" / "out.csv")
    assert done.returncode == 2
    assert f"out.csv: there is no folder {tmp_path / 'no'}; expected the name of a CSV file" in done.stderr
    assert "is a folder; expected" in here("test", shapes_run, "--predictions", tmp_path).stderr
    assert list(tmp_path.iterdir()) == []


def test_predictions_of_what_is_no_classifier(tmp_path: Path) -> None:
    from pegboard import Config, Runner
    from pegboard.runner.predictions import predictions_file

    config = shapes_config(
        model={"type": "Conv2d", "in_channels": 3, "out_channels": 2, "kernel_size": 1}, loss=None, metrics=None
    )
    run = Runner(Config.from_values(config))
    with (
        pytest.raises(PegboardError, match=r"needs one number a class from the model, \(B, K\); it gives \(8, 2, 32"),
        predictions_file(run, str(tmp_path / "out.csv"), "test"),
    ):
        run.test()
    assert list(tmp_path.iterdir()) == []
