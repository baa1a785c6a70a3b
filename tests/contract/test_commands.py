"""Every command that is registered, given what nobody should give it: one line, status 2, no traceback.

A new command is in these tests as soon as ``pegboard --help`` lists it.
"""

import argparse
import ctypes
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from pegboard import cli
from pegboard.checkpoint import Checkpoints
from pegboard.cli.added import Added
from pegboard.errors import PegboardError
from pegboard.plugins import ask_each

CONFIG = """\
_data = dict(dataset=dict(type="DrawnShapes", count=8), transforms=[dict(type="ToFloat")], batch_size=4)
train = dict(**_data)
val = dict(**_data)
test = dict(**_data)
model = dict(type="LeNet")
loss = dict(type="CrossEntropyLoss")
optimizer = dict(type="SGD", lr=0.05)
train_for = "1 epoch"
hooks = dict(tensorboard=None, progress=None)
device = "cpu"
threads = 1
"""

AddArguments = Callable[[argparse.ArgumentParser], None]


def commands() -> dict[str, AddArguments]:
    """Every command by name, those of plugins too, with what declares its arguments."""
    found: dict[str, AddArguments] = {}
    for name in cli.COMMANDS:
        found[name] = import_module(f"pegboard.cli.{name.replace('-', '_')}_command").add_arguments
    for plugin, added in ask_each("pegboard_commands"):
        assert isinstance(added, dict), f"{plugin}: {added}"
        found |= {name: command[1] for name, command in added.items()}
    return found


COMMANDS = commands()

# Commands that may take a file for what they are to judge, and exit with 1 because it is found wrong.
VERDICTS = {"verify"}


def actions(name: str) -> list[argparse.Action]:
    parser = argparse.ArgumentParser(add_help=False)
    COMMANDS[name](parser)
    return parser._actions


# -- what is wrong with a path ---------------------------------------------------------------------------------------


def nothing(folder: Path) -> Path:
    return folder / "no" / "such" / "thing"


def empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def folder_of_nonsense(folder: Path) -> Path:
    """With the names of everything that commands look for."""
    place = folder / "nonsense"
    place.mkdir()
    for name in ("checkpoints", "train", "test"):
        (place / name).mkdir()
    for name in ("config.py", "config.json", "environment.json", "metrics.jsonl", "summary.json", "classes.txt"):
        (place / name).write_bytes(b"\xff\xfe}{")
    for name in ("train.txt", "checkpoints/index.json", "train/a.jpg"):
        (place / name).write_bytes(b"\0\1\2)(")
    return place


def empty_file(folder: Path) -> Path:
    (folder / "empty.file").touch()
    return folder / "empty.file"


def nonsense(folder: Path) -> Path:
    (folder / "nonsense.pt").write_bytes(np.random.default_rng(0).bytes(3000))
    return folder / "nonsense.pt"


def text(folder: Path) -> Path:
    (folder / "text.py").write_text("This is no Python, no image and no list of files.\n" * 20)
    return folder / "text.py"


def below_a_file(folder: Path) -> Path:
    return empty_file(folder) / "below"


def too_long(folder: Path) -> Path:
    return folder / ("x" * 300)


def circle(folder: Path) -> Path:
    (folder / "circle").symlink_to(folder / "circle")
    return folder / "circle"


def steering(folder: Path) -> Path:
    """A name that would colour the terminal, ring its bell, turn the reading order, and forge a line of its own."""
    return folder / "a\x1b[31m\x07\x9b2J\u202e[red]b\rc\nerror: d"


def undecodable(folder: Path) -> Path:
    return folder / "caf\udce9.py"


def forbidden_file(folder: Path) -> Path:
    file = folder / "forbidden.py"
    file.write_text(CONFIG)
    file.chmod(0)
    return file


def forbidden_folder(folder: Path) -> Path:
    place = folder / "forbidden"
    (place / "checkpoints").mkdir(parents=True)
    (place / "config.py").write_text(CONFIG)
    place.chmod(0)
    return place


def device(folder: Path) -> Path:
    """Reading it would never end."""
    return Path("/dev/zero")


WRONG = (
    nothing, empty_folder, folder_of_nonsense, empty_file, nonsense, text, below_a_file, too_long, circle, steering,
    undecodable, forbidden_file, forbidden_folder, device,
)  # fmt: skip


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


@contextmanager
def obeying_permissions() -> Iterator[None]:
    """Root may read everything; while this is open it may not (CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH are off)."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = _Header(0x20080522, 0), (ctypes.c_uint32 * 6)()  # version 3; effective, permitted, inheritable twice
    if libc.capget(ctypes.byref(header), sets):
        pytest.skip("capabilities cannot be read here")
    before = sets[0]
    sets[0] = before & ~0b110
    if libc.capset(ctypes.byref(header), sets):
        pytest.skip("root cannot give up its right to read everything here")
    try:
        yield
    finally:
        sets[0] = before
        assert libc.capset(ctypes.byref(header), sets) == 0


def make_removable(path: Path) -> None:
    if os.path.isdir(path):  # noqa: PTH112  # says False where a name is too long
        path.chmod(0o700)


# -- calling ---------------------------------------------------------------------------------------------------------


class Done(NamedTuple):
    status: int
    out: str
    err: str


Call = Callable[..., Done]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """``call("check", path)``: the command in this process; whatever it does not catch itself fails the test."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Done:
        capfd.readouterr()
        with obeying_permissions():
            try:
                status = cli.main(list(map(str, arguments)))
            except SystemExit as error:  # of argparse
                status = error.code if isinstance(error.code, int) else 1
        return Done(status, *capfd.readouterr())

    return run


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Something right for what each argument is called: a config, a run, an image, class folders."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "config.py").write_text(CONFIG)
    for number in range(8):
        place = folder / "images" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (30 * number, 100, 200)).save(place / f"{number}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.main(["train", "config.py", "--work-dir", "run"]) == 0
    kinds = {"CONFIG": "config.py", "RUN": "run", "RUN_OR_CHECKPOINT": "run", "SOURCE": "images"}
    image = folder / "images" / "a" / "0.png"
    return {"": image, "HOOK": Path("Kernels"), **{kind: folder / name for kind, name in kinds.items()}}


def filled(action: argparse.Action, good: dict[str, Path], folder: Path) -> list[str]:
    """A sound value for an argument."""
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    count = action.nargs if isinstance(action.nargs, int) else 1
    if action.choices is not None:
        value: object = next(iter(action.choices))
    elif action.type in (int, float):
        value = 1
    elif metavar == "DIR":
        value = folder / "made"
    else:
        value = good.get(metavar, good[""])
    return [str(value)] * count


def line(name: str, wrong: dict[str, object], good: dict[str, Path], folder: Path) -> list[object]:
    """A whole command line: the wrong values where they belong, sound ones for everything else that is needed."""
    arguments: list[object] = [name]
    for action in actions(name):
        values = [str(wrong[action.dest])] if action.dest in wrong else None
        if values is None and (action.required or (not action.option_strings and action.nargs not in ("?", "*"))):
            values = filled(action, good, folder)
        if values is not None:
            arguments += [*action.option_strings[-1:], *values]
    return arguments


NO_PATHS = ("BOARD", "PATTERN", "PART")  # what an argument is called that may be left out


def positionals(name: str) -> list[str]:
    given = [action for action in actions(name) if not action.option_strings]
    return [one.dest for one in given if one.nargs not in ("?", "*") or one.metavar not in NO_PATHS]


def options(name: str) -> list[str]:
    """Options that take a path, or a name that becomes one."""
    kinds = ("FILE", "DIR", "PATH", "CONFIG", "NAME", "PLUGIN", "OTHER", "MODULE:FUNCTION")
    return [action.dest for action in actions(name) if action.option_strings and action.metavar in kinds]


def assert_one_line(done: Done) -> None:
    assert done.status == 2, done
    assert_no_traceback(done)
    lines = done.err.splitlines()
    assert 1 <= len(lines) <= 2, done.err  # check counts the problems in a line of its own
    assert len(lines[0]) < 1500
    assert not any(line.startswith("error: d") for line in lines), "a line end in a name forged a line"


def assert_no_traceback(done: Done) -> None:
    assert "Traceback" not in done.err and "Traceback" not in done.out
    shown = (done.out + done.err).replace("\n", "").replace("\t", "")
    assert shown.isprintable(), ascii(shown)


# -- the contract ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
@pytest.mark.parametrize(("name", "dest"), [(name, dest) for name in COMMANDS for dest in positionals(name)])
def test_a_wrong_path_is_one_line(
    call: Call, good: dict[str, Path], tmp_path: Path, name: str, dest: str, wrong: Callable[[Path], Path]
) -> None:
    path = wrong(tmp_path)
    try:
        done = call(*line(name, {dest: path}, good, tmp_path))
        if name in VERDICTS and done.status == 1:
            assert_no_traceback(done)
        elif wrong is empty_file and good.get(str(_metavar(name, dest))) == good["CONFIG"]:
            assert done.status in (0, 2)  # an empty config can be printed
            assert_no_traceback(done)
        else:
            assert_one_line(done)
    finally:
        make_removable(path)


def _metavar(name: str, dest: str) -> object:
    return next(action.metavar for action in actions(name) if action.dest == dest)


@pytest.mark.parametrize(
    "wrong", [nothing, empty_file, below_a_file, circle, forbidden_folder, steering], ids=lambda w: w.__name__
)
@pytest.mark.parametrize(("name", "dest"), [(name, dest) for name in COMMANDS for dest in options(name)])
def test_a_wrong_option_is_no_traceback(
    call: Call, good: dict[str, Path], tmp_path: Path, name: str, dest: str, wrong: Callable[[Path], Path]
) -> None:
    """Some of these may be right, a folder that is not there yet, say; none may crash."""
    path = wrong(tmp_path)
    try:
        done = call(*line(name, {dest: path}, good, tmp_path))
        assert done.status in (0, 1, 2), done
        assert_no_traceback(done)
        if done.status == 2:
            assert done.err
    finally:
        make_removable(path)


@pytest.mark.parametrize("name", [name for name in COMMANDS if positionals(name)])
def test_debug_shows_where(call: Call, good: dict[str, Path], tmp_path: Path, name: str) -> None:
    with pytest.raises((PegboardError, OSError)):
        call(*line(name, dict.fromkeys(positionals(name), nothing(tmp_path)), good, tmp_path), "--debug")


@pytest.mark.parametrize("name", COMMANDS)
def test_no_arguments_and_unknown_ones_show_the_usage(call: Call, name: str) -> None:
    done = call(name, "--no-such-option", "x")
    assert done.status == 2 and f"usage: pegboard {name}" in done.err
    if positionals(name):
        assert call(name).status == 2


# -- a run folder that would run something -----------------------------------------------------------------------------

OF_RUNS = [name for name in COMMANDS if any(action.metavar in ("RUN", "RUN_OR_CHECKPOINT") for action in actions(name))]
EVIL = "from pathlib import Path\nPath({!r}).touch()\n"


@pytest.fixture(scope="module")
def hostile(good: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The good run, whose checkpoint names plugins, files and modules, that write ``ran``; and that file."""
    folder = Path(shutil.copytree(good["RUN"], tmp_path_factory.mktemp("hostile") / "run"))
    evil = folder.parent / "evil_parts.py"
    evil.write_text(EVIL.format(str(folder.parent / "ran")))
    checkpoints = Checkpoints(folder / "checkpoints")
    state = checkpoints.newest()[1]
    state["config"]["plugins"] = ["./evil_parts.py", str(evil), "evil_parts"]
    checkpoints.save(state, keep=1)
    return folder, folder.parent / "ran"


@pytest.mark.parametrize("name", OF_RUNS)
def test_nothing_in_a_run_folder_is_run(
    call: Call, good: dict[str, Path], hostile: tuple[Path, Path], tmp_path: Path, name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Neither the plugins that the config in its checkpoint names, nor its config.py."""
    folder, ran = hostile
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.chdir(folder.parent)
    runs = {action.dest: folder for action in actions(name) if action.metavar in ("RUN", "RUN_OR_CHECKPOINT")}
    out = [] if name in ("curves", "report") or "--out" not in _options(name) else ["--out", tmp_path / "out"]
    done = call(*line(name, dict(runs), good, tmp_path), *out)
    assert done.status == 0, done
    assert not ran.exists()
    config = folder / "config.py"
    text = config.read_text()
    try:
        config.write_text(text + EVIL.format(str(ran)))
        assert_no_traceback(call(*line(name, dict(runs), good, tmp_path / "again"), *out))
    finally:
        config.write_text(text)
    assert not ran.exists()


def _options(name: str) -> set[str]:
    return {option for action in actions(name) for option in action.option_strings}


def test_a_plugin_that_the_user_names_is_run(call: Call, hostile: tuple[Path, Path]) -> None:
    """Which shows that the test above would see it."""
    folder, ran = hostile
    try:
        assert call("test", folder, "--plugins", folder.parent / "evil_parts.py").status == 0
        assert ran.exists()
    finally:
        ran.unlink(missing_ok=True)


# -- commands that must be caught ------------------------------------------------------------------------------------


def _add_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="SOURCE")


def _crashes(arguments: argparse.Namespace) -> int:
    return len(Path(arguments.path).name[99999])  # an IndexError


def _shows_what_it_gets(arguments: argparse.Namespace) -> int:
    print(f"there is no {arguments.path}", file=sys.stderr)
    return 2


def _says_nothing(arguments: argparse.Namespace) -> int:
    return 2


def _succeeds(arguments: argparse.Namespace) -> int:
    return 0


def _add(monkeypatch: pytest.MonkeyPatch, name: str, function: Callable[..., int]) -> None:
    """A plugin's command, as ``pegboard`` finds it."""
    added = Added(name, "strange", "strange", own=False, command=("a specimen", _add_path, function))
    monkeypatch.setattr(cli, "added_commands", lambda: ([added], {}))


@pytest.mark.parametrize("specimen", [_crashes, _shows_what_it_gets, _says_nothing, _succeeds])
def test_a_broken_command_is_caught(
    call: Call, good: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, specimen: Callable[..., int]
) -> None:
    _add(monkeypatch, "specimen", specimen)
    monkeypatch.setitem(COMMANDS, "specimen", _add_path)
    with pytest.raises((AssertionError, IndexError)):
        test_a_wrong_path_is_one_line(call, good, tmp_path, "specimen", "path", steering)


def test_a_full_disk_is_one_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(arguments: argparse.Namespace) -> int:
        raise OSError(28, "No space left on device", "runs/\x1b[31ma")

    _add(monkeypatch, "fails", full)
    assert call("fails", "x") == (2, "", "runs/\\x1b[31ma: No space left on device; --debug shows more\n")
