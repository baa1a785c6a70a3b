"""`pegboard new-plugin` writes packages that install, pass their own tests and train, as a stranger would find them."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pegboard.cli.new_plugin_command import CHOICES, DEFAULT, KINDS
from tests.conftest import Command

PEGBOARD = ("-c", "from pegboard.cli import main; raise SystemExit(main())")

# A new environment without a network: it sees the libraries that are installed here.
SHARED = 'import site; print("import site; " + "; ".join(f"site.addsitedir({d!r})" for d in site.getsitepackages()))'


class Made:
    """A generated package, installed with ``pip install -e`` into a virtual environment of its own."""

    def __init__(self, folder: Path, python: Command) -> None:
        self.folder = folder
        self.run = python
        environment = folder / "venv"
        self.interpreter = environment / "bin" / "python"
        sound(python("-m", "venv", "--without-pip", environment))
        [site] = environment.glob("lib/python*/site-packages")
        (site / "shared.pth").write_text(sound(python("-c", SHARED)).stdout, encoding="utf-8")
        pip = ("-m", "pip", "--disable-pip-version-check", "--no-input", "--python", self.interpreter)
        sound(python(*pip, "install", "--no-deps", "--no-build-isolation", "-e", folder))

    def __call__(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [str(self.interpreter), *map(str, arguments)]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=300)

    def pegboard(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        return self(*PEGBOARD, *arguments)


def sound(done: "subprocess.CompletedProcess[str]") -> "subprocess.CompletedProcess[str]":
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def make(pegboard_cli: Command, python: Command, tmp_path: Path) -> Callable[..., Made]:
    def write(*kinds: str) -> Made:
        sound(pegboard_cli("new-plugin", "acme-pegs", *(["--with", *kinds] if kinds else [])))
        return Made(tmp_path / "acme-pegs", python)

    return write


def assert_it_works(made: Made) -> dict[str, float]:
    """Its tests pass and its config trains; gives the last figures of the run."""
    tests = sound(made("-m", "pytest", "-q", "-p", "no:cacheprovider"))
    assert " passed" in tests.stdout and "skipped" not in tests.stdout and "warning" not in tests.stdout
    sound(made.pegboard("train", "config.py", "--work-dir", "run"))
    summary = json.loads((made.folder / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["exit"] == "finished" and summary["epochs"] == 5
    final: dict[str, float] = summary["final"]
    return final


def test_a_package_with_every_kind_of_part_installs_and_tries_them_all(make: Callable[..., Made]) -> None:
    """Quick: its own tests, two iterations of its config among them, without the contract's; the next one does all."""
    made = make("all")
    assert_tidy(made.folder)
    config = (made.folder / "config.py").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"AcmePegs{KINDS[kind].suffix}" not in config] == []
    chosen = [f"tests/test_{name}.py" for name in ("config", *KINDS, "command")]
    tests = sound(made("-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen))
    assert re.search(r"^\d+ passed", tests.stdout, re.MULTILINE) and "skipped" not in tests.stdout
    counted = sound(made.pegboard("acme-pegs-classes", "config.py")).stdout.split()
    assert counted == ["100", "across", "100", "down", "100", "chequered"]


@pytest.mark.slow
def test_a_package_with_every_kind_of_part_passes_its_tests_and_trains(make: Callable[..., Made]) -> None:
    made = make("all")
    final = assert_it_works(made)
    assert final["val/recall"] > 0.9  # the parts are right together: chance is a third
    assert list(made.folder.glob("run/figures/*/hardest.png"))


@pytest.mark.slow
def test_the_doctor_has_nothing_against_one(make: Callable[..., Made]) -> None:
    verdict = sound(make("all").pegboard("plugins", "--doctor", "acme_pegs")).stdout
    assert verdict.startswith("acme_pegs (acme-pegs 0.1.0, module acme_pegs): sound\n")
    assert "imports nothing heavy" in verdict and "promises, all kept" in verdict
    assert "to be mended" not in verdict and "could be better" not in verdict


@pytest.mark.slow
@pytest.mark.parametrize("kind", CHOICES)
def test_a_package_with_one_kind_of_part_installs_passes_its_tests_and_trains(
    make: Callable[..., Made], kind: str
) -> None:
    made = make(kind)
    assert_tidy(made.folder)
    assert_it_works(made)
    others = [path.stem for path in (made.folder / "acme_pegs").glob("*.py") if path.stem != "__init__"]
    assert others == [kind]


def assert_tidy(folder: Path) -> None:
    """No placeholder is left, every file ends in one line break, and the linter has nothing to say."""
    files = [path for path in folder.rglob("*") if path.is_file() and not {"venv", ".github"} & {*path.parts}]
    assert [path.name for path in files if "$" in path.read_text(encoding="utf-8")] == []
    assert [path.name for path in files if not re.search(r"[^\n]\n\Z", path.read_text(encoding="utf-8"))] == []
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "--exclude", "venv", str(folder)]
        sound(subprocess.run(ruff, capture_output=True, text=True, cwd=folder))


def test_it_says_what_to_do_next(pegboard_cli: Command, tmp_path: Path) -> None:
    done = sound(pegboard_cli("new-plugin", "acme_pegs"))
    assert done.stdout.splitlines()[0].startswith("acme_pegs/ is a plugin with a transform, a model and a hook,")
    for command in ("pip install -e", "pytest", "pegboard train config.py", "pegboard plugins --doctor acme_pegs"):
        assert command in done.stdout
    parts = {path.stem for path in (tmp_path / "acme_pegs" / "acme_pegs").iterdir()}
    assert parts == {"__init__", *DEFAULT}
    assert_tidy(tmp_path / "acme_pegs")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("3d-pegs", "'3d-pegs' cannot name a package; expected letters, digits and dashes"),
        ("acme pegs", "cannot name a package"),
        ("deep/acme", "cannot name a package"),
        ("../acme", "cannot name a package"),
        ("class", "'class' cannot name a package"),
        ("", "'' cannot name a package"),
        ("größe", "cannot name a package"),
        ("_acme", "cannot name a package"),
        ("there", "there is a there here already"),
        ("json", "'json' is a module of Python itself"),
        ("torch", "'torch' is installed already (torch "),
        ("pegboard-hooks", "'pegboard_hooks' is installed already"),
    ],
)
def test_a_bad_name_gets_one_clear_sentence(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pegboard.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    assert main(["new-plugin", name]) == 2
    said = capsys.readouterr().err
    assert message in said and len(said.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_kind_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    from pegboard.cli import main

    assert main(["new-plugin", "acme-pegs", "--with", "modle"]) == 2
    assert "no kind of part 'modle'; did you mean 'model'?" in capsys.readouterr().err
