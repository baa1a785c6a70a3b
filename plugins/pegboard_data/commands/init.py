"""``pegboard init [FOLDER]``."""

import argparse
import os
import re
import shlex
import sys
from itertools import chain
from pathlib import Path

from pegboard.console import say, table
from pegboard.errors import DataError

SHOWN = 5  # images that cannot be read, named one by one
HELP = "begin a project with your own images: split, statistics and a config that trains"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        nargs="?",
        default=".",
        metavar="FOLDER",
        help="your images: a folder of class folders, or one with train/ and test/ of them; the working directory "
        "unless given",
    )
    parser.add_argument(
        "--out", metavar="DIR", help="the project's folder; <name of FOLDER>-project in the working directory, or "
        "beside FOLDER where the working directory is in it, unless given"
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="what is drawn depends on it; 0 unless given")
    parser.add_argument(
        "--stratify",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep the share of every class in every part",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the project; nothing is written before all of it is known to be sound."""
    from pegboard_data.commands.writing import check_can_write, write_parts
    from pegboard_data.project import plan
    from pegboard_data.splits import check_seed

    check_seed(arguments.seed)
    source = Path(arguments.folder).expanduser()
    if source.is_file():
        raise DataError(f"{source} is a file; expected a folder of class folders")
    out = Path(arguments.out).expanduser() if arguments.out is not None else _beside(source)
    if source.is_dir() and _real(out).is_relative_to(_real(source)):
        raise DataError(f"--out {out} lies among the images, and would be taken for a class; expected another folder")
    if (out / "config.py").exists():
        raise DataError(f"{out} holds a config.py already; expected another folder, by --out")
    project = plan(arguments.folder, _name(source), arguments.seed, arguments.stratify)
    index = out / "index"
    files = [f"{part}.txt" for part in project.parts]
    check_can_write(index, files, project.classes, (path for path, _ in chain(*project.parts.values())))
    write_parts(index, project.parts, project.classes)
    (out / "config.py").write_text(project.config(), encoding="utf-8")

    for problem in project.left_out[:SHOWN]:
        say(f"left out: {problem}")
    if len(project.left_out) > SHOWN:
        say(f"and {len(project.left_out) - SHOWN:,} more; `pegboard verify {shlex.quote(arguments.folder)}` lists them")
    print("\n" * bool(project.left_out) + f"{out / 'index'}: {project.note}\n")
    table(("", "images"), [(f"{name}.txt", f"{len(listed):,}") for name, listed in project.parts.items()], sys.stdout)
    print(
        f"\n{out / 'config.py'}: a small ResNet, {len(project.classes)} classes, {project.side} x {project.side} pixels"
    )
    print("\nNext:\n")
    config = out / "config.py"
    if Path.cwd().is_relative_to(_real(source)):  # or the runs would lie among the images
        print(f"  cd {shlex.quote(str(out))}")
        config = Path("config.py")
    quoted = shlex.quote(str(config))
    print(f"  pegboard train {quoted} --try  # two iterations of everything: does it all run?")
    print(f"  pegboard train {quoted}")
    print(f"  pegboard test runs/{project.name}  # once, at the end: how good is it on images it has never seen?")
    return 0


def _real(path: Path) -> Path:
    """Where a path leads; ``Path.resolve`` ends with an error where links lead in a circle."""
    return Path(os.path.realpath(path))


def _beside(source: Path) -> Path:
    """Where the project goes: here, but never among the images."""
    place, here = _real(source), Path.cwd()
    name = f"{_name(source)}-project"
    return place.parent / name if here.is_relative_to(place) else Path(name)


def _name(source: Path) -> str:
    """The folder's name, of letters that need no quotes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", _real(source).name).strip("-.") or "images"
