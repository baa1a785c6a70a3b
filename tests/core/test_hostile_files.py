"""Files of weights that attack whoever loads them: real exploit shapes, bombs, and paths that lead out."""

import builtins
import functools
import io
import json
import logging
import os
import pickle
import resource
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pegboard import CheckpointError, checkpoint
from pegboard.checkpoint import Checkpoints
from pegboard.weights.pretrained import read_weights

TRAP = "ran"  # a file that each exploit makes in the working directory

Reduced = tuple[Callable[..., Any], tuple[Any, ...]]


class Exploit:
    """Unpickling it calls a function."""

    def __init__(self, call: Reduced) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


class InState(torch.nn.Parameter):
    """A tensor whose state is set by unpickling an exploit."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        return torch.Tensor, ((1,),), {"x": Exploit((os.system, (f"touch {TRAP}",)))}


CODE = f"open({TRAP!r}, 'w').close()"
SHAPES: dict[str, Callable[[], Any]] = {
    "os.system": lambda: Exploit((os.system, (f"touch {TRAP}",))),
    "eval": lambda: Exploit((eval, (CODE,))),
    "exec": lambda: Exploit((exec, (CODE,))),
    "open": lambda: Exploit((open, (TRAP, "w"))),
    "subprocess": lambda: Exploit((subprocess.check_call, (["touch", TRAP],))),
    "getattr": lambda: Exploit((getattr(builtins, "getattr"), (Exploit((__import__, ("os",))), "system"))),  # noqa: B009
    "partial": lambda: Exploit((functools.partial(os.system, f"touch {TRAP}"), ())),
    "map": lambda: Exploit((list, (Exploit((map, (os.system, [f"touch {TRAP}"]))),))),
    "Path.touch": lambda: Exploit((Path.touch, (Path(TRAP),))),
    "nested load": lambda: Exploit((functools.partial(torch.load, weights_only=False), (io.BytesIO(_pickled()),))),
    "bytes of a storage": lambda: Exploit((torch.storage._load_from_bytes, (_pickled(),))),
    "in a tensor's state": lambda: InState(torch.zeros(1)),
    "in an optimizer": lambda: {"state": {0: {"step": Exploit((os.system, (f"touch {TRAP}",)))}}},
    "as a key": lambda: {Exploit((os.system, (f"touch {TRAP}",))): torch.zeros(1)},
}


def _pickled() -> bytes:
    file = io.BytesIO()
    torch.save(Exploit((os.system, (f"touch {TRAP}",))), file)
    return file.getvalue()


def as_zip(value: Any, path: Path) -> None:
    torch.save({"model": {"w": torch.zeros(1), "x": value}}, path)


def as_legacy(value: Any, path: Path) -> None:
    torch.save({"model": {"w": torch.zeros(1), "x": value}}, path, _use_new_zipfile_serialization=False)


def as_pickle(value: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps({"model": {"x": value}}, protocol=2))


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("write", [as_zip, as_legacy, as_pickle])
@pytest.mark.parametrize("shape", SHAPES)
def test_no_exploit_is_loaded_or_run(write: Callable[[Any, Path], None], shape: str) -> None:
    for name in ("weights.pt", "weights.bin", "weights.safetensors"):
        path = Path(name)
        write(SHAPES[shape](), path)
        Path(TRAP).unlink(missing_ok=True)  # building one may have run it
        for read in (checkpoint.load, read_weights):
            with pytest.raises(CheckpointError, match=name):
                read(path)
        assert not Path(TRAP).exists()


@pytest.mark.parametrize("shape", ["os.system", "eval", "Path.touch", "in an optimizer", "nested load"])
def test_the_exploits_are_real_ones(shape: str) -> None:
    as_zip(SHAPES[shape](), Path("weights.pt"))
    Path(TRAP).unlink(missing_ok=True)
    torch.load("weights.pt", weights_only=False)
    assert Path(TRAP).exists()


def test_a_tar_of_the_oldest_format_runs_nothing() -> None:
    """Until torch 2.6, ``weights_only=True`` itself ran the pickles in such a file (CVE-2025-32434)."""
    content = pickle.dumps(Exploit((os.system, (f"touch {TRAP}",))), protocol=2)
    with tarfile.open("old.pt", "w") as tar:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    with pytest.raises(CheckpointError, match=r"old\.pt"):
        checkpoint.load(Path("old.pt"))
    assert not Path(TRAP).exists()


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_a_torchscript_program_is_not_loaded() -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save("program.pt")
    with pytest.raises(CheckpointError, match=r"program\.pt"):
        checkpoint.load(Path("program.pt"))


# -- bombs -----------------------------------------------------------------------------------------------------------


def rewritten(source: str, target: str, change: Callable[[str, bytes], bytes], compression: int) -> Path:
    """A torch file with its records changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry.filename)))
    return Path(target)


def refused_cheaply(path: Path, match: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=match):
        checkpoint.load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "it took 100 MB to refuse it"


def test_a_zip_bomb_is_not_unpacked() -> None:
    torch.save({"w": torch.zeros(1000)}, "small.pt")
    bomb = rewritten("small.pt", "bomb.pt", lambda name, data: bytes(2**27) if "data/" in name else data, 8)
    assert bomb.stat().st_size < 2**20
    refused_cheaply(bomb, r"bomb\.pt is a compressed archive")


def test_records_that_lie_over_each_other_are_refused() -> None:
    """A bomb without compression: many names for one piece of the file."""
    torch.save({"w": torch.zeros(100_000)}, "small.pt")
    content = bytearray(Path("small.pt").read_bytes())
    with zipfile.ZipFile("small.pt") as archive:
        big = max(archive.infolist(), key=lambda entry: entry.file_size)
        archive_entries = archive.infolist()
    with zipfile.ZipFile("small.pt", "a") as archive:
        for number in range(20):
            again = zipfile.ZipInfo(f"small/data/{number + 1}")
            again.header_offset, again.file_size, again.compress_size = big.header_offset, big.file_size, big.file_size
            again.CRC = big.CRC
            archive.filelist.append(again)
        archive._didModify = True  # type: ignore[attr-defined]  # the directory alone is written anew
    assert Path("small.pt").stat().st_size < 2 * len(content) and archive_entries
    refused_cheaply(Path("small.pt"), "claims to hold .* bytes, but is shorter")


@pytest.mark.parametrize("count", [10**6, 2**31 - 1, 2**62])
@pytest.mark.parametrize("legacy", [True, False])
def test_a_storage_that_claims_more_than_is_there(legacy: bool, count: int) -> None:
    torch.save({"w": torch.arange(4.0)}, "small.pt", _use_new_zipfile_serialization=not legacy)
    four, many = b"K\x04", b"\x8a\x08" + count.to_bytes(8, "little")
    if legacy:
        content = Path("small.pt").read_bytes()
        assert four + b"Nt" in content
        Path("huge.pt").write_bytes(content.replace(four + b"Nt", many + b"Nt"))
    else:
        grow = lambda name, data: data.replace(four + b"t", many + b"t") if name.endswith("data.pkl") else data  # noqa: E731
        rewritten("small.pt", "huge.pt", grow, 0)
    refused_cheaply(Path("huge.pt"), r"huge\.pt cannot be read as a torch file")


@pytest.mark.parametrize("where", ["model", "optimizer"])
def test_a_tensor_of_a_size_that_was_never_stored(where: str) -> None:
    torch.save({where: {"state": [{"w": torch.zeros(1).expand(10**12)}]}}, "huge.pt")
    refused_cheaply(Path("huge.pt"), r"a tensor of \(1000000000000,\) for which only 4 bytes are stored")
    torch.save({"w": torch.zeros(1, 4).expand(3, 4)}, "expanded.pt")  # an ordinary buffer of some models
    assert checkpoint.load(Path("expanded.pt"))["w"].shape == (3, 4)


def test_lists_that_hold_each_other_twice_do_not_hang() -> None:
    bomb: list[Any] = [torch.zeros(1)]
    for _ in range(60):
        bomb = [bomb, bomb]
    torch.save({"model": bomb}, "laughs.pt")
    checkpoint.load(Path("laughs.pt"))
    with pytest.raises(CheckpointError, match="holds no tensors by name"):
        read_weights(Path("laughs.pt"))


@pytest.mark.parametrize(
    ("old", "new"), [(b"[0,16]", b"[0,99]"), (b"[4]", b"[9]"), (b"[4]", b"[-4]"), (b"F32", b"F99"), (b"{", b"[")]
)
def test_a_safetensors_file_that_lies(old: bytes, new: bytes) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(4)}, "a.safetensors")
    content = Path("a.safetensors").read_bytes()
    for lie in (content.replace(old, new), (2**62).to_bytes(8, "little") + content[8:], content[:-3], b""):
        Path("a.safetensors").write_bytes(lie)
        with pytest.raises(CheckpointError, match=r"a\.safetensors cannot be read as safetensors"):
            read_weights(Path("a.safetensors"))


# -- the index of a run's checkpoints --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../outside.pt", "/etc/passwd", "..", "", "a/b.pt", "index.json", 3, None])
def test_an_index_cannot_name_files_elsewhere_to_be_read_or_removed(
    name: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Saving removes the oldest files that the index lists: a run folder from a stranger could name anything."""
    outside = Path("outside.pt")
    outside.write_bytes(b"mine")
    checkpoints = Checkpoints(Path("checkpoints"))
    checkpoints.save({"iteration": 1, "epoch": 0}, keep=1)
    index = json.loads((checkpoints.folder / "index.json").read_text())
    (checkpoints.folder / "index.json").write_text(json.dumps([{**index[0], "file": name}]))
    with caplog.at_level(logging.WARNING, "pegboard"):
        path, state = checkpoints.newest()
    assert (path.name, state["iteration"]) == ("iteration_00000001.pt", 1)  # what lies in the folder itself
    assert "index.json is damaged: expected a list of files in the same folder" in caplog.text
    checkpoints.save({"iteration": 2, "epoch": 0}, keep=1)
    assert outside.read_bytes() == b"mine" and Path("/etc/passwd").is_file()


@pytest.mark.parametrize("text", ["{}", "3", "[3]", '[{"file": "a.pt"}]', "[[]]", '"a"', "null"])
def test_an_index_that_is_no_list_of_entries(text: str) -> None:
    Path("index.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"index\.json is damaged"):
        Checkpoints(Path()).index()
    with pytest.raises(CheckpointError, match="there is no whole checkpoint"):
        Checkpoints(Path()).newest()
