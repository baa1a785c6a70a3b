"""Index files: what is read, what is refused, and that odd names survive being written."""

import gc
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pegboard import DataError
from pegboard_data.index_files import locate, read_classes, read_index, write_classes, write_index
from pegboard_data.paths import Paths

# Names that any file system holds, and those that need care: quotes, blanks, line ends, marks, other scripts.
odd = st.text(
    st.one_of(st.sampled_from(" \t\n\r\"'#\\\ufeff\x85\u2028\u3000%0-"), st.characters(exclude_categories=["Cs"])),
    min_size=1,
    max_size=12,
)


def index_of(tmp_path, content, classes=None, name="train.txt"):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "classes.txt").unlink(missing_ok=True)
    if classes is not None:
        (tmp_path / "classes.txt").write_text(classes, encoding="utf-8")
    return read_index(tmp_path / name)


@settings(deadline=None)
@given(samples=st.lists(st.tuples(odd, st.integers(0, 4)), min_size=1, max_size=8))
def test_odd_paths_survive_a_round_trip(tmp_path_factory, samples):
    file = tmp_path_factory.getbasetemp() / "odd.txt"
    write_index(file, samples)
    index = read_index(file)
    assert list(zip(index.paths, index.targets.tolist(), strict=True)) == samples


@settings(deadline=None)
@given(classes=st.lists(odd, min_size=1, max_size=8, unique=True))
def test_odd_classes_survive_a_round_trip(tmp_path_factory, classes):
    file = tmp_path_factory.getbasetemp() / "odd_classes.txt"
    write_classes(file, classes)
    assert read_classes(file) == classes


def test_plain_names_are_written_plainly(tmp_path):
    write_index(tmp_path / "a.txt", [("cat/a b.png", 3), (r"C:\photos\é.png", 0), ('say "cheese".png', 1), ("3", 2)])
    expected = 'cat/a b.png 3\nC:\\photos\\é.png 0\nsay "cheese".png 1\n3 2\n'
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == expected


def test_ambiguous_names_are_written_between_quotes(tmp_path):
    write_index(tmp_path / "a.txt", [("#1.png", 0), (" a", 0), ("a ", 0), ('"a" 1', 0), ("a\nb", 0)])
    lines = (tmp_path / "a.txt").read_text(encoding="utf-8").splitlines()
    assert lines == ['"#1.png" 0', '" a" 0', '"a " 0', r'"\"a\" 1" 0', r'"a\nb" 0']


def test_the_classic_form(tmp_path):
    content = "# made by hand\n\n  cat/1.png   0\nmy photos/é 2.png\t1\n\t\n/abs/3.png 0\n   # no comment 1\n"
    index = index_of(tmp_path, content)
    assert list(index.paths) == ["cat/1.png", "my photos/é 2.png", "/abs/3.png", "# no comment"]
    assert (index.targets.tolist(), index.classes) == ([0, 1, 0, 1], ["0", "1"])


def test_crlf_and_a_byte_order_mark_are_no_part_of_a_line(tmp_path):
    index = index_of(tmp_path, b"\xef\xbb\xbfa.png 0\r\n\r\nb c.png 1\r\n# c\r\nd.png 1", "\ufeffcat\r\ndog\r\n")
    assert (list(index.paths), index.targets.tolist()) == (["a.png", "b c.png", "d.png"], [0, 1, 1])
    assert index.classes == ["cat", "dog"]


def test_names_are_numbered_by_the_classes_beside_the_file(tmp_path):
    index = index_of(tmp_path, 'a b\nb a\nc "great dane"\nd 1\n', "b\ngreat dane\na\n")
    assert (index.targets.tolist(), index.classes) == ([0, 2, 1, 1], ["b", "great dane", "a"])


def test_names_without_a_classes_file_are_numbered_in_sorted_order(tmp_path):
    index = index_of(tmp_path, "1.png dog\n2.png cat\n3.png dog\n")
    assert (index.targets.tolist(), index.classes) == ([1, 0, 1], ["cat", "dog"])


@pytest.mark.parametrize(
    ("content", "classes", "message"),
    [
        ("a.png 0\nb.png\n", None, r"train\.txt:2: 'b\.png': no label; expected a path and a label .* e\.g\. 'cat/1"),
        ("# c\n\n0\n", None, r"train\.txt:3: '0': no label"),
        ('"a.png" \n', None, r"train\.txt:1: .*: no label after a closing quote"),
        ('"a.png 1\n', None, r"train\.txt:1: .*: no label after a closing quote"),
        ('"a\\q.png" 1\n', None, r"train\.txt:1: .* is no JSON string: Invalid \\escape"),
        ('"" 1\n', None, r'train\.txt:1: "" is empty'),
        ("a.png 0\rb.png 1\n", None, r"train\.txt:1: .*: a carriage return within the line"),
        ("a.png -1\n", None, r"train\.txt:1: label -1 is out of range; expected a class number from 0"),
        ("a.png 99999999999\n", None, r"train\.txt:1: label 99999999999 is out of range"),
        ("a.png 0\nb.png cat\n", None, r"train\.txt:2: label 'cat' is a name, those before it are numbers; expected"),
        ("a.png cat\nb.png 1\n", None, r"train\.txt:2: label '1' is a number, those before it are names"),
        ("a.png 2\n", "cat\ndog\n", r"train\.txt:1: label 2 is out of range; expected 0 to 1, .*classes\.txt"),
        ("a.png cta\n", "cat\ndog\n", r"train\.txt:1: label 'cta' is no class; .*classes\.txt; did you mean 'cat'\?"),
        ("a.png 0\n", "cat\ndog\ncat\n", r"classes\.txt:3: class 'cat' stands in line 1 too"),
        ("a.png 0\n", "# none\n", r"classes\.txt: no class in it"),
        ("a.png 0\n", '"cat\n', r"classes\.txt:1: .* is no JSON string"),
        ("# nothing\n\n", None, r"train\.txt: no sample in it; expected lines of a path and a label"),
        (b"a.png 0\nsm\xf8r.png 1\n", None, r"train\.txt:2: byte 0xf8 in column 3 is not UTF-8"),
        ("a.png 0\n".encode("utf-16"), None, r"train\.txt:1: byte 0xff in column 1 is not UTF-8"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, content, classes, message):
    with pytest.raises(DataError, match=message):
        index_of(tmp_path, content, classes)


def test_a_file_that_is_not_there(tmp_path):
    (tmp_path / "train.txt").touch()
    with pytest.raises(DataError, match=r"trian\.txt: no such file; did you mean 'train\.txt'\?"):
        read_index(tmp_path / "trian.txt")
    with pytest.raises(DataError, match="no such file"):
        read_index(tmp_path / "none" / "train.txt")
    with pytest.raises(DataError, match="cannot be read as an index file: Is a directory"):
        read_index(tmp_path)


@pytest.mark.parametrize("name", ["", "smør\udcf8.png"])
def test_a_name_that_cannot_be_written_leaves_no_file(tmp_path, name):
    with pytest.raises(DataError, match="empty path|is no UTF-8 text"):
        write_index(tmp_path / "a.txt", [("fine.png", 0), (name, 0)])
    assert list(tmp_path.iterdir()) == []


def test_where_a_path_is_looked_up(tmp_path, monkeypatch):
    (tmp_path / "lists").mkdir()
    (tmp_path / "images").mkdir()
    file = tmp_path / "lists" / "train.txt"
    for place in ("lists/both.png", "images/both.png", "images/one.png", "lists/beside.png", "here.png"):
        (tmp_path / place).touch()
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "images"
    assert locate("both.png", file) == tmp_path / "lists" / "both.png"
    assert locate("both.png", file, root) == root / "both.png"
    assert locate("beside.png", file, root) == tmp_path / "lists" / "beside.png"
    assert locate(str(root / "one.png"), file) == root / "one.png"
    with pytest.raises(DataError) as caught:
        locate("none.png", file, root)
    assert str(caught.value) == f"'none.png' is not there; tried {root / 'none.png'}, {file.parent / 'none.png'}"
    with pytest.raises(DataError, match=r"there is one in the working directory: did you mean '\.' as root\?"):
        locate("here.png", file)


# -- memory ---------------------------------------------------------------------------------------------------------

COUNT = 200_000


def test_a_sample_costs_less_than_200_bytes(tmp_path):
    lines = (f"some/class/of/images/n{i % 1000:08}/photograph_{i:08}.jpeg {i % 1000}\n" for i in range(COUNT))
    (tmp_path / "train.txt").write_text("".join(lines), encoding="utf-8")
    index_of(tmp_path, "a 0\n", name="small.txt")  # whatever is cached on first use
    gc.collect()
    tracemalloc.start()
    try:
        index = read_index(tmp_path / "train.txt")
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(index.paths) == COUNT and index.targets[1234] == 234
    assert now / COUNT < 90 and peak / COUNT < 200  # the text itself is 55
    assert len(pickle.dumps(index)) / COUNT < 90
    assert len(gc.get_referents(index.paths.__dict__)) < 10  # no Python object a path: nothing for a fork to touch


def test_paths_are_a_sequence():
    names = ["a", "", "b/é", "\udcf8"]
    paths = Paths(names)
    assert list(paths) == names and len(paths) == 4 and paths[-1] == "\udcf8" and paths[1:3] == ["", "b/é"]
    assert "b/é" in paths and paths.index("b/é") == 2 and repr(paths) == "Paths(['a', '', 'b/é'], ...)"
    for place in (4, -5):
        with pytest.raises(IndexError, match="there are 4 paths"):
            paths[place]
    assert list(pickle.loads(pickle.dumps(paths))) == names
    assert list(Paths()) == []


def test_targets_are_an_array_of_integers(tmp_path):
    assert index_of(tmp_path, "a 1\nb 0\n").targets.dtype == np.int32
