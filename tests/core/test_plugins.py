"""Installed plugins, whole and broken; each a real distribution in a folder of its own."""

import re
import textwrap

import pytest

GOOD = """
from pegboard import hookimpl

@hookimpl
def pegboard_register(boards):
    boards.models.add_lazy("Net", "{module}:Net")

class Net:
    "A net."
"""
HALF = """
from pegboard import hookimpl

@hookimpl
def pegboard_register(boards):
    boards.models.add_lazy("HalfNet", "half:HalfNet")
    raise RuntimeError("half way")
"""
WRONG_HOOK = """
from pegboard import hookimpl

@hookimpl
def pegboard_register(bords):
    pass
"""
EXTRAS = """
from pegboard import hookimpl

@hookimpl
def pegboard_check(config):
    return [config.problem("seed", "is unlucky")] if config.values.get("seed") == 13 else []

def add_arguments(parser):
    parser.add_argument("--loud", action="store_true")

def greet(arguments):
    print("HELLO" if arguments.loud else "hello")
    return 0

@hookimpl
def pegboard_commands():
    return {"greet": ("say hello", add_arguments, greet)}
"""


@pytest.fixture
def install(tmp_path):
    """Write a distribution with one module and its entry point, as pip would leave it."""
    site = tmp_path / "site"

    def write(name, text):
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[pegboard]\n{name} = {name}\n", encoding="utf-8")
        (site / f"{name}.py").write_text(text.replace("{module}", name), encoding="utf-8")

    write.path = {"path": [site]}
    return write


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
        (WRONG_HOOK, "PluginValidationError"),
        (HALF, "RuntimeError: half way"),
    ],
    ids=["raises", "import", "exit", "syntax", "signature", "half"],
)
def test_a_broken_plugin_is_reported_and_harms_nobody(install, pegboard_cli, text, error):
    install("half", text)
    install("whole", GOOD)
    listing = pegboard_cli("plugins", **install.path)
    assert listing.returncode == 0
    assert "BROKEN" in listing.stdout and error in listing.stdout and "half 1.0" in listing.stdout
    assert "1 models" in listing.stdout.split("whole 1.0")[1].splitlines()[0]
    assert "Net" in pegboard_cli("plugins", "MODELS", "whole:*", **install.path).stdout
    assert pegboard_cli("plugins", "MODELS", "HalfNet", **install.path).returncode == 2  # its half is gone


def test_a_config_that_asks_for_an_unknown_name_hears_of_the_broken_plugin(install, pegboard_cli, toy):
    install("half", HALF)
    done = pegboard_cli("check", toy, "--cfg-options", "model=dict(type='HalfNet')", **install.path)
    assert done.returncode == 2
    assert "no 'HalfNet' in models" in done.stderr
    assert "plugin 'half', which might bring it, is broken: RuntimeError: half way" in done.stderr


def test_two_plugins_with_one_name(install, pegboard_cli, toy):
    install("acme", GOOD)
    install("zenith", GOOD)
    assert pegboard_cli("check", toy, **install.path).returncode == 0  # nobody uses the name
    bare = pegboard_cli("check", toy, "--cfg-options", "model=dict(type='Net')", **install.path)
    assert bare.returncode == 2 and "'acme'" in bare.stderr and "'zenith'" in bare.stderr
    assert pegboard_cli("check", toy, "--cfg-options", "model=dict(type='zenith:Net')", **install.path).returncode == 0


def test_a_plugin_adds_checks_and_commands(install, pegboard_cli, toy):
    install("extras", EXTRAS)
    assert pegboard_cli("greet", "--loud", **install.path).stdout == "HELLO\n"
    assert "greet" in pegboard_cli("--help", **install.path).stdout
    found = pegboard_cli("check", toy, "--cfg-options", "seed=13", **install.path)
    assert found.returncode == 2 and "--cfg-options: seed: is unlucky" in found.stderr


def test_a_check_that_raises_is_a_problem_and_no_crash(install, pegboard_cli, toy):
    install("extras", "from pegboard import hookimpl\n@hookimpl\ndef pegboard_check(config):\n    return 1 / 0\n")
    done = pegboard_cli("check", toy, **install.path)
    assert done.returncode == 2 and "the check of plugin 'extras' failed: ZeroDivisionError" in done.stderr


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("./my_part.py", "", "there is no file 'my_part.py' in .*; did you mean 'my_parts.py'"),
        ("./my_parts.py", "1 / 0", "cannot be loaded: ZeroDivisionError"),
        ("no_such_module", "", "cannot be loaded: ModuleNotFoundError"),
    ],
)
def test_code_that_a_config_names_and_that_cannot_be_had(pegboard_cli, tmp_path, toy, name, text, message):
    (tmp_path / "my_parts.py").write_text(text, encoding="utf-8")
    toy.write_text(toy.read_text(encoding="utf-8").replace('"./toy_parts.py"', f'"./toy_parts.py", "{name}"'), "utf-8")
    done = pegboard_cli("check", toy)
    assert done.returncode == 2
    assert re.search(rf"toy\.py:1: plugins\.1: .*{message}", done.stderr), done.stderr


def test_code_that_a_config_names_lies_beside_the_config(pegboard_cli, tmp_path):
    deep = tmp_path / "deep"
    deep.mkdir()
    (deep / "parts.py").write_text(
        textwrap.dedent('''
        from pegboard import MODELS

        @MODELS.register
        class DeepNet:
            """A net."""
        '''),
        encoding="utf-8",
    )
    (deep / "c.py").write_text('plugins = ["./parts.py"]\nmodel = dict(type="DeepNet", x=1)\n', encoding="utf-8")
    done = pegboard_cli("check", "deep/c.py")
    assert "deep/c.py:2: model.x: DeepNet takes no 'x'" in done.stderr


GREETS = """
from pegboard import hookimpl

def greet(arguments):
    print("{module} greets")
    return 0

@hookimpl
def pegboard_commands():
    return {{name}: ("say hello as {module}", lambda parser: None, greet)}
"""


@pytest.mark.parametrize("name", ["greet", "split", "train"])
def test_two_plugins_with_one_command_are_told_apart_and_pegboard_keeps_its_own(install, pegboard_cli, name):
    for plugin in ("ann", "bob"):
        install(plugin, GREETS.replace("{name}", repr(name)))
    bare = pegboard_cli(name, "--help", **install.path)
    if name == "greet":
        ways = "`pegboard ann:greet` or `pegboard bob:greet`"
        clash = f"command 'greet' is claimed by 'ann' (ann) and 'bob' (bob); write {ways}"
        assert (bare.returncode, bare.stdout) == (2, "") and bare.stderr == f"{clash}\n"
    else:
        clash = (
            f"command {name!r} is pegboard's own; that of a plugin is `pegboard ann:{name}` or `pegboard bob:{name}`"
        )
        assert (
            bare.returncode == 0 and bare.stdout.startswith(f"usage: pegboard {name} ") and "hello" not in bare.stdout
        )
    assert pegboard_cli(f"ann:{name}", **install.path).stdout == "ann greets\n"
    assert pegboard_cli(f"bob:{name}", **install.path).stdout == "bob greets\n"
    listing = pegboard_cli("--help", **install.path).stdout
    assert f"\n  ann:{name}" in listing and f"\n  bob:{name}" in listing
    assert (f"\n  {name} " in listing) == (name != "greet")
    assert clash in pegboard_cli("plugins", **install.path).stdout


def test_one_plugin_with_a_command_has_it_by_its_bare_name_and_by_its_full_one(install, pegboard_cli):
    install("ann", GREETS.replace("{name}", "'greet'"))
    assert pegboard_cli("greet", **install.path).stdout == pegboard_cli("ann:greet", **install.path).stdout
    listed = pegboard_cli("plugins", **install.path).stdout
    assert "claimed" not in listed and "own;" not in listed
    assert re.search(r"^ann +ann 1\.0 +1 commands$", listed, re.M)
    missing = pegboard_cli("bob:greet", **install.path)
    assert missing.returncode == 2 and "there is no command 'bob:greet'" in missing.stderr


def test_two_plugins_with_one_part_are_named_where_plugins_are_listed(install, pegboard_cli):
    for plugin in ("ann", "bob"):
        install(plugin, GOOD)
    listed = pegboard_cli("plugins", **install.path).stdout
    assert "'Net' in models is claimed by 'ann' (ann:Net) and 'bob' (bob:Net); write 'ann:Net' or 'bob:Net'" in listed


@pytest.fixture
def lenet(repository):
    """A config that is checked without importing torch."""
    return repository / "configs" / "lenet_cifar.py"


@pytest.mark.parametrize(
    ("hook", "body", "message"),
    [
        ("pegboard_check(config)", "pass", "the check of plugin 'odd' must return a list of Problem, not None"),
        ("pegboard_check(config)", "return ['bad']", "must return a list of Problem, not ['bad']"),
        ("pegboard_check(config)", "raise SystemExit(4)", "the check of plugin 'odd' failed: SystemExit: 4"),
        ("pegboard_commands()", "pass", "plugin 'odd' cannot add its commands: expected name -> (help,"),
        ("pegboard_commands()", "return {'hi': 'say hi'}", "plugin 'odd' cannot add its commands: expected name ->"),
        ("pegboard_commands()", "return {'a b': ('x', print, print)}", "commands: expected name -> (help,"),
        ("pegboard_commands()", "return {'hi': ('', print, print)}", "commands: expected name -> (help,"),
        ("pegboard_commands()", "raise SystemExit(4)", "plugin 'odd' cannot add its commands: SystemExit: 4"),
    ],
)
def test_a_hook_that_gives_what_it_should_not_is_reported(install, pegboard_cli, lenet, hook, body, message):
    install("odd", f"from pegboard import hookimpl\n@hookimpl\ndef {hook}:\n    {body}\n")
    done = pegboard_cli("check", lenet, **install.path) if "check" in hook else pegboard_cli("--help", **install.path)
    assert done.returncode == (2 if "check" in hook else 0)
    assert message in done.stderr and "Traceback" not in done.stderr
    assert "check" in hook or "usage: pegboard COMMAND" in done.stdout


def test_a_file_that_a_config_names_and_that_exits_does_not_end_the_command(pegboard_cli, tmp_path):
    (tmp_path / "parts.py").write_text("raise SystemExit(5)\n", encoding="utf-8")
    (tmp_path / "c.py").write_text('plugins = ["./parts.py"]\n', encoding="utf-8")
    done = pegboard_cli("check", "c.py")
    assert done.returncode == 2
    assert "c.py:1: plugins.0: './parts.py' cannot be loaded: SystemExit: 5" in done.stderr


def test_what_a_file_registered_before_it_raised_is_taken_off(pegboard_cli, tmp_path):
    (tmp_path / "parts.py").write_text(
        "from pegboard import MODELS\n@MODELS.register\nclass EarlyNet: pass\n1 / 0\n", encoding="utf-8"
    )
    (tmp_path / "c.py").write_text('plugins = ["./parts.py"]\nmodel = dict(type="EarlyNet")\n', encoding="utf-8")
    assert "c.py:2: model.type: no 'EarlyNet' in models" in pegboard_cli("check", "c.py").stderr


def test_a_bridge_whose_names_cannot_be_read_takes_no_other_part_down(install, pegboard_cli, lenet):
    install(
        "badbridge",
        "from pegboard import Bridge, hookimpl\n"
        "def names(): raise RuntimeError('moved away')\n"
        "@hookimpl\n"
        "def pegboard_register(boards): boards.models.add_bridge(Bridge('bad', 'torch', 'bad', names))\n",
    )
    assert pegboard_cli("check", lenet, **install.path).returncode == 0
    listing = pegboard_cli("plugins", **install.path)
    assert listing.returncode == 0
    assert "bridge bad to torch adds no models: RuntimeError: moved away" in listing.stdout
    unknown = pegboard_cli("check", lenet, "--cfg-options", "model=dict(type='Qqq')", **install.path)
    assert "no 'Qqq' in models; bridge 'bad' to torch, which might bring it, is broken" in unknown.stderr
