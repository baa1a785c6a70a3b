"""The configs of this plugin's datasets run, and say where what they need is missing."""

import pytest

from pegboard import Config, DataError, Runner
from pegboard.cli import main
from pegboard.config import check
from tests.conftest import REPOSITORY
from tests.plugins.pegboard_data.pictures import noise

CONFIGS = REPOSITORY / "configs"


def run(folder, config, *options):
    """Two iterations of everything, as ``--try`` does."""
    config = Config.load(CONFIGS / config, [*options, "train.batch_size=8", "hooks.tensorboard=None"])
    assert check(config) == []
    runner = Runner(config, folder, try_iterations=2)
    runner.train()
    return runner


def test_lenet_trains_and_is_tested_from_index_files(tmp_path):
    for number in range(60):
        folder = tmp_path / "images" / "abc"[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        noise(number, 32, 32).save(folder / f"{number}.png")
    source, lists = str(tmp_path / "images"), str(tmp_path / "lists")
    assert main(["split", source, "--scheme", "holdout", "--out", lists]) == 0
    runner = run(tmp_path / "run", "lenet_index.py", f"index_root={lists}")
    assert (len(runner.train_loader.dataset), len(runner.val_loader.dataset)) == (42, 9)
    assert "val/top1" in runner.final
    assert "test/top1" in runner.test()


def test_index_files_that_are_missing_are_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere/train\.txt: no such file"):
        run(tmp_path / "run", "lenet_index.py", "index_root=nowhere")


def test_the_final_fit_has_all_images_and_no_score():
    config = Config.load(CONFIGS / "lenet_final_fit.py")
    assert check(config) == []
    assert config.values["val"] is None and config.values["test"] is None
    dataset = config.values["train"]["dataset"]
    assert dataset["type"] == "Concat" and [part["split"] for part in dataset["datasets"]] == ["train", "val", "test"]
    assert {part["on_missing"] for part in dataset["datasets"]} == {"stand-in"}
    named = Config.load(CONFIGS / "lenet_final_fit.py", ["data_root=elsewhere"])
    parts = named.values["train"]["dataset"]["datasets"]
    assert {(part["root"], part["on_missing"]) for part in parts} == {("elsewhere", "error")}


def test_the_final_fit_trains(tmp_path):
    small = [f"train.dataset.datasets.{number}=dict(type='DrawnShapes', count=60)" for number in range(3)]
    runner = run(tmp_path / "run", "lenet_final_fit.py", *small)
    assert len(runner.train_loader.dataset) == 180 and runner.data_label == "drawn shapes"
    assert not [name for name in runner.final if name.startswith("val/")]


def test_check_looks_into_datasets_around_datasets():
    config = Config.load(CONFIGS / "lenet_final_fit.py")
    config.values["train"]["dataset"] = {
        "type": "Concat",
        "datasets": [
            {"type": "CIFR10", "root": "data"},
            {"type": "Subset", "dataset": {"type": "ImageFolder", "rot": "data"}, "fraction": "half"},
        ],
    }
    found = [(problem.path, problem.message) for problem in check(config)]
    assert [path for path, _ in found] == [
        "train.dataset.datasets.0.type",
        "train.dataset.datasets.1.dataset.rot",
        "train.dataset.datasets.1.fraction",
    ]
    assert "did you mean 'CIFAR10'?" in found[0][1] and "did you mean 'root'?" in found[1][1]
