"""What imports what: heavy libraries only where used, and never a plugin from core."""

import ast
import importlib
import subprocess
import sys

import pytest

import pegboard
from tests.conftest import REPOSITORY as ROOT

CONFIG = str(ROOT / "configs" / "lenet_cifar.py")


@pytest.mark.parametrize(
    "arguments",
    [["plugins"], ["plugins", "OPTIMIZERS", "Ada*"], ["plugins", "MODELS"], ["check", CONFIG], ["print", CONFIG]],
    ids=" ".join,
)
def test_listing_and_checking_import_no_heavy_library(arguments):
    script = (
        "import sys; from pegboard.cli import main; status = main(sys.argv[1:]);"
        "print('HEAVY', sorted({'torch', 'torchvision', 'torchmetrics', 'matplotlib', 'cv2'} & {*sys.modules}), status)"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY [] 0", done.stderr


def test_listing_plugins_takes_less_than_half_a_second():
    script = (
        "import sys, time, io; out, sys.stdout = sys.stdout, io.StringIO();"
        "from pegboard.cli import main; main(['plugins']); print(time.process_time(), file=out)"
    )
    seconds = [
        float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout) for _ in range(4)
    ]
    assert min(seconds) < 0.5


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_core_imports_no_plugin():
    plugins = {folder.name for folder in (ROOT / "plugins").iterdir()}
    core = list((ROOT / "core").rglob("*.py"))
    assert core and plugins
    bad = [(path.name, name) for path in core for name in _imports(path) if name.split(".")[0] in plugins]
    assert bad == []


def test_plugins_use_nothing_private():
    files = list((ROOT / "plugins").rglob("*.py"))
    names = [(path.name, name) for path in files for name in _imports(path) if name.split(".")[0] == "pegboard"]
    assert names
    assert [pair for pair in names if any(part.startswith("_") for part in pair[1].split("."))] == []


def _builders_asked(text):
    """Where a source asks an object, not itself, for its builder: what a run holds it says itself."""
    asked = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute) and node.attr == "builder"]
    return [ast.unparse(node) for node in asked if ast.unparse(node.value) != "self"]


def test_plugins_ask_a_run_for_nothing_that_is_not_public():
    files = list((ROOT / "plugins").rglob("*.py"))
    assert files and [found for path in files for found in _builders_asked(path.read_text(encoding="utf-8"))] == []
    assert _builders_asked("run.facts, self.builder.known, run.builder.known") == ["run.builder"]


@pytest.mark.parametrize("name", pegboard.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(pegboard, name) is not None
    assert name in dir(pegboard)


def test_no_other_name_is():
    with pytest.raises(AttributeError, match="no attribute 'Runer'"):
        _ = pegboard.Runer
    homes = {name for names in pegboard._HOMES.values() for name in names}
    assert homes == {*pegboard.__all__}
    for module in pegboard._HOMES:
        importlib.import_module(module)
