"""`pegboard plugins --doctor`: right about sound plugins, and about every way to be broken that it looks for."""

from pathlib import Path

import pytest

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


@pytest.fixture
def doctor(tmp_path: Path, pegboard_cli: Command):
    """Install modules as pip would leave them, then ask the doctor: (status, what it printed)."""

    def ask(*arguments: str, **plugins: str) -> tuple[int, str]:
        for name, text in plugins.items():
            info = tmp_path / "site" / f"{name}-1.0.dist-info"
            info.mkdir(parents=True)
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
            (info / "entry_points.txt").write_text(f"[pegboard]\n{name} = {name}\n", encoding="utf-8")
            (tmp_path / "site" / f"{name}.py").write_text(text, encoding="utf-8")
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
    status, said = doctor("fits", fits="pegboard_interface = 1")
    assert status == 0
    assert "interface  1, as this pegboard has\n" in said and "could be better" not in said


def test_a_name_that_nobody_has_is_a_mistake(doctor) -> None:
    status, said = doctor("pegboard_modls")
    assert (status, said) == (2, "there is no plugin 'pegboard_modls'; did you mean 'pegboard_models'?\n")


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
