"""``environment.json``: what the figures depend on, and a fingerprint that notices what changed."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from pegboard import Loader
from pegboard.runner.contents import contents, fingerprint, last_written
from pegboard.runner.environment import git_state
from pegboard_data.image_folder import ImageFolder
from tests import runs


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """200 images in two class folders."""
    for number in range(200):
        place = tmp_path / "images" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(place / f"{number:03}.png")
    return tmp_path / "images"


def found(root: Path, mode: Any) -> dict[str, Any]:
    return contents(Loader(ImageFolder(str(root)), mode=mode))


@pytest.mark.parametrize("mode", ["memory", "workers"])
def test_one_file_of_many_that_changed_is_noticed(images: Path, mode: str) -> None:
    """Image 003 is none of the 64 that the short fingerprint looks at, which is what this guards against."""
    before, short = found(images, mode), fingerprint(Loader(ImageFolder(str(images))))
    assert before == found(images, mode)
    assert before["samples"] == 200 and before["of"] == {"memory": "pixels", "workers": "files"}[mode]
    Image.effect_noise((4, 4), 90).convert("RGB").save(images / "b" / "003.png")
    assert found(images, mode)["hash"] != before["hash"]
    assert fingerprint(Loader(ImageFolder(str(images)))) == short


def test_a_file_that_changed_and_kept_its_size_is_noticed_by_its_time(images: Path) -> None:
    """Of one that was only read, nothing is."""
    before, file = found(images, "workers"), images / "b" / "003.png"
    content = bytearray(file.read_bytes())
    assert found(images, "workers") == before
    content[-20] ^= 1
    file.write_bytes(content)
    after = found(images, "workers")
    assert after["hash"] == before["hash"] and after["times"] != before["times"]
    assert last_written(Loader(ImageFolder(str(images)))).startswith("b/003.png, 20")


def test_a_file_that_is_gone_or_moved_to_another_class_is_noticed(images: Path) -> None:
    before = found(images, "workers")
    (images / "a" / "000.png").rename(images / "b" / "000.png")
    moved = found(images, "workers")
    (images / "b" / "000.png").unlink()
    assert len({one["hash"] for one in (before, moved, found(images, "workers"))}) == 3


def test_data_without_files_has_a_fingerprint_of_samples() -> None:
    assert contents(Loader(runs.Dots(), mode="workers"))["of"] == "samples"


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_commit_and_uncommitted_changes_are_recorded_and_the_patch_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boards: None
) -> None:
    runs.hang_up()
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init")
    (repository / "my model.py").write_text("a = 1\n")
    git(repository, "add", ".")
    git(repository, "commit", "-m", "first")
    monkeypatch.chdir(repository)
    clean = runs.train(tmp_path / "clean").folder
    state = json.loads((clean / "environment.json").read_text())["git"]
    assert state == {"commit": git(repository, "rev-parse", "HEAD").strip(), "changed": [], "patch_sha256": None}
    assert not (clean / "uncommitted.patch").exists()

    (repository / "my model.py").write_text("a = 2\n")
    dirty = runs.train(tmp_path / "dirty").folder
    state = json.loads((dirty / "environment.json").read_text())["git"]
    assert state["changed"] == ["my model.py"] and state["patch_sha256"]
    git(repository, "checkout", ".")
    git(repository, "apply", str(dirty / "uncommitted.patch"))
    assert (repository / "my model.py").read_text() == "a = 2\n"
    assert git_state(tmp_path / "clean") is None


def test_what_else_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boards: None) -> None:
    runs.hang_up()
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    torch.save({"fc.weight": torch.zeros(4, 192), "fc.bias": torch.zeros(4)}, tmp_path / "w.pt")
    pretrained = {"path": str(tmp_path / "w.pt")}
    run = runs.train(tmp_path / "run", seed=5, pretrained=pretrained, plugins=["tests.runs"])
    recorded = json.loads((run.folder / "environment.json").read_text())
    assert recorded["seed"] == 5 and recorded["variables"]["PYTHONHASHSEED"] == "7"
    assert recorded["working_directory"] == str(Path.cwd())
    assert recorded["plugins"][0]["file"] == runs.__file__ and len(recorded["plugins"][0]["sha256"]) == 64
    assert len(recorded["pretrained"]["sha256"]) == 64
    assert {"command", "versions", "platform", "cpu_capability", "deterministic", "threads"} <= recorded.keys()
    assert recorded["data_contents"]["val"]["samples"] == 12
