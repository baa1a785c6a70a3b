"""`pegboard plugins --doctor`: right about sound plugins, and about every way to be broken that it looks for."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from pegboard.cli import doctor as doctor_module
from pegboard.cli import loading
from pegboard.cli.diagnosis import Diagnosis
from pegboard.cli.doctor import Examiner, diagnose
from tests.conftest import Command

BROKEN = '''
import matplotlib
from pathlib import Path

from pegboard import Hook, hookimpl


@hookimpl
def pegboard_register(boards):
    boards.models.add_lazy("LeNet", "broken:LeNet")
    boards.models.add_lazy("Net", "broken:LeNet")
    boards.hooks.add_lazy("Exits", "broken:Exits")
    Path("traces.txt").write_text("I was here")


@hookimpl
def pegboard_commands():
    return {name: (name, lambda parser: None, lambda arguments: 0) for name in ("split", "hum")}


class LeNet:
    pass


class Exits(Hook):
    """It ends the process."""

    def after_val(self, run, metrics):
        print("NOISE")
        raise SystemExit(3)
'''
OTHER = """
from pegboard import hookimpl
@hookimpl
def pegboard_register(boards):
    boards.models.add_lazy("Net", "other:Net")
@hookimpl
def pegboard_commands():
    return {"hum": ("hum", lambda parser: None, lambda arguments: 0)}
"""
EXAMPLES = """
from pegboard import hookimpl
@hookimpl
def pegboard_examples(folder):
    return {examples}
"""


def install(
    site: Path, name: str, files: Mapping[str, str], entry: str = "", metadata: str = "", called: str = ""
) -> None:
    """Leave modules in a folder as pip would."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: pegboard>=0.1\n"
    (info / "METADATA").write_text(metadata or text, encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[pegboard]\n{called or name} = {entry or name}\n", encoding="utf-8")
    for module, code in files.items():
        (site / f"{module}.py").write_text(code, encoding="utf-8")


@pytest.fixture
def doctor(tmp_path: Path, pegboard_cli: Command):
    """Install modules as pip would leave them, then ask the doctor: (status, what it printed)."""

    def ask(*arguments: str, **plugins: str) -> tuple[int, str]:
        for name, text in plugins.items():
            install(tmp_path / "site", name, {name: text})
        work = tmp_path / "work"
        work.mkdir()
        done = pegboard_cli("plugins", "--doctor", *arguments, cwd=work, path=[tmp_path / "site"])
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout + done.stderr

    return ask


def test_everything_that_is_wrong_is_said_with_what_to_do(doctor) -> None:
    status, said = doctor("broken", broken=BROKEN, other=OTHER)
    assert status == 1
    assert said.startswith("broken (broken 1.0, module broken): UNSOUND\n")
    mended, better = said.split("to be mended:")[1].split("could be better:")
    assert "loading it imports matplotlib" in mended and "add_lazy" in mended
    assert "loading it leaves traces.txt in the working directory" in mended
    assert "models.LeNet is pegboard's own name too" in mended and "choose another name" in mended
    assert (
        "command 'split' is pegboard's own (pegboard_data), and yours is only reached as `pegboard broken:split`"
        in mended
    )
    assert "command 'hum' is also of plugin 'other'" in better and "`pegboard broken:hum`" in better
    assert "models.LeNet is documented: LeNet has no docstring of its own" in mended
    assert "models.LeNet is built from its example: LeNet is no torch.nn.Module" in mended
    assert "hooks.Exits resumes: SystemExit: 3" in mended
    assert "write pegboard_interface = 1 into broken" in better
    assert "plugin 'other' has models.Net too; a config has to write 'broken:Net'" in better
    assert "NOISE" not in said
    assert "registers  models: LeNet, Net" in said and "hooks: Exits" in said and "commands: split, hum" in said
    assert "command split, also of pegboard_data; command hum, also of other" in " ".join(said.split())
    assert "promises, 6 broken" in said


def test_another_plugin_that_takes_a_name_does_not_make_ours_unsound(doctor) -> None:
    status, said = doctor("pegboard_metrics", thief=OTHER.replace("models", "metrics").replace("Net", "Accuracy"))
    assert status == 0
    assert said.startswith("pegboard_metrics (pegboard ") and "): sound\n" in said
    assert "Accuracy in metrics, also of thief" in said
    assert "promises, all kept" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        (
            "def pegboard_commands():\n    return ['hi']",
            "pegboard_commands: expected name -> (help, add_arguments, run)",
        ),
        ("pegboard_interface = 2", "made for plugin interface 2, and this pegboard has 1; install a newer pegboard"),
        ("pegboard_interface = 0", "this pegboard has 1; install a newer version of the plugin"),
        ("pegboard_interface = '1'", "pegboard_interface is '1'; expected a whole number, now 1"),
        (EXAMPLES.format(examples="None"), "pegboard_examples of plugin 'odd' gives None; expected board -> part"),
        (EXAMPLES.format(examples="{'modles': {}}"), "there is no board 'modles'; did you mean 'models'"),
        (EXAMPLES.format(examples="{'models': {'Net': {}}}"), "it registers no 'Net' in models"),
        (EXAMPLES.format(examples="1 / 0"), "pegboard_examples of plugin 'odd' failed: ZeroDivisionError"),
    ],
)
def test_one_that_cannot_be_loaded_or_tried_is_unsound(doctor, text: str, message: str) -> None:
    status, said = doctor("odd", odd=text)
    assert status == 1
    assert said.startswith("odd (odd 1.0, module odd): UNSOUND\n")
    assert message in said


NEEDS = '''
from pegboard import Hook, hookimpl


@hookimpl
def pegboard_register(boards):
    boards.hooks.add_lazy("Needs", "needs:Needs")


class Needs(Hook):
    """It needs a file."""

    def __init__(self, file: str, times: int = 2) -> None: ...
'''


def test_a_part_that_needs_arguments_gets_the_example_to_write_and_no_echoes(doctor) -> None:
    status, said = doctor("needs", needs=NEEDS)
    assert status == 1
    assert said.split("to be mended:\n")[1].split("  could be")[0].splitlines() == [
        "  - hooks.Needs is sound with its example: pegboard check: hooks.part: Needs needs 'file'",
        "    say in needs what it can be tried with:",
        "      @hookimpl",
        "      def pegboard_examples(folder):",
        '          return {"hooks": {"Needs": {"file": ...}}}',
    ]
    assert "1 broken; not all were tried of Needs" in said


def test_an_interface_that_fits_is_told(doctor) -> None:
    status, said = doctor("fits", fits="pegboard_interface = 1\ndef pegboard_examples(folder):\n    return {}")
    assert status == 0
    assert "interface  1, as this pegboard has\n" in said and "could be better" not in said


def test_a_name_that_nobody_has_is_a_mistake(doctor) -> None:
    status, said = doctor("pegboard_modls")
    assert (status, said) == (2, "there is no plugin 'pegboard_modls'; did you mean 'pegboard_models'?\n")


# -- what loading one does -------------------------------------------------------------------------------------------

ONE = "from pegboard import hookimpl\n@hookimpl\ndef pegboard_register(boards):\n    {line}\n"
LOADED = {
    "raises": ({"raises": "raise RuntimeError('no luck')"}, ["RuntimeError: no luck", "raises.py:1: raise Runtime"]),
    "registers": (
        {"registers": ONE.format(line="raise KeyError('x')")},
        ["KeyError: 'x'", "registers.py:4: raise KeyError"],
    ),
    "syntax": ({"syntax": "x = 1\ndef ("}, ["SyntaxError", "syntax.py:2: def (", "mend it there"]),
    "absent": ({}, ["No module named 'absent'", "names 'absent', and that module is not installed"]),
    "attribute": (
        {"attribute": ""},
        ["has no attribute 'plugin'", "expected a module that has pegboard_register, e.g. 'attribute'"],
    ),
    "library": ({"library": "import acme_of_others"}, ["'acme_of_others' to the dependencies in pyproject.toml"]),
    "circle": (
        {"circle": "import circle_b", "circle_b": "from circle import x"},
        ["circle_b.py:1: from circle import x", "two modules import each other"],
    ),
    "board": ({"board": ONE.format(line="boards.modles.add_lazy('N', 'n:N')")}, ["'modles'", "board.py:4: boards."]),
    "argument": (
        {"argument": ONE.replace("boards", "borads").format(line="pass")},
        ["'borads'", "pegboard_register", "mend it there"],
    ),
    "newer": ({"newer": "pegboard_interface = 7"}, ["interface 7, and this pegboard has 1; install a newer pegboard"]),
    "exits": ({"exits": "raise SystemExit(3)"}, ["SystemExit: 3", "let the module define functions"]),
    "ends": (
        {"ends": "import os\nos._exit(3)"},
        ["ends the process, with status 3", "define functions"],
    ),
    "endless": (
        {"endless": "import time\nwhile True:\n    time.sleep(0.1)"},
        ["had not ended after 3 s", "endless.py:3: in <module>", "let the module define functions"],
    ),
    "heavy": ({"heavy": "import matplotlib"}, ["imports matplotlib", "add_lazy"]),
    "prints": ({"prints": "print('HELLO')"}, ["prints 'HELLO'"]),
    "leaves": ({"leaves": "open('left.txt', 'w').close()"}, ["leaves left.txt"]),
    "changes": (
        {"changes": "import os, random\nos.environ['A_B'] = '1'\nrandom.seed(0)"},
        ["changes the environment variables and the random numbers"],
    ),
}


@pytest.mark.parametrize("name", LOADED)
def test_what_is_wrong_with_loading_it_is_said_in_few_lines(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, expected = LOADED[name]
    install(tmp_path, name, files, entry=f"{name}:plugin" if name == "attribute" else "")
    monkeypatch.syspath_prepend(tmp_path)
    if name == "endless":
        monkeypatch.setattr(loading, "SECONDS", 3)
    loaded = loading.load_alone(point_of(name))
    said = "\n".join([*filter(None, [loaded.fault]), *loading.verdicts(loaded)])
    assert [phrase for phrase in expected if phrase not in said] == [], said
    assert "Traceback" not in said and len(said.splitlines()) <= 5


def test_nothing_is_wrong_with_loading_a_sound_one() -> None:
    loaded = loading.load_alone(point_of("pegboard_hooks"))
    assert not loaded.fault and not loaded.warned and loading.verdicts(loaded) == []


def point_of(name: str) -> EntryPoint:
    [point] = entry_points(group="pegboard", name=name)
    return point


# -- what its functions do, and its parts; none of these needs torch -------------------------------------------------

PART = "boards.hooks.add_lazy('Part', '{address}')"
EXAMINED: dict[str, tuple[dict[str, str], list[str]]] = {
    "empty": ({"empty": ""}, ["has none of pegboard_register, pegboard_check", "`pegboard new-plugin`"]),
    "typo": (
        {"typo": ONE.format(line="pass").replace("register", "regster")},
        ["has 'pegboard_regster', which pegboard never calls; did you mean 'pegboard_register'?"],
    ),
    "nowhere": (
        {"nowhere": ONE.format(line=PART.format(address="nowhere_b:Part"))},
        ["Part cannot be imported from nowhere_b:Part: ModuleNotFoundError", "mend the name, or add", "of Part"],
    ),
    "misnamed": (
        {"misnamed": ONE.format(line=PART.format(address="misnamed:Prat"))},
        ["module 'misnamed' has no attribute 'Prat'", "or the address where it is registered"],
    ),
    "broken": (
        {"broken": ONE.format(line=PART.format(address="broken_b:Part")), "broken_b": "def ("},
        ["SyntaxError", "broken_b.py:1: def ("],
    ),
    "commands": (
        {"commands": "def pegboard_commands():\n    return {'greet me': ('x', 1, 2)}"},
        ["pegboard_commands: expected name -> (help, add_arguments, run)"],
    ),
    "parser": (
        {"parser": "pegboard_commands = lambda: {'greet': ('x', lambda p: p.add_argument('a b', dest='c'), print)}"},
        ["the arguments of command 'greet' cannot be added"],
    ),
    "quits": (
        {
            "quits": ONE.format(line=PART.format(address="quits_b:Part")),
            "quits_b": "import os\nos.system('echo NOISE')\nos._exit(4)",
        },
        ["hooks.Part can be imported: it ended the process, with status 4; what comes after it was not tried"],
    ),
    "waits": (
        {"waits": "def pegboard_examples(folder):\n    import time\n    while True:\n        time.sleep(0.1)"},
        ["pegboard_examples: it had not ended after 8 s", "waits.py:4: in pegboard_examples"],
    ),
    "after": ({"after": "pegboard_interface = 1\npegboard_commands = dict"}, []),
}


def test_each_is_told_what_to_do_and_what_one_breaks_harms_none_that_comes_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """By one process that examines all, as `pegboard plugins --doctor` does; it is replaced when a part ends it."""
    for name, (files, _) in EXAMINED.items():
        install(tmp_path, name, files)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(doctor_module, "SECONDS", 8)
    missing = {}
    with Examiner() as examiner:
        for name, (_, expected) in EXAMINED.items():
            found = diagnose(point_of(name), examiner)
            said = "\n".join([*found.faults, *(finding for _, finding in found.findings)])
            missing[name] = [phrase for phrase in expected if phrase not in said]
            assert len(found.faults) == bool(expected), (name, found.faults)
    assert missing == {name: [] for name in EXAMINED}
    assert capfd.readouterr() == ("", "")


def test_two_plugins_of_one_name_are_told_apart(doctor, tmp_path: Path) -> None:
    line = "pegboard_commands = dict"
    install(tmp_path / "site", "one", {"one": line}, called="same")
    install(tmp_path / "site", "two", {"two": line}, called="same")
    status, said = doctor("two")
    assert status == 1
    assert "one has a plugin 'same' too, and only one of them is loaded; call yours by its module" in said


def test_metadata_that_lacks_something_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "nameless", {"nameless": ""}, metadata="Metadata-Version: 2.1\n")
    install(tmp_path, "apart", {"apart": ""}, metadata="Metadata-Version: 2.1\nName: apart\nVersion: 1.0\n")
    install(tmp_path, "whole", {"whole": ""})
    monkeypatch.syspath_prepend(tmp_path)
    found = {name: Diagnosis() for name in ("nameless", "apart", "whole")}
    for name, diagnosis in found.items():
        doctor_module.look_at_metadata(point_of(name), diagnosis)
    [fault], [hint] = found["nameless"].faults, found["apart"].hints
    assert "its metadata has no name or no version; give [project] in its pyproject.toml both" in fault
    assert 'does not say that it needs pegboard; write dependencies = ["pegboard"]' in hint
    assert found["whole"] == Diagnosis()


@pytest.mark.slow
def test_all_of_ours_are_sound(doctor) -> None:
    status, said = doctor("pegboard")
    assert status == 0, said
    assert "UNSOUND" not in said and said.endswith(" plugins, all sound\n")


@pytest.mark.slow
def test_without_a_name_all_are_looked_at(doctor) -> None:
    status, said = doctor(odd="1 / 0")
    assert status == 1
    assert said.endswith(" plugins, 1 unsound: odd\n")
