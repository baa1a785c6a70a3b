"""The command ``pegboard CMD``; ``tools/CMD.py`` calls the same functions. Each command is a module of its own."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from pegboard import distributed
from pegboard.cli.added import Command, added_commands, find, listed
from pegboard.cli.tuning import tune_process
from pegboard.console import say, say_error
from pegboard.distributed import PeerLost
from pegboard.errors import PegboardError, did_you_mean

# Command -> one line of help; the module of that name has add_arguments(parser) and run(arguments) -> exit status.
COMMANDS = {
    "train": "train what a config describes",
    "test": "evaluate a run, a checkpoint or a weights file",
    "check": "find everything wrong with a config, without running it",
    "predict": "classify images with a run or a checkpoint",
    "draw": "draw what a hook draws, of a run that is over",
    "export": "write a run's model for others, with its preprocessing and classes described",
    "model": "list a model's layers: shapes, parameters, FLOPs, and how each is trained",
    "print": "print a config as it is after bases and overrides",
    "lr": "show the learning rates that a run would have",
    "compare": "show how two runs differ: config, data, environment, results",
    "reproduce": "repeat a run from its folder, and say where its figures first differ",
    "plugins": "list plugins, and the parts that they register; --doctor says whether they are sound",
    "new-plugin": "write a plugin package, with tests, that works and waits for your own parts",
    "docs": "print the page of a part, a key, a command, a hook point or a class",
}


def main(argv: Sequence[str] | None = None) -> int:
    """``pegboard CMD ARGUMENT...``: the exit status, 2 for a user's mistake."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in COMMANDS:
        return run(arguments[0], arguments[1:])
    return _others(arguments)


def run(name: str, argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """One built-in command; ``prog`` is how its usage calls it."""
    module = import_module(f"pegboard.cli.{name.replace('-', '_')}_command")
    command = (COMMANDS[name], module.add_arguments, module.run)
    return _execute(command, list(sys.argv[1:] if argv is None else argv), prog or f"pegboard {name}")


def _execute(command: Command, argv: list[str], prog: str) -> int:
    help_line, add_arguments, function = command
    parser = argparse.ArgumentParser(prog=prog, description=help_line[0].upper() + help_line[1:] + ".")
    add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of a mistake too")
    arguments = parser.parse_args(argv)
    tune_process()  # for the commands of plugins too: cross-validate trains
    try:
        return function(arguments)
    except BrokenPipeError:  # the reader, e.g. `head`, has seen enough
        sys.stderr.close()
        return 0
    except PeerLost as error:
        if arguments.debug:
            raise
        if not distributed.launch():  # torchrun says itself which rank ended first, and how
            say(error, file=sys.stderr)
        return 1
    except PegboardError as error:
        distributed.let_first_speak()
        if arguments.debug:
            raise
        say_error(error)
        return 2
    except OSError as error:  # a folder that may not be written, a disk that is full
        if arguments.debug or error.strerror is None:
            raise
        where = f"{error.filename}: " if error.filename is not None else ""
        say(f"{where}{error.strerror}; --debug shows more", file=sys.stderr)
        return 2
    except Exception as error:
        distributed.tell_launcher(error)
        distributed.let_first_speak()
        raise


def own_commands() -> dict[str, Command]:
    """Every command that comes with pegboard, those of its own plugins included."""
    modules = {name: import_module(f"pegboard.cli.{name.replace('-', '_')}_command") for name in COMMANDS}
    built_in: dict[str, Command] = {n: (COMMANDS[n], m.add_arguments, m.run) for n, m in modules.items()}
    return built_in | {one.name: one.command for one in added_commands()[0] if one.own}


def _others(arguments: list[str]) -> int:
    """Commands that plugins add; and help, which lists them."""
    added, complaints = added_commands()
    for plugin, complaint in complaints.items():  # it harms no other
        say(f"plugin {plugin!r} cannot add its commands: {complaint}", file=sys.stderr)
    lines = {**COMMANDS, **{name: command[0] for name, command in listed(added, COMMANDS).items()}}
    if not arguments or arguments[0] in ("-h", "--help"):
        _help(lines)
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from pegboard import __version__

        print(f"pegboard {__version__}")
        return 0
    try:
        found = find(arguments[0], added)
    except PegboardError as error:
        say_error(error)
        return 2
    if found:
        return _execute(found.command, arguments[1:], f"pegboard {arguments[0]}")
    nearest = did_you_mean(arguments[0], lines, otherwise=f"; there are {', '.join(lines)}")
    say(f"pegboard: there is no command {arguments[0]!r}{nearest}", file=sys.stderr)
    return 2


def _help(lines: Mapping[str, str]) -> None:
    print("usage: pegboard COMMAND ...\n\ncommands:")
    width = max(map(len, lines))
    for name, line in lines.items():
        print(f"  {name:<{width}} {line}")
    print("\n`pegboard COMMAND --help` says more.")
