"""``pegboard split``: what it writes, and that it writes nothing where something is wrong."""

from pathlib import Path

import pytest

from pegboard_data.index_dataset import IndexFile
from pegboard_data.index_files import read_index
from tests.plugins.pegboard_data.pictures import noise, write_classes_of_noise, write_parts

COUNTS = {"cat": 20, "dog": 40, "great dane": 20}


@pytest.fixture
def images(tmp_path):
    return write_classes_of_noise(tmp_path / "images", COUNTS)


def listed(file):
    """(class, path below the image folder) of each line."""
    dataset = IndexFile(str(file))
    return [
        (dataset.classes[target], "/".join(dataset.path(index).resolve().parts[-2:]))
        for index, target in enumerate(dataset.targets.tolist())
    ]


def written(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def test_the_command_line(pegboard_cli, images, tmp_path):
    done = pegboard_cli("split", "images", "--scheme", "holdout", "--out", "lists")
    assert (done.returncode, done.stderr) == (0, "")
    assert written(tmp_path / "lists") == ["classes.txt", "test.txt", "train.txt", "valid.txt"]
    parts = {part: listed(tmp_path / "lists" / f"{part}.txt") for part in ("train", "valid", "test")}
    assert {part: len(lines) for part, lines in parts.items()} == {"train": 56, "valid": 12, "test": 12}
    assert len({path for lines in parts.values() for _, path in lines}) == 80
    assert all(path.startswith(f"{name}/") for lines in parts.values() for name, path in lines)
    assert done.stdout.splitlines()[1].split() == ["train.txt", "56", "70.0%"]
    again = pegboard_cli("split", "images", "--scheme", "holdout", "--out", "lists")
    assert (again.returncode, again.stdout) == (2, "")
    assert "--out lists holds train.txt, valid.txt, test.txt already; expected another folder" in again.stderr


def test_two_shares_make_two_parts_and_the_seed_chooses(pegboard, images, tmp_path):
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        shares = ("--ratio", 0.8, 0.2, "--seed", seed)
        assert pegboard("split", images, "--scheme", "holdout", *shares, "--out", out)[0] == 0
    assert written("a") == ["classes.txt", "train.txt", "valid.txt"]
    a, b, c = ((tmp_path / out / "train.txt").read_bytes() for out in "abc")
    assert a == b != c


def test_folds(pegboard, images):
    status, out, _ = pegboard("split", images, "--scheme", "kfold", "--folds", 4, "--out", "folds")
    assert status == 0 and "4 folds of 80 images in folds" in out
    names = ("classes.txt", "train.txt", "valid.txt")
    assert written("folds") == [f"fold_{number}/{name}" for number in range(1, 5) for name in names]
    valid = [path for number in range(1, 5) for _, path in listed(f"folds/fold_{number}/valid.txt")]
    assert len(valid) == len({*valid}) == 80
    status, _, err = pegboard("split", images, "--scheme", "holdout", "--out", "folds")
    assert status == 2 and "holds fold_1, fold_2, fold_3, fold_4 already" in err


def test_leaving_one_out_asks_before_it_writes_many(pegboard, tmp_path):
    write_classes_of_noise(tmp_path / "few", {"a": 2, "b": 2})
    status, out, _ = pegboard("split", "few", "--scheme", "loo", "--out", "one")
    assert status == 0 and "4 folds of 4 images" in out and len(written("one")) == 12
    folder = tmp_path / "many" / "a"
    folder.mkdir(parents=True)
    for number in range(101):
        (folder / f"{number}.png").touch()
    status, _, err = pegboard("split", "many", "--scheme", "loo", "--out", "two")
    assert status == 2 and "makes 101 folds, as many trainings and 10,201 lines; say --yes" in err
    assert not (tmp_path / "two").exists()
    assert pegboard("split", "many", "--scheme", "loo", "--out", "two", "--yes")[0] == 0
    assert len(written("two")) == 303


def test_a_bootstrap(pegboard, images):
    assert pegboard("split", images, "--scheme", "bootstrap", "--out", "drawn")[0] == 0
    train, test = listed("drawn/train.txt"), listed("drawn/test.txt")
    assert len(train) == 80 and not {*train} & {*test} and len({*train, *test}) == 80
    assert len({*train}) < 80


def test_groups_stay_together(pegboard, tmp_path):
    for number in range(60):
        folder = tmp_path / "scans" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        noise(number).save(folder / f"patient{number // 6} {number}.png")
    for scheme in ("holdout", "kfold", "bootstrap"):
        extra = ["--folds", 3] if scheme == "kfold" else []
        split = ("split", "scans", "--scheme", scheme, "--group-by", r"(patient\d+)", "--out", scheme, *extra)
        assert pegboard(*split)[0] == 0
        folder = f"{scheme}/fold_1" if scheme == "kfold" else scheme
        groups = [
            {line.split("/")[-1].split()[0] for line in file.read_text().splitlines()}
            for file in Path(folder).glob("*.txt")
            if file.name != "classes.txt"
        ]
        assert sum(map(len, groups)) == len(set.union(*groups)) == 10
    for regex, message in {
        "subject": "--group-by 'subject' matches nothing in 'a/patient0 0.png'; expected a group for every image",
        "(": "--group-by '(' is no regular expression: missing ), unterminated subpattern",
        "patient": "SOURCE has 1 group; expected at least 3",
    }.items():
        status, _, err = pegboard("split", "scans", "--scheme", "holdout", "--group-by", regex, "--out", "none")
        assert status == 2 and message in err
    assert not (tmp_path / "none").exists()


def test_an_index_file_is_split_too(pegboard, images, tmp_path):
    (tmp_path / "all.txt").write_text("".join(f"cat/{n:03}.png cat\ndog/{n:03}.png dog\n" for n in range(20)))
    split = ("split", "all.txt", "--root", "images", "--scheme", "holdout", "--ratio", 0.5, 0.5, "--out", "deep/er")
    assert pegboard(*split)[0] == 0
    lines = [line for part in ("train", "valid") for line in listed(tmp_path / "deep" / "er" / f"{part}.txt")]
    assert sorted(lines) == sorted((name, f"{name}/{n:03}.png") for name in ("cat", "dog") for n in range(20))
    assert read_index("deep/er/train.txt").paths[0].startswith("../../images/")


def test_names_with_blanks_and_other_letters_come_back(pegboard, tmp_path):
    names = ["a b.png", " lead.png", "#hash.png", '"q".png', "ä\u3000ö.png", "new\nline.png"]
    for folder in ("ä b", "#c"):
        (tmp_path / "odd" / folder).mkdir(parents=True)
        for index, name in enumerate(names):
            noise(index).save(tmp_path / "odd" / folder / name)
    assert pegboard("split", "odd", "--scheme", "holdout", "--ratio", 0.5, 0.5, "--out", "lists")[0] == 0
    found = [path for part in ("train", "valid") for _, path in listed(f"lists/{part}.txt")]
    assert sorted(found) == sorted(f"{folder}/{name}" for folder in ("ä b", "#c") for name in names)


def test_out_may_be_a_link_or_lie_within_the_source(pegboard, images, tmp_path):
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    assert pegboard("split", "images", "--scheme", "holdout", "--out", "link")[0] == 0
    assert len(listed("link/train.txt")) == 56
    assert pegboard("split", "images", "--scheme", "holdout", "--out", "images")[0] == 0
    assert read_index("images/train.txt").paths[0].startswith("cat/") and len(listed("images/train.txt")) == 56


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["imges", "--scheme", "holdout"], "imges: no such file or folder; did you mean 'images'?"),
        (["images", "--scheme", "holdout", "--ratio", 70, 15, 15], "did you mean 0.7 0.15 0.15?"),
        (["images", "--scheme", "kfold", "--ratio", 0.5, 0.5], "--ratio belongs to --scheme holdout, not to kfold"),
        (["images", "--scheme", "holdout", "--folds", 3], "--folds belongs to --scheme kfold, not to holdout"),
        (["images", "--scheme", "kfold", "--folds", 21], "class 'cat' has 20 images, too few to be in each part"),
        (["images", "--scheme", "holdout", "--seed", -1], "--seed -1; expected 0 to 4294967295"),
        (["images", "--scheme", "loo", "--root", "x"], "--root x: images holds no index files"),
        (["parts", "--scheme", "holdout"], "parts is split already, into train, test; did you mean 'parts/train'"),
        (["empty", "--scheme", "holdout"], "empty: no class folders in it"),
        (["twice.txt", "--scheme", "holdout"], "twice.txt: 'images/cat/000.png' is image 0 and image 1; expected each"),
        (["lost.txt", "--scheme", "holdout"], "image 0 of lost.txt: 'images/lost.png' is not there; tried images/lost"),
        (["wrong.txt", "--scheme", "holdout"], "wrong.txt:1: 'images/lost.png': no label; expected a path and a label"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(pegboard, images, tmp_path, arguments, message):
    write_parts(tmp_path / "parts", {"train": {"a": 1}, "test": {"a": 1}})
    (tmp_path / "empty").mkdir()
    (tmp_path / "twice.txt").write_text("images/cat/000.png 0\nimages/cat/000.png 0\n")
    (tmp_path / "lost.txt").write_text("images/lost.png 0\n")
    (tmp_path / "wrong.txt").write_text("images/lost.png\n")
    status, out, err = pegboard("split", *arguments, "--out", "lists")
    assert (status, out) == (2, "") and message in err and err.count("\n") == 1
    assert not (tmp_path / "lists").exists()


def test_a_name_that_no_index_file_can_hold_stops_it_in_time(pegboard, images, tmp_path):
    try:
        (images / "dog" / "smør\udcf8.png").write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes no such name")
    status, _, err = pegboard("split", images, "--scheme", "kfold", "--out", "lists")
    assert status == 2 and "is no UTF-8 text" in err and not (tmp_path / "lists").exists()


def test_out_that_cannot_be_is_refused(pegboard, images, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "classes.txt").write_text("bird\n")
    for out, message in {"file": "--out file is a file", "other": "--out other holds a classes.txt of other"}.items():
        status, _, err = pegboard("split", "images", "--scheme", "holdout", "--out", out)
        assert status == 2 and message in err


def test_a_class_without_images_is_told(pegboard, images):
    (images / "bird").mkdir()
    status, _, err = pegboard("split", "images", "--scheme", "holdout", "--out", "lists")
    assert status == 0 and err == "note: there is no image of class 'bird'\n"
    assert IndexFile("lists/test.txt").classes == ["bird", "cat", "dog", "great dane"]
