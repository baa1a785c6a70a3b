"""A command that a plugin adds can be asked what it takes."""

import argparse
from typing import Any

from pegboard.testing.contract import ContractError, expect


def takes_arguments(named: tuple[str, Any]) -> None:
    """Its arguments are added to a parser, whose help can be printed."""
    name, command = named
    sound = isinstance(command, tuple) and len(command) == 3 and callable(command[1]) and callable(command[2])
    expect(sound, f"command {name!r} is no (line of help, add_arguments, run), but {command!r}")
    parser = argparse.ArgumentParser(prog=f"pegboard {name}")
    try:
        command[1](parser)
        parser.format_help()
    except Exception as error:
        raise ContractError(f"the arguments of command {name!r} cannot be added: {error}") from error
