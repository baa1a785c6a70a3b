"""``pegboard model``: shapes, parameters, FLOPs, and how each layer is trained."""

import re
from pathlib import Path

import pytest

from pegboard import Config
from pegboard.config.dump import to_python
from tests.conftest import REPOSITORY
from tests.core.cli.conftest import Here, shapes_config

GROUPS = [{"match": "fc3.*", "lr_mult": 10}]


def config(folder: Path, **changes: object) -> Path:
    file = folder / "config.py"
    file.write_text(to_python(Config.from_values(shapes_config(**changes)).values))
    return file


def rows(text: str) -> dict[str, list[str]]:
    lines = text.split("\n\n")[0].splitlines()
    assert re.split(r"  +", lines[0]) == ["layer", "type", "output", "parameters", "FLOPs", "trained", "group", "lr"]
    return {(cells := re.split(r"  +", line))[0]: cells[1:] for line in lines[1:]}


def test_lenet(tmp_path: Path, here: Here) -> None:
    done = here("model", config(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    found = rows(done.stdout)
    assert list(found) == ["(model)", "conv1", "conv2", "fc1", "fc2", "fc3"]
    assert found["conv1"] == [
        "Conv2d",
        "6 x 28 x 28",
        "456",
        f"{2 * 28 * 28 * 6 * 75 / 1e3:.3g} k",
        "all",
        "all",
        "0.05",
    ]
    assert found["fc3"][1:4] == ["10", "850", f"{2 * 84 * 10 / 1e3:.3g} k"]
    assert "62,006 parameters (62,006 trained, 0 frozen), 0.2 MiB in fp32; 1.3 MFLOPs an input" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["config.py"]


def test_groups_rates_and_what_is_frozen(tmp_path: Path, here: Here) -> None:
    optimizer = {"type": "SGD", "lr": 0.05, "groups": GROUPS}
    phases = [{"train_for": "1 epoch", "freeze": ["conv*"], "lr": 0.01}, {"train_for": "1 epoch"}]
    done = here("model", config(tmp_path, optimizer=optimizer, phases=phases, train_for=None))
    found = rows(done.stdout)
    assert found["(model)"][-3:] == ["part", "rest, fc3.*", "0.01, 0.1"]
    assert found["conv1"][-1] == "frozen"
    assert found["fc1"][-3:] == ["all", "rest", "0.01"]
    assert found["fc3"][-3:] == ["all", "fc3.*", "0.1"]
    assert "those of the first of 2 phases" in done.stdout
    assert "2,872 frozen" in done.stdout


def test_depth(tmp_path: Path, here: Here) -> None:
    file = config(tmp_path, model={"type": "ResNet"})
    names = [list(rows(here("model", file, "--depth", depth).stdout)) for depth in (1, 2)]
    assert names[0] == ["(model)", "conv1", "bn1", "stage1", "stage2", "stage3", "fc"]
    assert "stage1.0" in names[1] and "stage1.0.conv1" not in names[1]
    assert "--depth must be at least 1" in here("model", file, "--depth", 0).stderr


def test_without_data_the_size_of_an_input_is_said(tmp_path: Path, here: Here) -> None:
    (tmp_path / "net.py").write_text('model = dict(type="LeNet", num_classes=3)\n')
    done = here("model", tmp_path / "net.py")
    assert done.returncode == 2 and "say the size of an input, e.g. --input 3 32 32" in done.stderr
    done = here("model", tmp_path / "net.py", "--input", 3, 32, 32)
    assert rows(done.stdout)["fc3"] == ["Linear", "3", "255", "504", "all"]
    done = here("model", tmp_path / "net.py", "--input", 3, 40, 40)
    assert done.returncode == 2
    assert "layer 'fc1', Linear, expects (..., 400), got (2, 784); in_features=784 would fit" in done.stderr


def test_nothing_is_fetched(tmp_path: Path, here: Here) -> None:
    file = REPOSITORY / "configs" / "finetune_resnet18_frozen.py"
    changes = ["train.dataset={'type':'DrawnShapes','count':2}", "size=32"]
    done = here("model", file, "--depth", 1, "--cfg-options", *changes)
    assert done.returncode == 0, done.stderr
    found = rows(done.stdout)
    assert found["fc"][:2] == ["Linear", "10"] and found["fc"][-3:] == ["all", "all", "0.01"]
    assert found["layer1"][-1] == "frozen"


@pytest.mark.parametrize("options", [["model.type='LeNett'"], ["freeze=['conf*']"]])
def test_a_users_mistake_is_one_line(tmp_path: Path, here: Here, options: list[str]) -> None:
    file = config(tmp_path, freeze=["conv1"])
    done = here("model", file, "--cfg-options", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1 and "did you mean" in done.stderr
