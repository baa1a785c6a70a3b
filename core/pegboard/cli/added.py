"""Commands that plugins add, and whose a name is where several have it: as with parts, ``plugin:name`` tells apart."""

import argparse
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pegboard.errors import PegboardError

Command = tuple[str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], int]]

OWN = "pegboard"  # the distribution of the built-in plugins
EXPECTED = "expected name -> (help, add_arguments, run)"


@dataclass(frozen=True)
class Added:
    """One command of one plugin.

    Args:
        package: the top-level package of the plugin, which tells it apart as its name does.
        own: it comes with pegboard.
    """

    name: str
    plugin: str
    package: str
    own: bool
    command: Command

    @property
    def full_name(self) -> str:
        return f"{self.plugin}:{self.name}"


def added_commands() -> tuple[list[Added], dict[str, str]]:
    """Every command of every plugin; and why a plugin cannot add its own, by its name."""
    from pegboard.plugins import ask_each, installed_plugins

    known = {plugin.name: plugin for plugin in installed_plugins()}
    added, complaints = [], {}
    for plugin, commands in ask_each("pegboard_commands"):
        if isinstance(commands, BaseException):
            complaints[plugin] = f"{type(commands).__name__}: {commands}"
        elif not isinstance(commands, Mapping) or not all(map(_is_command, commands, commands.values())):
            complaints[plugin] = f"{EXPECTED}, got {commands!r}"
        else:
            own = plugin in known and known[plugin].distribution == OWN
            package = known[plugin].module.partition(":")[0].split(".")[0] if plugin in known else plugin
            added += [Added(name, plugin, package, own, command) for name, command in commands.items()]
    return added, complaints


def _is_command(name: object, command: Any) -> bool:
    named = isinstance(name, str) and re.fullmatch(r"[^\s:-][^\s:]*", name) is not None
    whole = isinstance(command, tuple) and len(command) == 3 and callable(command[1]) and callable(command[2])
    return named and whole and isinstance(command[0], str) and bool(command[0])


def owners(name: str, added: Sequence[Added], reserved: Collection[str]) -> list[str]:
    """The plugins that have a command of that name; ``pegboard`` first where it is among ``reserved``."""
    return ["pegboard"] * (name in reserved) + [one.plugin for one in added if one.name == name]


def clashes(added: Sequence[Added], reserved: Collection[str]) -> dict[str, str]:
    """Command -> who has it and how to tell them apart, where several do.

    Args:
        reserved: the names of the built-in commands, which no plugin takes away.
    """
    found = {}
    for name in sorted({one.name for one in added}):
        claims = [one for one in added if one.name == name]
        own = name in reserved or any(one.own for one in claims)
        if own and not all(one.own for one in claims):
            others = " or ".join(f"`pegboard {one.full_name}`" for one in claims if not one.own)
            found[name] = f"command {name!r} is pegboard's own; that of a plugin is {others}"
        elif len(claims) > 1:
            who = " and ".join(f"{one.plugin!r} ({one.package})" for one in claims)
            ways = " or ".join(f"`pegboard {one.full_name}`" for one in claims)
            found[name] = f"command {name!r} is claimed by {who}; write {ways}"
    return found


def find(name: str, added: Sequence[Added]) -> Added | None:
    """The command of that name, or of ``plugin:name``; None if nobody has it.

    Raises:
        PegboardError: several plugins have it, and none of them is pegboard's own.
    """
    prefix, colon, bare = name.rpartition(":")
    claims = [one for one in added if one.name == bare and (not colon or prefix in (one.plugin, one.package))]
    claims = [one for one in claims if one.own] or claims
    if len(claims) > 1:
        raise PegboardError(clashes(added, {})[bare])
    return claims[0] if claims else None


def listed(added: Sequence[Added], reserved: Collection[str]) -> dict[str, Command]:
    """Every command by what one types for it: its bare name, or ``plugin:name`` where that is another's too."""
    ambiguous = clashes(added, reserved)
    return {one.name if one.own or one.name not in ambiguous else one.full_name: one.command for one in added}
