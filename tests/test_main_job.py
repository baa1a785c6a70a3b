"""The main job as it stands in the README, on the stand-in."""

import json

import pytest

from tests.conftest import REPOSITORY

MAIN_JOB = REPOSITORY / "configs" / "lenet_cifar.py"


def test_the_readme_names_two_commands_and_the_main_job():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert "- main job: `pip install -e . && python tools/train.py configs/lenet_cifar.py`" in text
    assert '- tests: `pip install -e ".[test]" && pytest`' in text


def test_every_config_is_sound(pegboard_cli):
    configs = sorted((REPOSITORY / "configs").glob("*.py"))
    assert configs
    for config in configs:
        done = pegboard_cli("check", config)
        assert done.returncode == 0, done.stderr


def test_the_main_job_without_data_says_that_it_trains_on_the_stand_in(python, tmp_path):
    done = python(REPOSITORY / "tools" / "train.py", MAIN_JOB, "--try", "--work-dir", "run")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("STAND-IN") >= 2  # at the start and at the end
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["data"] == "stand-in" and summary["exit"] == "finished"


def test_a_root_that_a_user_names_is_never_stood_in_for(python):
    missing = f"data_root={REPOSITORY / 'no_such_data'}"
    done = python(REPOSITORY / "tools" / "train.py", MAIN_JOB, "--try", "--cfg-options", missing)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "no_such_data" in done.stderr and "train/" in done.stderr and "cifar-10-batches-py" in done.stderr
    assert not (REPOSITORY / "no_such_data").exists()


@pytest.mark.slow
def test_a_lenet_learns_the_stand_in(python, tmp_path):
    done = python(REPOSITORY / "tools" / "train.py", MAIN_JOB, "--work-dir", "run", OMP_NUM_THREADS="2", seconds=1800)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["final"]["val/top1"] > 0.9


def test_a_lenet_learns_the_stand_in_in_part(python, tmp_path):
    options = ["train_for=12 epochs", "train.dataset=dict(type='DrawnShapes', count=8000, split='train')"]
    options += ["val.dataset=dict(type='DrawnShapes', count=1000, split='val')"]
    done = python(REPOSITORY / "tools" / "train.py", MAIN_JOB, "--work-dir", "run", "--cfg-options", *options)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["final"]["val/top1"] > 0.5  # chance is 0.1; the whole run passes 0.9 (slow)
