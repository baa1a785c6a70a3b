"""``pegboard maps``, ``kernels``, ``histograms`` and ``samples``: what they write, print and refuse."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pegboard import Pictures
from pegboard.cli import main
from pegboard.config import to_python
from pegboard_data.index_files import write_index
from tests import runs
from tests.plugins.pegboard_visual import nets

pytestmark = pytest.mark.usefixtures("tiny_parts")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of two epochs, both checkpoints kept, whose config file would fail if anybody ran it."""
    runs.train(tmp_path / "run", model={"type": "Drawn"}, checkpoint={"keep": 2})
    (tmp_path / "run" / "config.py").write_text("raise RuntimeError('a config was run')\n")
    return tmp_path / "run"


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Three of 12 x 10 pixels, and an index file that lists them as cat, dog and cat."""
    random = np.random.default_rng(0)
    paths = [tmp_path / f"photo{number}.png" for number in range(3)]
    for path in paths:
        Image.fromarray(random.integers(256, size=(10, 12, 3), dtype=np.uint8)).save(path)
    write_index(tmp_path / "some.txt", [(path.name, number % 2) for number, path in enumerate(paths)])
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    return paths


def shown(folder: Path) -> dict[str, dict[str, object]]:
    found = Pictures(folder / "figures").all()
    assert {(one.epoch, one.iteration) for one in found} == {(2, 6)}
    assert all(one.pixels().std() > 5 for one in found)
    return {one.name: dict(one.data) for one in found}


def test_maps_of_an_image(folder: Path, photos: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["maps", str(folder), str(photos[0])]) == 0
    found = shown(folder)
    assert list(found) == ["Feature_Maps_conv1", "Feature_Maps_conv2"]
    labels = ["photo0.png"]
    assert found["Feature_Maps_conv1"] == {
        "kind": "feature_maps", "layer": "conv1", "activation": "relu", "labels": labels,
    }  # fmt: skip
    assert "Feature_Maps_conv1.png" in capsys.readouterr().out


def test_maps_of_an_index_file_with_its_labels(
    folder: Path, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["maps", str(folder), str(tmp_path / "some.txt"), "--layers", "relu*", "--images", "2"]
    assert main([*arguments, "--out", str(out)]) == 0
    assert "the first 2 of 3 images" in capsys.readouterr().out
    assert sorted(path.name for path in out.glob("*.png")) == ["Feature_Maps_relu1.png", "Feature_Maps_relu2.png"]
    said = json.loads((out / "Feature_Maps_relu1.json").read_text())
    assert said["data"]["labels"] == ["photo0.png: cat", "photo1.png: dog"]


def test_kernels(folder: Path) -> None:
    assert main(["kernels", str(folder), "--layers", "conv2"]) == 0
    found = shown(folder)
    assert list(found) == ["conv2_all", "conv2_split_in_channel"]
    assert found["conv2_all"] == {"kind": "kernels", "layer": "conv2", "shape": [5, 4, 3, 3]}


def test_kernels_of_bare_weights(tmp_path: Path) -> None:
    values = runs.values(model={"type": "LeNet"})
    loader = {"dataset": {"type": "DrawnShapes", "count": 4}, "transforms": [{"type": "ToFloat"}], "batch_size": 2}
    values |= {"train": loader, "val": loader}
    (tmp_path / "config.py").write_text(to_python(values))
    torch.manual_seed(0)
    torch.save(nets.LeNet(10).state_dict(), tmp_path / "weights.pt")
    config, out = str(tmp_path / "config.py"), tmp_path / "out"
    assert main(["kernels", str(tmp_path / "weights.pt"), "--config", config, "--out", str(out)]) == 0
    assert len(list(out.glob("*.png"))) == 4


def test_histograms_of_all_checkpoints(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(list((folder / "checkpoints").glob("*.pt"))) == 2
    assert main(["histograms", str(folder)]) == 0
    data = shown(folder)["Histograms"]
    weights = runs.newest(folder)["model"]
    assert set(data["tensors"]) == {f"{n}_data" for n, t in weights.items() if t.is_floating_point()}  # type: ignore[call-overload]
    printed = capsys.readouterr().out
    [row] = [line for line in printed.splitlines() if line.startswith("conv2.weight")]
    assert row.split()[1] == f"{float(weights['conv2.weight'].mean()):.3g}"


def test_histograms_leave_the_hooks_picture(tmp_path: Path) -> None:
    runs.train(tmp_path, model={"type": "Drawn"}, hooks={"looks": {"type": "Histograms", "every": "2 epochs"}})
    [before] = Pictures(tmp_path / "figures").all()
    kept = before.path.read_bytes()
    assert main(["histograms", str(tmp_path)]) == 0
    assert list(shown(tmp_path)) == ["Histograms", "Histograms_weights"]
    assert before.path.read_bytes() == kept


def test_samples_of_a_run_are_those_it_trained_on(folder: Path) -> None:
    assert main(["samples", str(folder), "--images", "5", "--epoch", "2"]) == 0
    found = shown(folder)
    run = runs.runner(folder.parent / "other", model={"type": "Drawn"})
    run.train()
    order = run.train_loader.order(1)[:5].tolist()
    classes = runs.Dots.classes
    assert found == {"Samples": {"kind": "samples", "samples": order, "labels": [classes[i % 4] for i in order]}}


def test_samples_of_a_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.py").write_text(to_python(runs.values()))
    arguments = ["samples", str(tmp_path / "config.py"), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--split", "val", "--images", "30"]) == 0
    assert "8 images: a batch has no more; --cfg-options val.batch_size=30" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["Samples_valid.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["maps", "run", "photo.png"], "there is no image photo.png"),
        (["maps", "run", "photo0.png", "--layers", "conv3"], "the model has no layer 'conv3'; did you mean 'conv"),
        (["maps", "run", "none.txt"], "none.txt"),
        (["kernels", "run", "--layers", "fc"], "the model has no convolution 'fc'; there are conv1, conv2"),
        (["kernels", "run", "--out", "photo0.png/x"], "photo0.png/x cannot be written: "),
        (["kernels", "rum"], "there is no rum; did you mean 'run'?"),
        (["histograms", "empty"], "empty is no run folder"),
        (["embedding", "nope"], "there is no nope; expected a run folder or a checkpoint, such as runs/NAME/latest"),
        (["samples", "rum"], "there is no config or run rum; did you mean 'run'?"),
        (["samples", "run", "--split", "test"], "run says nothing of test data"),
    ],
)
def test_mistakes_are_one_sentence(
    folder: Path,
    photos: list[Path],
    tmp_path: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    logging.getLogger("pegboard").handlers.clear()
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err and "Traceback" not in captured.err
    assert not (tmp_path / "run" / "figures").exists()
