"""``pegboard compare RUN RUN``."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pegboard.console import say, shortened, table
from pegboard.differences import ABSENT, Difference, differences, first_difference, place
from pegboard.recorded import Recorded, read_run

# Of environment.json: what belongs to the data; and what says only when and where a run was made.
DATA = ("data", "data_fingerprint", "data_contents")
IDLE = ("command", "working_directory", "config_file", "process", "launches")
RESULTS = ("exit", "stop_reason", "epochs", "iterations", "final", "best", "images_per_second", "wall_seconds")
WIDEST = 48  # characters of a value in the table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("one", metavar="RUN", help="a run folder")
    parser.add_argument("other", metavar="RUN", help="another one")
    parser.add_argument("--json", action="store_true", help="print one object instead of tables")


def run(arguments: argparse.Namespace) -> int:
    """Print what differs in config, data, environment and results; nothing of the runs is run."""
    one, other = read_run(Path(arguments.one)), read_run(Path(arguments.other))
    found = compare(one, other)
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    names = _names(one.folder, other.folder)
    for section in ("config", "data", "environment"):
        _section(section, found[section], names)
    results = found["results"]
    rows = [[name, _figure(mine), _figure(theirs), _gap(mine, theirs)] for name, mine, theirs in results["figures"]]
    say("results")
    table(("", *names, "difference"), rows, file=sys.stdout)
    say("metrics.jsonl: " + (results["first_difference"] or f"the same {len(one.records)} records"))
    return 0


def compare(one: Recorded, other: Recorded) -> dict[str, Any]:
    """``config``, ``data`` and ``environment``: lists of [path, one, other]; ``results``: the figures of both."""
    mine, theirs = one.environment, other.environment
    return {
        "runs": [str(one.folder), str(other.folder)],
        "config": list(differences(one.config, other.config)),
        "data": list(differences(_picked(mine, DATA), _picked(theirs, DATA))),
        "environment": list(differences(_without(mine, (*DATA, *IDLE)), _without(theirs, (*DATA, *IDLE)))),
        "results": {
            "figures": figures(one.summary, other.summary),
            "first_difference": parting(one.records, other.records),
        },
    }


def figures(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Each figure of two summaries, the same ones too: name, of one, of the other; None where it has none."""
    mine, theirs = _flat(_picked(one, RESULTS)), _flat(_picked(other, RESULTS))
    return [(name, mine.get(name), theirs.get(name)) for name in [*mine, *(n for n in theirs if n not in mine)]]


def parting(one: Iterable[Mapping[str, Any]], other: Iterable[Mapping[str, Any]], tolerance: float = 0.0) -> str:
    """In words, where two lists of records first differ; empty where they do not."""
    for mine, theirs in zip_longest(one, other):
        if mine is None or theirs is None:
            which = "first" if mine is None else "second"
            return f"the {which} run ends before {place(mine or theirs)}"
        if what := first_difference(mine, theirs, tolerance):
            return f"first differ at {place(mine)}: {what}"
    return ""


def _picked(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _without(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {path: value}
    return {name: leaf for key in value for name, leaf in _flat(value[key], f"{path} {key}".strip()).items()}


def _names(one: Path, other: Path) -> tuple[str, str]:
    """What the runs are called in a table: by as many of their last folders as tell them apart."""
    for count in range(1, min(len(one.parts), len(other.parts)) + 1):
        names = "/".join(one.parts[-count:]), "/".join(other.parts[-count:])
        if names[0] != names[1]:
            return names
    return str(one), str(other)


def _section(title: str, found: list[Difference], names: tuple[str, str]) -> None:
    if not found:
        say(f"{title}: no difference")
        say()
        return
    say(title)
    table(("", *names), [[shortened(cell, WIDEST) for cell in row] for row in found], file=sys.stdout, left=True)
    say()


def _figure(value: Any) -> str:
    if value is None:
        return ABSENT
    return f"{value:,.6g}" if isinstance(value, float) else shortened(str(value), WIDEST)


def _gap(one: Any, other: Any) -> str:
    numbers = all(isinstance(value, int | float) for value in (one, other))
    return f"{other - one:+,.4g}" if numbers and one != other else ""
