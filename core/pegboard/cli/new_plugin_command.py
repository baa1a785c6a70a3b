"""``pegboard new-plugin NAME [--with KIND ...]``."""

import argparse
import importlib.util
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from keyword import iskeyword
from pathlib import Path
from string import Template

from pegboard.errors import PegboardError, did_you_mean
from pegboard.hookspecs import INTERFACE

TEMPLATES = Path(__file__).parent.parent / "templates" / "plugin"


@dataclass(frozen=True)
class Kind:
    """One kind of part that a plugin can have.

    Args:
        board: where it hangs.
        suffix: what its class is called after the plugin's own prefix.
        what: for the README.
        supplied: arguments that the run fills in.
    """

    board: str
    suffix: str
    what: str
    supplied: str = ""


KINDS = {
    "dataset": Kind("datasets", "Stripes", "a dataset of striped images, drawn by code"),
    "transform": Kind("transforms", "Dim", "a transform: random darkening"),
    "model": Kind("models", "Net", "a model: a small convolutional network", "num_classes"),
    "loss": Kind("losses", "FocalLoss", "a loss: the focal loss"),
    "optimizer": Kind("optimizers", "Lion", "an optimizer: Lion", "params"),
    "scheduler": Kind("schedulers", "WarmUp", "a scheduler: warm-up, then inverse square root", "optimizer"),
    "metric": Kind("metrics", "Recall", "a metric: the mean recall of the classes", "num_classes"),
    "hook": Kind("hooks", "Hardest", "a hook that shows the images which the network gets most wrong"),
    "tracker": Kind("hooks", "Tracker", "a tracker, which tells a service of a run"),
}
COMMAND = "command"
CHOICES = (*KINDS, COMMAND)
DEFAULT = ("model", "transform", "hook")
TAKEN = {"build", "config", "dist", "docs", "runs", "tests", "venv"}  # folders and modules beside the package's own


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the package and its folder, e.g. acme-pegs")
    parser.add_argument(
        "--with",
        dest="kinds",
        nargs="+",
        default=list(DEFAULT),
        metavar="KIND",
        help=f"which parts it begins with: {', '.join(CHOICES)}, or all; {' '.join(DEFAULT)} unless given",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the package into a folder of its name, and say what to do next."""
    kinds = _kinds(arguments.kinds)
    names = Names.of(arguments.name)
    folder = Path(arguments.name)
    files = dict(_files(names, kinds))  # all of them first: an error leaves no half package
    folder.mkdir()
    try:
        for path, text in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except BaseException:  # the disk is full, or the like
        shutil.rmtree(folder, ignore_errors=True)
        raise
    where = f"{folder / names.module}/{kinds[0]}.py" if len(kinds) == 1 else f"modules of {folder / names.module}/"
    print(f"{folder}/ is a plugin with {_and(kinds)}, in {where}. Next:\n")
    print(f"  cd {folder}")
    print('  pip install -e ".[test]"')
    print("  pytest")
    print("  pegboard train config.py")
    print(f"  pegboard plugins --doctor {names.module}")
    return 0


@dataclass(frozen=True)
class Names:
    """What a plugin is called: its distribution, its module, its command, and the prefix of its classes."""

    distribution: str
    module: str

    @classmethod
    def of(cls, name: str) -> "Names":
        """The names that follow from the one given.

        Raises:
            PegboardError: it cannot name a package, or something is called so already.
        """
        module = name.replace("-", "_")
        if not module.isidentifier() or iskeyword(module) or not module.isascii() or module.strip("_") != module:
            raise PegboardError(
                f"{name!r} cannot name a package; expected letters, digits and dashes, a letter first, e.g. 'acme-pegs'"
            )
        if Path(name).exists():
            raise PegboardError(f"there is something called {name!r} here already; choose another name, or folder")
        if module in TAKEN:
            raise PegboardError(f"{name!r} stands for something else in the folder of a package; choose another name")
        if module in sys.stdlib_module_names:
            raise PegboardError(f"{module!r} is a module of Python itself; choose another name")
        owner = _installed(module)
        if owner:
            raise PegboardError(f"{module!r} is installed already ({owner}); choose another name")
        return cls(module.lower().replace("_", "-"), module)

    @property
    def prefix(self) -> str:
        """``AcmePegs`` of ``acme_pegs``."""
        return "".join(word[:1].upper() + word[1:] for word in self.module.split("_"))

    def of_class(self, kind: str) -> str:
        return self.prefix + KINDS[kind].suffix

    @property
    def command(self) -> str:
        return f"{self.distribution}-classes"


def _installed(module: str) -> str:
    """Where a module or distribution of that name comes from; empty if there is none."""
    try:
        known = distribution(module)
        return f"{known.name} {known.version}"
    except PackageNotFoundError:
        spec = importlib.util.find_spec(module)
        return "" if spec is None else str(spec.origin or "a folder on the path of Python")


def _kinds(wanted: Sequence[str]) -> list[str]:
    for kind in wanted:
        if kind not in (*CHOICES, "all"):
            nearest = did_you_mean(kind, CHOICES, otherwise=f"; there are {', '.join(CHOICES)}")
            raise PegboardError(f"--with: there is no kind of part {kind!r}{nearest}")
    return [kind for kind in CHOICES if kind in wanted or "all" in wanted]


# -- what is written -------------------------------------------------------------------------------------------------


def _files(names: Names, kinds: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each file of the package: its path, and its text."""
    words = {
        "distribution": names.distribution,
        "module": names.module,
        "prefix": names.prefix,
        "command": names.command,
        "interface": str(INTERFACE),
        "parts": _and(kinds),
        "table": _table(names, kinds),
        "imports": _imports(names, kinds),
        "hooks": "\n\n\n".join(_hooks(names, kinds)),
        **_config(names, kinds),
    }
    module = names.module
    files = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        ".gitignore": "gitignore",
        ".github/workflows/test.yml": "test.yml",
        "config.py": "config.py",
        f"{module}/__init__.py": "init.py",
        **{f"{module}/{kind}.py": f"parts/{kind}.py" for kind in kinds},
        "tests/test_contract.py": "tests/test_contract.py",
        "tests/test_config.py": "tests/test_config.py",
        **{f"tests/test_{kind}.py": f"parts/test_{kind}.py" for kind in kinds},
    }
    for path, template in files.items():
        text = (TEMPLATES / f"{template}.template").read_text(encoding="utf-8")
        yield path, Template(text).substitute(words)


def _imports(names: Names, kinds: Sequence[str]) -> str:
    of_pegboard = "from pegboard import Boards, hookimpl" if {*kinds} & {*KINDS} else "from pegboard import hookimpl"
    standard = (["from pathlib import Path"] if "tracker" in kinds else []) + (
        ["from typing import Any"] if {*kinds} & {"tracker", COMMAND} else []
    )
    own = [f"from {names.module} import command"] if COMMAND in kinds else []
    return "\n\n".join("\n".join(group) for group in (standard, [of_pegboard], own) if group)


def _hooks(names: Names, kinds: Sequence[str]) -> Iterator[str]:
    """The functions that pegboard calls."""
    lines = []
    for kind in kinds:
        if kind in KINDS:
            supplied = f', supplied=("{KINDS[kind].supplied}",)' if KINDS[kind].supplied else ""
            name = names.of_class(kind)
            lines.append(f'    boards.{KINDS[kind].board}.add_lazy("{name}", "{names.module}.{kind}:{name}"{supplied})')
    if lines:
        yield "\n".join(["@hookimpl", "def pegboard_register(boards: Boards) -> None:", *lines])
    if "tracker" in kinds:
        example = f'{{"hooks": {{"{names.of_class("tracker")}": {{"place": str(folder / "records")}}}}}}'
        says = '"""The tests of its promises leave nothing in the working directory."""'
        yield f"@hookimpl\ndef pegboard_examples(folder: Path) -> Any:\n    {says}\n    return {example}"
    if COMMAND in kinds:
        entry = f'{{"{names.command}": (command.HELP, command.add_arguments, command.run)}}'
        yield f"@hookimpl\ndef pegboard_commands() -> dict[str, Any]:\n    return {entry}"


def _config(names: Names, kinds: Sequence[str]) -> dict[str, str]:
    """The values of the config: the plugin's own part where it has one, else one of pegboard's."""
    own = {kind: f'dict(type="{names.of_class(kind)}")' for kind in KINDS if kind in kinds}
    data = names.of_class("dataset") if "dataset" in kinds else ""
    optional = [
        f"optimizer = {own['optimizer'][:-1]}, lr=3e-3)"
        if "optimizer" in own
        else 'optimizer = dict(type="AdamW", lr=3e-3)'
    ]
    if "scheduler" in own:
        optional.append(f'scheduler = {own["scheduler"][:-1]}, unit="iter")')
    metric = own.get("metric", 'dict(type="Accuracy")')
    optional.append(f"metrics = dict({'recall' if 'metric' in own else 'top1'}={metric})")
    hooks = [f"{name}={own[kind]}" for kind, name in (("hook", "hardest"), ("tracker", "tracker")) if kind in own]
    optional += [f"hooks = dict({', '.join(hooks)})"] if hooks else []
    return {
        "train_data": f'dict(type="{data}", count=300)' if data else 'dict(type="DrawnShapes", count=2000)',
        "val_data": f'dict(type="{data}", count=90, seed=1)'
        if data
        else 'dict(type="DrawnShapes", count=200, split="val")',
        "augmented": f"[{own['transform']}, *_plain]" if "transform" in own else "_plain",
        "model": own.get("model", 'dict(type="LeNet")'),
        "loss": own.get("loss", 'dict(type="CrossEntropyLoss")'),
        "optional": "\n".join(optional),
    }


def _table(names: Names, kinds: Sequence[str]) -> str:
    rows = ["| In a config | What it is |", "|---|---|"]
    rows += [f'| `type="{names.of_class(kind)}"` | {KINDS[kind].what} |' for kind in kinds if kind in KINDS]
    if COMMAND in kinds:
        rows.append(f"| `pegboard {names.command} CONFIG` | a command: how many images each class has |")
    return "\n".join(rows)


def _and(kinds: Sequence[str]) -> str:
    """``a model, a loss and a hook``."""
    said = [f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" for kind in kinds]
    return " and ".join([", ".join(said[:-1]), said[-1]] if said[1:] else said)
