"""``pegboard index SOURCE --out DIR``."""

import argparse
import sys
from itertools import chain
from pathlib import Path

from pegboard.console import say, table
from pegboard.errors import DataError

HELP = "list the images of existing train/ and test/ folders in index files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", metavar="SOURCE", help="a folder with train/ and test/ (and valid/ or val/), each of class folders"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder that gets the index files and classes.txt")


def run(arguments: argparse.Namespace) -> int:
    """Write an index file for each part; classes are numbered by their sorted names, alike in all."""
    from pegboard_data.commands.writing import check_can_write, write_parts
    from pegboard_data.folders import part_folders
    from pegboard_data.sources import read_source

    source, out = Path(arguments.source).expanduser(), Path(arguments.out).expanduser()
    if source.is_dir() and not part_folders(source):
        raise DataError(
            f"{source}: no train/ or test/ with class folders in it; did you mean `pegboard split`, which makes parts?"
        )
    if source.is_file():
        raise DataError(f"{source} is a file; expected a folder with train/ and test/, each of class folders")
    parts = read_source(str(source))
    classes = parts[0].classes
    paths = {part.name: [part.locate(listed) for listed in part.listed] for part in parts}
    check_can_write(out, ["train.txt", "valid.txt", "test.txt"], classes, chain(*paths.values()))
    samples = {part.name: zip(paths[part.name], part.targets.tolist(), strict=True) for part in parts}
    write_parts(out, samples, classes)
    for part in parts:
        if missing := part.missing_classes():
            say(f"note: {part.place} has no image of class {', '.join(map(repr, missing))}", file=sys.stderr)
    rows = [(f"{part.name}.txt", f"{len(part.listed):,}") for part in parts]
    table(("", "images"), rows, file=sys.stdout)
    say(f"{len(classes)} classes, all in {out}")
    return 0
