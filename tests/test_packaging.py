"""A wheel of the project holds every source file, and works where it is installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Command

SOURCES = ("core", "plugins")
BUILT_FROM = (*SOURCES, "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
ARTEFACTS = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist")


def packages() -> dict[str, Path]:
    """Top-level package -> its folder in the tree."""
    return {"pegboard": REPOSITORY / "core" / "pegboard"} | {
        folder.name: folder for folder in (REPOSITORY / "plugins").iterdir() if (folder / "__init__.py").is_file()
    }


def contents(folder: Path) -> dict[str, bytes]:
    """Relative path -> bytes of every file that is no compiled one."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the wheel is built from: building leaves files behind."""
    copy = tmp_path_factory.mktemp("tree")
    for name in BUILT_FROM:
        place = REPOSITORY / name
        if place.is_dir():
            shutil.copytree(place, copy / name, ignore=ARTEFACTS)
        else:
            shutil.copy(place, copy / name)
    return copy


@pytest.fixture(scope="module")
def installed(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, installed into a folder of its own."""
    folder = tmp_path_factory.mktemp("installed")
    do("build", "--wheel", "--no-isolation", "--outdir", folder, tree)
    [wheel] = folder.glob("pegboard-*.whl")
    do("pip", "--disable-pip-version-check", "install", "--no-deps", "--target", folder / "prefix", wheel)
    return folder / "prefix"


def do(module: str, *arguments: object) -> None:
    done = subprocess.run([sys.executable, "-m", module, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", sorted(packages()))
def test_the_wheel_holds_every_source_file_byte_for_byte(tree: Path, installed: Path, package: str) -> None:
    place = packages()[package].relative_to(REPOSITORY)
    in_tree, in_wheel = contents(tree / place), contents(installed / package)
    assert in_tree
    assert in_wheel.keys() == in_tree.keys()
    assert in_wheel == in_tree


@pytest.mark.parametrize("package", sorted(packages()))
def test_every_package_says_that_it_is_typed(package: str) -> None:
    assert (packages()[package] / "py.typed").is_file()


def test_the_wheel_brings_no_other_package(installed: Path) -> None:
    brought = {path.name for path in installed.iterdir() if path.suffix != ".dist-info"}
    assert brought - {"bin"} == {*packages()}


def test_what_is_installed_works(installed: Path, python: Command) -> None:
    done = python("-c", "import pegboard; print(pegboard.__file__)", path=[installed])
    assert Path(done.stdout.strip()) == installed / "pegboard" / "__init__.py", done.stderr
    script = "from pegboard.cli import main; raise SystemExit(main(['plugins', 'MODELS', 'LeNet']))"
    listed = python("-c", script, path=[installed])
    assert listed.returncode == 0, listed.stderr
    assert "LeNet" in listed.stdout


def test_the_version_is_said_once(installed: Path, python: Command) -> None:
    """``pegboard.__version__`` and the distribution's agree."""
    [info] = installed.glob("pegboard-*.dist-info")
    done = python("-c", "import pegboard; print(pegboard.__version__)", path=[installed])
    assert info.name == f"pegboard-{done.stdout.strip()}.dist-info"
