"""A large index once a machine: the same as its text, whatever happens to either, and held by no process for itself."""

import logging
import os
import pickle
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegboard import DataError
from pegboard_data import index_files, shared_index
from pegboard_data.image_folder import ImageFolder
from pegboard_data.index_dataset import IndexFile
from pegboard_data.index_files import Index, read_index
from pegboard_data.shared_index import SharedIndex
from pegboard_data.view import View
from tests import processes
from tests.plugins.pegboard_data.pictures import noise, write_classes_of_noise

COUNT = 200_000
PRIVATE = re.compile(r"^Private_(?:Clean|Dirty): +(\d+) kB", re.MULTILINE)
PLAIN = "cat/1.png 0\nmy photos/é 2.png   1\nc.png\t11\n"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, in which every index is large enough to be kept."""
    monkeypatch.setenv("PEGBOARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shared_index, "SMALL", 0)
    return tmp_path / "cache"


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    (tmp_path / "train.txt").write_text(PLAIN, encoding="utf-8")
    return tmp_path / "train.txt"


def said(index: Index) -> tuple[list[str], list[int], list[str]]:
    assert index.targets.dtype == np.int32
    return list(index.paths), index.targets.tolist(), index.classes


def kept(cache: Path) -> list[Path]:
    return sorted(cache.glob("index-*"))


# -- the same as the text ----------------------------------------------------------------------------------------------

# Lines of which many are plain, and any text and bytes that come near them.
WORDS = st.sampled_from(
    ["a.png", "é/b c.png", "#1.png", '"a b.png"', '"x', "", "\ufeffm.png", "C:\\x", "n\0l", "a\x85b"]
)
LABELS = st.sampled_from(["0", "1", "12", "cat", '"great dane"', '"', "-1", "99999999999", "+1", "n\0", "0" * 70, "é"])
BLANKS = st.sampled_from([" ", "\t", "   ", " \t ", ""])
LINE = st.builds("".join, st.tuples(BLANKS | st.just(""), WORDS, BLANKS, LABELS, st.sampled_from(["", "", " ", "\t"])))
PLAIN_LINE = st.builds("{} {}".format, st.sampled_from(["a", "b/c.png", "d e.png"]), st.sampled_from(["0", "1", "23"]))
ENDS = st.sampled_from(["\n", "\n", "\n", "\r\n", "\r", "\n\n", "\n# c\n"])
TEXTS = st.lists(st.tuples(LINE | PLAIN_LINE | PLAIN_LINE, ENDS).map("".join), max_size=8).map("".join)
BYTES = st.one_of(TEXTS.map(str.encode), TEXTS.map(lambda text: text.encode() + b"\xff 1\n"), st.binary(max_size=40))
CLASSES = st.sampled_from([None, None, "", "cat\ndog\n", "cat\n\n# c\ngreat dane\n", "cat\ncat\n"])


@given(content=BYTES, classes=CLASSES, at_once=st.sampled_from([1, 7, 20, 2**19]))
def test_any_index_file_is_read_alike_at_once_and_line_by_line_and_through_the_map(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, classes: str | None, at_once: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    (folder / "train.txt").write_bytes(content)
    (folder / "classes.txt").unlink(missing_ok=True)
    if classes is not None:
        (folder / "classes.txt").write_text(classes, encoding="utf-8")
    outcomes = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PEGBOARD_CACHE", str(folder / "cache"))
        patch.setattr(shared_index, "SMALL", 0)
        patch.setattr(index_files, "_AT_ONCE", at_once)
        ways = [read_index, shared_index.shared_index, shared_index.shared_index]
        for number, read in enumerate([*ways, read_index]):
            if number == len(ways):
                patch.setattr(index_files, "plain_lines", lambda _: None)
            try:
                outcomes.append(said(read(folder / "train.txt")))
            except DataError as error:
                outcomes.append(str(error))
    assert outcomes[:-1] == outcomes[-1:] * len(ways)


def test_plain_lines_are_not_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_files, "_read_one_by_one", lambda *_: pytest.fail("one by one"))
    paths = ["cat/1.png", "my photos/é 2.png", "c.png"]
    for text in (PLAIN, PLAIN.rstrip("\n"), PLAIN.replace("\n", "\r\n")):
        (tmp_path / "train.txt").write_text(text, encoding="utf-8", newline="")
        assert said(read_index(tmp_path / "train.txt"))[:2] == (paths, [0, 1, 11])
    (tmp_path / "train.txt").write_text(PLAIN + '"q" 1\n', encoding="utf-8")
    with pytest.raises(pytest.fail.Exception, match="one by one"):
        read_index(tmp_path / "train.txt")


def test_it_is_read_from_text_once(cache: Path, listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = shared_index.shared_index(listed)
    assert isinstance(first, SharedIndex) and len(kept(cache)) == 1
    monkeypatch.setattr(shared_index, "read_index", lambda _: pytest.fail("read again"))
    assert said(shared_index.shared_index(listed)) == said(first) == said(read_index(listed))
    with pytest.raises(ValueError, match="read-only"):
        first.targets[0] = 1
    with pytest.raises(TypeError, match="none can be added"):
        first.paths.append("a.png")


def test_a_small_index_is_worth_no_file(cache: Path, listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_index, "SMALL", listed.stat().st_size + 1)
    assert type(shared_index.shared_index(listed)) is Index and not kept(cache)
    with pytest.raises(DataError, match="trian.txt: no such file; did you mean 'train.txt'"):
        shared_index.shared_index(listed.with_name("trian.txt"))
    with pytest.raises(DataError, match="Is a directory"):
        shared_index.shared_index(listed.parent)


def test_a_folder_of_images_is_the_same_through_the_map(cache: Path, tmp_path: Path) -> None:
    write_classes_of_noise(tmp_path / "images", {"cat": 2, "Ähre": 1})
    (tmp_path / "images" / "cat" / os.fsdecode(b"sm\xf8r.png")).write_bytes(
        (tmp_path / "images/cat/000.png").read_bytes()
    )
    for _ in range(2):
        dataset = ImageFolder(str(tmp_path / "images"))
        assert isinstance(dataset._index, SharedIndex) and len(kept(cache)) == 1
        assert (dataset.classes, dataset.targets.tolist()) == (["cat", "Ähre"], [0, 0, 0, 1])
        assert list(dataset.paths) == ["cat/000.png", "cat/001.png", "cat/sm\udcf8r.png", "Ähre/000.png"]
        assert np.array_equal(np.asarray(dataset[2][0]), np.asarray(noise(0)))
    noise(9).save(tmp_path / "images" / "cat" / "more.png")
    assert len(ImageFolder(str(tmp_path / "images"))) == 5 and len(kept(cache)) == 2


# -- what may happen to the text, and to the file ----------------------------------------------------------------------


def test_a_changed_file_is_read_again_and_who_has_the_old_one_keeps_it(cache: Path, listed: Path) -> None:
    before = shared_index.shared_index(listed)
    old = said(before)
    times = listed.stat()
    listed.write_text(PLAIN.replace("cat/1", "cat/9"), encoding="utf-8")  # as long as before, and of the same time
    os.utime(listed, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert said(shared_index.shared_index(listed))[0][0] == "cat/9.png" and said(before) == old
    assert said(pickle.loads(pickle.dumps(before))) == old
    listed.with_name("classes.txt").touch()
    with pytest.raises(DataError, match="no class in it"):
        shared_index.shared_index(listed)
    names = "\n".join(map(str, range(20, 40)))
    listed.with_name("classes.txt").write_text(names, encoding="utf-8")
    assert said(shared_index.shared_index(listed))[2] == names.split()
    assert len(kept(cache)) == 3


def test_a_file_that_is_changed_while_it_is_read_is_refused(
    cache: Path, listed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path) -> Index:
        index = read_index(path)
        path.write_text(PLAIN + "more.png 1\n", encoding="utf-8")
        return index

    monkeypatch.setattr(shared_index, "read_index", read)
    with pytest.raises(DataError, match="train.txt: it was changed while it was read"):
        shared_index.shared_index(listed)
    assert not kept(cache)


def test_every_damage_is_found(cache: Path, listed: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = said(shared_index.shared_index(listed))
    (file,) = kept(cache)
    whole = file.read_bytes()
    damaged = [whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :] for place in range(len(whole))]
    damaged += [whole[:length] for length in range(0, len(whole), 7)] + [whole + b"\0", b"\0" * len(whole)]
    for number, content in enumerate(damaged):
        file.write_bytes(content)
        with caplog.at_level(logging.WARNING, "pegboard"):
            assert said(shared_index.shared_index(listed)) == expected
        assert file.read_bytes() == whole and len(caplog.records) == number + 1
    assert caplog.records[-1].message == f"{file} is damaged; it is made anew" and kept(cache) == [file]


def test_a_cache_that_cannot_be_written_costs_memory_alone(
    cache: Path, listed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.write_text("a file where the folder should be")
    index = shared_index.shared_index(listed)
    assert type(index) is Index and said(index) == said(read_index(listed))
    (line,) = (record.message for record in caplog.records)
    assert re.fullmatch(r"the index of 3 images cannot be kept in .*/cache \((File exists|Not a directory)\); .*", line)


def _with_a_full_disk(folder: Path) -> None:
    shared_index.SMALL = 0
    os.environ["PEGBOARD_CACHE"] = str(folder / "cache")
    processes.limit_file_size(2000)
    logging.basicConfig()
    index = shared_index.shared_index(folder / "train.txt")
    assert type(index) is Index and len(index.paths) == 1000
    assert not list((folder / "cache").iterdir())


def test_a_full_disk_leaves_no_half_file(listed: Path) -> None:
    listed.write_text("a.png 0\n" * 1000)
    log = listed.with_name("log")
    assert processes.call(_with_a_full_disk, listed.parent, log=log) == 0, log.read_text()
    assert "cannot be kept in" in log.read_text() and "File too large" in log.read_text()


def test_what_nobody_has_opened_for_long_is_removed(cache: Path, listed: Path) -> None:
    shared_index.shared_index(listed)
    cache.joinpath("names.json").touch()
    (used,) = kept(cache)
    (cache / "index-unused.bin").touch()
    long_ago = time.time() - shared_index.UNUSED - 60
    for file in cache.iterdir():
        os.utime(file, (long_ago, long_ago))
    shared_index.shared_index(listed)
    listed.write_text("a 1\n")
    shared_index.shared_index(listed)
    assert used in kept(cache) and len(kept(cache)) == 2 and cache.joinpath("names.json").exists()


def test_a_file_that_is_gone_or_replaced_is_no_matter_to_who_has_it(cache: Path, listed: Path) -> None:
    dataset = shared_index.shared_index(listed)
    (file,) = kept(cache)
    by_name = pickle.dumps(dataset)
    content = file.read_bytes()
    for replaced in (False, True):
        if replaced:
            file.with_suffix(".new").write_bytes(content)
            file.with_suffix(".new").replace(file)
        else:
            file.unlink()
        copy = pickle.loads(pickle.dumps(dataset))
        assert type(copy) is Index and said(copy) == said(dataset) == said(read_index(listed))
        with pytest.raises(DataError, match="worker process: No such file|was replaced while"):
            pickle.loads(by_name)


# -- memory, and several processes -------------------------------------------------------------------------------------


def _look(folder: Path, name: str, how: str, go: Path) -> None:
    """Open the index when told to, look at all of it, and write the private memory that this has cost."""
    os.environ["PEGBOARD_CACHE"] = str(folder / "cache")
    logging.basicConfig(level=logging.INFO)
    ways = {"shared": shared_index.shared_index, "gathered": _gathered, "alone": read_index}
    while not go.exists():
        time.sleep(0.01)
    before = _private()
    index = ways[how](folder / "train.txt")
    length = sum(map(len, index.paths)) + int(index.targets.sum())
    (folder / f"{name}.here").write_text(f"{length}")
    while len(list(folder.glob("*.here"))) < len(list(folder.glob("*.log"))):  # a page is shared while two map it
        time.sleep(0.01)
    (folder / f"{name}.told").write_text(f"{_private() - before}")
    while len(list(folder.glob("*.told"))) < len(list(folder.glob("*.log"))):
        time.sleep(0.01)


def _gathered(path: Path) -> Index:
    return shared_index.shared(lambda: read_index(path))


def _private() -> int:
    return 1024 * sum(map(int, PRIVATE.findall(Path("/proc/self/smaps_rollup").read_text())))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an index of 200,000 lines, which several processes have opened at once, and one for itself."""
    folder = tmp_path_factory.mktemp("large")
    lines = (f"some/class/of/images/n{i % 1000:08}/photograph_{i:08}.jpeg {i % 1000}\n" for i in range(COUNT))
    (folder / "train.txt").write_text("".join(lines), encoding="utf-8")
    ways = {"a": "shared", "b": "shared", "c": "gathered", "d": "gathered", "alone": "alone"}
    started = []
    for name, how in ways.items():
        (folder / f"{name}.log").touch()
        started.append(processes.start(_look, folder, name, how, folder / "train.txt", log=folder / f"{name}.log"))
    for process in started:
        process.join(120)
        assert process.exitcode == 0, [log.read_text() for log in folder.glob("*.log")]
    yield folder


def test_of_several_processes_at_once_one_reads_the_text(large: Path) -> None:
    logs = [(large / f"{name}.log").read_text() for name in "abcd"]
    for those in (logs[:2], logs[2:]):  # that read a file, and that gathered an index otherwise
        assert sum("images is kept in" in log for log in those) == 1
    assert len(kept(large / "cache")) == 2
    assert len({file.read_text() for file in large.glob("*.here")}) == 1


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads the memory of processes from Linux")
def test_no_process_holds_a_large_index_for_itself(large: Path) -> None:
    costs = {file.stem: int(file.read_text()) / COUNT for file in large.glob("*.told")}
    assert costs.pop("alone") > 55  # bytes a sample; the text alone is that long
    assert len(costs) == 4 and max(costs.values()) < 20, costs


def test_what_a_spawned_worker_is_sent_does_not_grow_with_the_index(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEGBOARD_CACHE", str(large / "cache"))
    monkeypatch.setattr(IndexFile, "path", lambda *_: None)  # the images are not there
    dataset = IndexFile(str(large / "train.txt"))
    sent = pickle.dumps(View(dataset, [3, 1]))
    assert len(sent) < 2000 and len(pickle.dumps(read_index(large / "train.txt"))) > 55 * COUNT
    arrived = pickle.loads(sent).dataset
    assert len(arrived) == COUNT and arrived.num_classes == 1000 and arrived.classes == dataset.classes
    assert arrived.paths[-1] == dataset.paths[-1] and np.array_equal(arrived.targets, dataset.targets)
    changed = dataset.targets.copy()
    changed[0] = 7
    dataset.targets = changed  # a user's own
    assert pickle.loads(pickle.dumps(dataset)).targets[0] == 7
