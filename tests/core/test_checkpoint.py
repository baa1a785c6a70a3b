"""Checkpoints on disk: whole or not there, checked, and read without running anything."""

import json
import logging
import pickle
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pegboard import CheckpointError, checkpoint
from pegboard.checkpoint import Checkpoints


def state(iteration: int, weight: float = 0.0) -> dict[str, Any]:
    return {"iteration": iteration, "epoch": iteration // 3, "model": {"weight": torch.full((4,), weight)}}


@pytest.fixture
def three(tmp_path: Path) -> Checkpoints:
    """Three checkpoints, of iterations 1 to 3."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for iteration in (1, 2, 3):
        checkpoints.save(state(iteration, float(iteration)), keep=3)
    return checkpoints


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_the_newest_are_kept(tmp_path: Path, keep: int) -> None:
    checkpoints = Checkpoints(tmp_path)
    for iteration in range(1, 5):
        checkpoints.save(state(iteration), keep)
    kept = list(range(1, 5))[-keep:]
    assert files(tmp_path) == sorted(["index.json", *(f"iteration_{iteration:08}.pt" for iteration in kept)])
    assert [entry["iteration"] for entry in checkpoints.index()] == kept


def test_the_index_says_what_each_file_is(three: Checkpoints) -> None:
    import hashlib

    for entry in json.loads((three.folder / "index.json").read_text()):
        content = (three.folder / entry["file"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["epoch"] == entry["iteration"] // 3
        assert set(entry) == {"file", "iteration", "epoch", "sha256", "time"}


def test_the_newest_comes_with_its_contents(three: Checkpoints) -> None:
    path, loaded = three.newest()
    assert path.name == "iteration_00000003.pt"
    assert loaded["model"]["weight"].tolist() == [3.0] * 4


def test_saving_the_same_iteration_again_replaces_it(three: Checkpoints) -> None:
    three.save(state(3, weight=30), keep=3)
    assert [entry["iteration"] for entry in three.index()] == [1, 2, 3]
    assert three.newest()[1]["model"]["weight"][0] == 30


def damage_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def damage_all(path: Path) -> None:
    path.write_bytes(b"")


def flip_one_bit(path: Path) -> None:
    """In the weights themselves: torch.load alone would take it."""
    content = bytearray(path.read_bytes())
    content[content.index(torch.full((4,), 3.0).numpy().tobytes())] ^= 1
    path.write_bytes(content)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [damage_end, damage_all, flip_one_bit, remove])
def test_a_damaged_newest_file_is_passed_over_and_said_so(
    three: Checkpoints, damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    damage(three.folder / "iteration_00000003.pt")
    with caplog.at_level(logging.WARNING, "pegboard"):
        path, loaded = three.newest()
    assert path.name == "iteration_00000002.pt"
    assert loaded["iteration"] == 2
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 1
    assert "iteration_00000003.pt" in told[0] and "taking the one before" in told[0]


def test_where_none_is_whole_that_is_an_error(three: Checkpoints) -> None:
    for path in three.folder.glob("*.pt"):
        damage_end(path)
    with pytest.raises(CheckpointError, match="there is no whole checkpoint in"):
        three.newest()


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no whole checkpoint in"):
        Checkpoints(tmp_path / "none").newest()


def test_a_file_that_the_index_does_not_list_does_not_count(three: Checkpoints) -> None:
    """A kill between the file and the index leaves such a one."""
    torch.save(state(4), three.folder / "iteration_00000004.pt")
    assert three.newest()[0].name == "iteration_00000003.pt"


@pytest.mark.parametrize("text", ["[{", "{}", '[{"file": "../../elsewhere.pt"}]', "[1]", "null", "\x00" * 9])
def test_a_damaged_index_is_said_so_and_the_newest_file_is_taken(
    three: Checkpoints, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (three.folder / "index.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"index.json is damaged"):
        three.index()
    assert three.newest()[1]["iteration"] == 3
    assert "index.json is damaged" in caplog.text and "is not in the index" in caplog.text
    damage_end(three.folder / "iteration_00000003.pt")
    assert three.newest()[1]["iteration"] == 2


def test_a_run_goes_on_saving_where_its_index_was_damaged(three: Checkpoints) -> None:
    (three.folder / "index.json").write_text("[{")
    three.save(state(4), keep=3)
    assert [entry["iteration"] for entry in three.index()] == [4]
    assert (three.folder / "index.json.damaged").read_text() == "[{"
    assert len(list(three.folder.glob("*.pt"))) == 4


def test_a_file_that_was_chosen_is_checked_too(three: Checkpoints) -> None:
    """By the index's SHA-256; and by its own checksums where no index lists it, as the best weights."""
    flip_one_bit(three.folder / "iteration_00000003.pt")
    with pytest.raises(CheckpointError, match="its SHA-256 is not the one"):
        checkpoint.load(three.folder / "iteration_00000003.pt")
    best = three.folder / "best.pt"
    checkpoint.write(best, state(3, 3.0))
    assert checkpoint.load(best)["iteration"] == 3
    flip_one_bit(best)
    with pytest.raises(CheckpointError, match="the checksum of its part"):
        checkpoint.load(best)


def test_the_one_that_a_run_goes_on_from_is_the_newest(three: Checkpoints) -> None:
    """Else a second resume would begin after what the first one had cut off."""
    (three.folder / "iteration_00000009.pt-123").write_text("left by a kill")
    (three.folder / ".index.json-123").write_text("left by a kill")
    three.go_on_from(2)
    assert [entry["iteration"] for entry in three.index()] == [1, 3, 2]
    assert three.newest()[1]["iteration"] == 2
    assert files(three.folder) == ["index.json", *(f"iteration_0000000{number}.pt" for number in (1, 2, 3))]


# -- every damage is found -------------------------------------------------------------------------------------------


def damages(content: bytes, count: int, seed: str) -> Iterator[bytes]:
    """So many sampled bit flips, byte changes and truncations of a file."""
    draw = random.Random(seed)
    for number in range(count):
        place = draw.randrange(len(content))
        if number % 3 == 0:
            yield content[:place]
        else:
            other = content[place] ^ (1 << draw.randrange(8) if number % 3 == 1 else draw.randrange(1, 256))
            yield content[:place] + bytes([other]) + content[place + 1 :]


def test_each_of_600_damages_is_found_and_the_one_before_is_taken(
    three: Checkpoints, caplog: pytest.LogCaptureFixture
) -> None:
    path = three.folder / "iteration_00000003.pt"
    content = path.read_bytes()
    for number, damaged in enumerate(damages(content, 600, "checkpoint")):
        assert damaged != content
        path.write_bytes(damaged)
        caplog.clear()
        assert three.newest()[1]["iteration"] == 2, f"damage {number} was not found"
        assert "iteration_00000003.pt is damaged" in caplog.text and "taking the one before" in caplog.text
    path.write_bytes(content)
    assert three.newest()[1]["iteration"] == 3


def test_no_damage_of_a_file_without_index_changes_what_is_read(tmp_path: Path) -> None:
    """Its zip archive has checksums of what is stored, not of every byte around that: a change there is harmless."""
    path = tmp_path / "best.pt"
    checkpoint.write(path, state(7, 1.5))
    found = 0
    for damaged in damages(path.read_bytes(), 600, "best"):
        path.write_bytes(damaged)
        try:
            read = checkpoint.load(path)
        except CheckpointError:
            found += 1
        else:
            assert (read["iteration"], read["epoch"], read["model"]["weight"].tolist()) == (7, 2, [1.5] * 4)
    assert found > 400


# -- saving is all or nothing ---------------------------------------------------------------------------------------


class Unwritable:
    """Pickling it fails half way, after the file was begun."""

    def __reduce__(self) -> Any:
        raise OSError("disk full")


def test_a_save_that_fails_leaves_the_older_one_and_nothing_else(three: Checkpoints) -> None:
    before = {path.name: path.read_bytes() for path in three.folder.iterdir()}
    with pytest.raises(OSError, match="disk full"):
        three.save({**state(4), "bad": Unwritable()}, keep=1)
    assert {path.name: path.read_bytes() for path in three.folder.iterdir()} == before
    assert three.newest()[1]["iteration"] == 3


def test_a_kill_while_the_index_is_written_leaves_the_older_one(
    three: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if Path(target).name == "index.json":
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        three.save(state(4), keep=1)
    monkeypatch.undo()
    assert three.newest()[1]["iteration"] == 3
    three.save(state(5), keep=2)
    assert three.newest()[1]["iteration"] == 5


# -- reading --------------------------------------------------------------------------------------------------------


def test_what_is_no_file_or_holds_nothing_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty.pt").touch()
    (tmp_path / "circle.pt").symlink_to(tmp_path / "circle.pt")
    for name, what in (
        ("empty.pt", "is empty"),
        (".", "is no file"),
        ("circle.pt", "^there is no checkpoint .*circle.pt$"),
    ):
        with pytest.raises(CheckpointError, match=what):
            checkpoint.load(tmp_path / name)


def test_a_missing_file_names_the_nearest(three: Checkpoints) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint .*_00000009.pt; did you mean 'iteration_0000000"):
        checkpoint.load(three.folder / "iteration_00000009.pt")
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        checkpoint.load(three.folder / "no" / "such" / "folder.pt")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 broken", b"\x80\x02", b"\x80\x05.", b"\x00" * 100])
def test_no_torch_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights.pt"):
        checkpoint.load(path)


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=300))
def test_no_bytes_whatever_give_anything_but_a_checkpoint_error(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        checkpoint.load(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_cut_off_anywhere_gives_a_checkpoint_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.pt"
    torch.save(state(1), path)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(CheckpointError):
        checkpoint.load(path)


def test_a_zip_that_is_no_torch_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "some.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match=r"some.pt"):
        checkpoint.load(tmp_path / "some.pt")


def test_a_file_that_holds_no_dict(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    with pytest.raises(CheckpointError, match="holds a list; expected a dict"):
        checkpoint.load(tmp_path / "list.pt")


class Malicious:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.mkdir, (self.path,)


@pytest.mark.parametrize("legacy", [True, False])
def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path: Path, legacy: bool) -> None:
    trap, path = tmp_path / "ran", tmp_path / "evil.pt"
    torch.save({"model": Malicious(trap)}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match="holds more than tensors and plain values"):
        checkpoint.load(path)
    assert not trap.exists()
    torch.load(path, weights_only=False)  # the specimen is a real one
    assert trap.exists()


def test_a_bare_pickle_that_would_run_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    trap, path = tmp_path / "ran", tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"model": Malicious(trap)}))
    with pytest.raises(CheckpointError, match=r"evil.pkl"):
        checkpoint.load(path)
    assert not trap.exists()


def test_what_a_kill_left_of_a_save_is_removed_by_the_resume(three: Checkpoints) -> None:
    """Half a file, and a checkpoint that the index had given up; the one that is resumed stays though unlisted."""
    given_up, chosen = (three.folder / f"iteration_0000000{number}.pt" for number in (0, 1))
    given_up.write_bytes(b"whole, and not listed any more")
    (three.folder / "iteration_00000004.pt-123").write_bytes(b"half")
    (three.folder / "best.pt").write_bytes(b"of a hook")
    (three.folder / "index.json").write_text(json.dumps(three.index()[1:]))
    three.go_on_from(3)
    assert files(three.folder) == ["best.pt", "index.json", "iteration_00000002.pt", "iteration_00000003.pt"]
    chosen.write_bytes(b"named by the user")
    three.go_on_from(1)
    assert chosen.exists()
    (three.folder / "index.json").unlink()
    three.go_on_from(3)
    assert chosen.exists(), "where the index is lost, the files are all there is"
