"""``pegboard plugins [BOARD [PATTERN]]``, ``pegboard plugins --doctor [NAME]``."""

import argparse
import sys
from collections.abc import Iterator

from pegboard.cli import COMMANDS
from pegboard.cli.added import added_commands, clashes
from pegboard.console import say, table
from pegboard.errors import PegboardError, did_you_mean
from pegboard.plugins import installed_plugins
from pegboard.registry import BOARDS, Registry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "board", nargs="?", metavar="BOARD", help=f"one of {', '.join(name.upper() for name in BOARDS)}"
    )
    parser.add_argument(
        "pattern", nargs="?", default="*", metavar="PATTERN", help="names to list, e.g. 'Ada*' or 'torch:*'"
    )
    parser.add_argument(
        "--doctor",
        nargs="?",
        const="",
        metavar="NAME",
        help="say whether a plugin, or every one, is sound, and what to do; the status is 1 if not",
    )


def run(arguments: argparse.Namespace) -> int:
    """Every plugin, or every part of one board that matches; torch is not imported but by the doctor."""
    if arguments.doctor is not None:
        from pegboard.cli import doctor

        return doctor.report(arguments.doctor or arguments.board or "")
    if arguments.board:
        return _parts(_board(arguments.board), arguments.pattern)
    plugins = installed_plugins()
    added, complaints = added_commands()
    rows = []
    for plugin in plugins:
        what = [
            f"{count} {board.name}"
            for board in BOARDS.values()
            if (count := sum(entry.plugin == plugin.name for entries in board.entries.values() for entry in entries))
        ]
        if count := sum(one.plugin == plugin.name for one in added):
            what.append(f"{count} commands")
        rows.append(
            [
                plugin.name,
                f"{plugin.distribution} {plugin.version}",
                (plugin.error and "BROKEN") or ", ".join(what) or "-",
            ]
        )
    table(("plugin", "distribution", "registers"), rows, file=sys.stdout, left=True)
    bridges = [(board, bridge) for board in BOARDS.values() for bridge in board.bridges if bridge.targets]
    say()
    reached = [[bridge.name, bridge.library, f"{len(bridge.targets)} {board.name}"] for board, bridge in bridges]
    table(("bridge", "library", "reaches"), reached, file=sys.stdout, left=True)
    for board in BOARDS.values():
        for bridge in board.bridges:
            if bridge.error:
                say()
                say(f"bridge {bridge.name} to {bridge.library} adds no {board.name}: {bridge.error}")
    for clash in [*_clashes(), *clashes(added, COMMANDS).values()]:
        say()
        say(clash)
    for name, complaint in complaints.items():
        say()
        say(f"plugin {name!r} cannot add its commands: {complaint}")
    for plugin in plugins:
        if plugin.error:
            say()
            say(f"{plugin.name} ({plugin.distribution} {plugin.version}) is broken:")
            for line in plugin.traceback.rstrip().splitlines():
                say(line)
    return 0


def _clashes() -> Iterator[str]:
    """Parts that several plugins have, with what a config writes to tell them apart."""
    for board in BOARDS.values():
        for name, entries in board.entries.items():
            if len(entries) > 1:
                who = " and ".join(f"{entry.plugin!r} ({entry.address})" for entry in entries)
                ways = " or ".join(f"'{entry.plugin}:{name}'" for entry in entries)
                yield f"{name!r} in {board.name} is claimed by {who}; write {ways}"


def _board(name: str) -> Registry:
    board = BOARDS.get(name.lower())
    if board is None:
        boards = [known.upper() for known in BOARDS]
        raise PegboardError(
            f"there is no board {name!r}" + did_you_mean(name, boards, otherwise=f"; there are {', '.join(boards)}")
        )
    return board


def _parts(board: Registry, pattern: str) -> int:
    entries = board.list(pattern)
    if not entries:
        raise PegboardError(
            f"no name in {board.name.upper()} matches {pattern!r}"
            + did_you_mean(pattern, [e.name for e in board.list()])
        )
    first, *rest = [[entry.name, entry.plugin, entry.describe()[:100]] for entry in entries]
    table(first, rest, file=sys.stdout, left=True)
    return 0
