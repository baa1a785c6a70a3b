"""``pegboard verify SOURCE``."""

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pegboard.console import say, table
from pegboard.errors import PegboardError

if TYPE_CHECKING:
    from pegboard_data.verification import Report

HELP = "decode every image: what cannot be read, what is odd, what is in two parts"
SHOWN = 20  # lines of a kind


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a folder with train/ and test/, or of class folders, or of index files; or an index file",
    )
    parser.add_argument("--against", metavar="OTHER", help="data that must share no image with SOURCE, named likewise")
    parser.add_argument("--root", metavar="DIR", help="where an index file's relative paths are looked up first")


def run(arguments: argparse.Namespace) -> int:
    """Print what was found; 1 if anything is wrong, notes aside."""
    from pegboard_data.sources import read_source
    from pegboard_data.verification import verify

    parts = read_source(arguments.source, arguments.root)
    if arguments.against is not None:
        others = read_source(arguments.against, arguments.root)
        same = {part.place.resolve() for part in parts} & {part.place.resolve() for part in others}
        if same:
            raise PegboardError(f"--against {arguments.against} holds {min(same)}, which is part of SOURCE itself")
        parts += others
    report = verify(parts)
    _histograms(report)
    _listed("note", report.notes)
    _listed("WRONG", report.wrong)
    count = sum(map(len, report.wrong.values()))
    total = sum(len(part.listed) for part in parts)
    say(f"{total:,} images: {f'{count:,} wrong' if count else 'nothing wrong'}")
    return 1 if count else 0


def _histograms(report: "Report") -> None:
    names = sorted({name for classes in report.classes.values() for name in classes})
    rows = [(name, *(f"{classes[name]:,}" for classes in report.classes.values())) for name in names]
    table(("class", *report.classes), rows, file=sys.stdout)
    say()
    sizes = [(f"{width} x {height}", f"{count:,}") for (width, height), count in report.sizes.most_common(SHOWN)]
    table(("width x height", "images"), sizes, file=sys.stdout)
    if len(report.sizes) > SHOWN:
        say(f"and {len(report.sizes) - SHOWN:,} sizes more")
    say()


def _listed(heading: str, findings: Mapping[str, list[str]]) -> None:
    for kind, lines in findings.items():
        say(f"{heading}: {kind}: {len(lines):,}")
        for line in lines[:SHOWN]:
            say(f"  {line}")
        if len(lines) > SHOWN:
            say(f"  and {len(lines) - SHOWN:,} more")
