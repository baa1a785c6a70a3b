"""``pegboard reproduce RUN``."""

import argparse
import json
import sys
from pathlib import Path

from pegboard.console import say, show_log, table
from pegboard.errors import PegboardError
from pegboard.recorded import Recorded, read_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="RUN", help="a run folder; its plugins are run, its config.py is only read")
    parser.add_argument("--work-dir", metavar="DIR", help="where the repeated run is written; beside RUN unless given")
    parser.add_argument("--started-in", metavar="DIR", help="where relative paths count from, if the data has moved")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:N or mps; the config's unless given")
    parser.add_argument(
        "--tolerance", type=float, default=0.0, metavar="X", help="largest relative difference that counts as none; 0"
    )
    parser.add_argument("--anyway", action="store_true", help="go on where plugins, weights or data have changed")
    parser.add_argument("--json", action="store_true", help="print one object instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Train again; 0 if every figure is the same, 1 if one differs, 2 if it cannot be repeated."""
    if not 0 <= arguments.tolerance < 1:
        raise PegboardError(f"--tolerance must be at least 0 and below 1, got {arguments.tolerance:g}")
    show_log()
    original = read_run(Path(arguments.path))
    folder = _new(Path(arguments.work_dir) if arguments.work_dir else None, original)
    from pegboard.runner.repeat import Comparison, prepare, repeat, working_in

    started_in = Path(arguments.started_in or original.environment.get("working_directory") or ".").absolute()
    with working_in(started_in):
        options = [f"device={arguments.device!r}"] if arguments.device else []
        config = prepare(original, started_in, options, arguments.anyway)
        comparison = Comparison(original, arguments.tolerance, arguments.anyway)
        summary = repeat(original, config, folder, comparison)
    if arguments.json:
        found = {"run": str(folder), "same": not comparison.differs, "first_difference": comparison.differs}
        print(json.dumps({**found, "records_compared": comparison.compared}, indent=2))
    else:
        _show(original, summary["final"])
        verdict = f"first differ {comparison.differs}" if comparison.differs else "are the same"
        say(f"{comparison.compared} records compared: the runs {verdict}")
    return 1 if comparison.differs else 0


def _new(wanted: Path | None, original: Recorded) -> Path:
    """Where the repeated run goes: a folder that holds none yet."""
    if wanted is not None:
        if wanted.exists() and (not wanted.is_dir() or any(wanted.iterdir())):
            raise PegboardError(f"--work-dir {wanted} is in use; name a folder that is new or empty")
        return wanted.absolute()
    for number in range(1, 1000):
        name = f"{original.folder.name}_again" + (f"_{number}" if number > 1 else "")
        if not (folder := original.folder.with_name(name)).exists():
            return folder
    raise PegboardError(f"{folder} and 998 others are there already; name a --work-dir")


def _show(original: Recorded, final: dict[str, float]) -> None:
    before = original.summary.get("final") or {}
    rows = [[name, f"{before[name]:.6g}", f"{value:.6g}"] for name, value in final.items() if name in before]
    if rows:
        table(("last", "original", "repeated"), rows, file=sys.stdout)
