"""What can be said of a plugin that was loaded; called in a process of its own, which its parts may end."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from inspect import isfunction
from types import ModuleType
from typing import Any

from pegboard import hookspecs
from pegboard.cli import COMMANDS
from pegboard.cli.added import OWN, added_commands, owners
from pegboard.errors import PegboardError, did_you_mean
from pegboard.hookspecs import INTERFACE
from pegboard.plugins import Plugin, installed_plugins, manager
from pegboard.registry import BOARDS, Entry
from pegboard.testing import Case, ContractError, cases
from pegboard.testing.contract import FIRST

HOOKS = tuple(name for name, known in vars(hookspecs).items() if name.startswith("pegboard_") and isfunction(known))
BESIDE = (*HOOKS, "pegboard_interface")


@dataclass
class Diagnosis:
    """What was found out about one plugin.

    Args:
        findings: (what, finding), in the order in which they are told.
        faults: what makes it unsound, each with what to do.
        hints: what would make it better.
        doing: what is being tried; empty when all is done.
    """

    findings: list[tuple[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    doing: str = ""


class Patient(Diagnosis):
    """A diagnosis on its way, of a plugin that is loaded in this process."""

    def __init__(self, plugin: Plugin) -> None:
        super().__init__()
        self.plugin = plugin


def diagnose(name: str, value: str, tell: Callable[[Diagnosis], None]) -> Diagnosis:
    """Look at all that can be looked at; the contract is tried last, for it takes seconds.

    Args:
        name, value: of its entry point.
        tell: is given what is known so far, before anything of the plugin's is run.
    """
    tell(Diagnosis(doing="loading it beside the other plugins"))
    plugin = next(plugin for plugin in installed_plugins() if (plugin.name, plugin.module) == (name, value))
    found = Patient(plugin)
    if plugin.error:
        found.faults.append(f"it cannot be loaded beside the other plugins:\n{plugin.error}")
        return found
    _interface(found)
    _hooks(found)
    _registered(found)
    _contract(found, tell)
    return found


# -- what is looked at -----------------------------------------------------------------------------------------------


def _interface(found: Patient) -> None:
    """One of another version is not loaded, and stands among the broken ones."""
    stated = found.plugin.interface
    if found.plugin.distribution == OWN:
        finding = f"{INTERFACE}, this pegboard's own"
    elif stated is None:
        finding = f"not stated; this pegboard has {INTERFACE}"
        found.hints.append(f"write pegboard_interface = {INTERFACE} into {_module(found.plugin)}: a pegboard with "
                           "another interface then says what to update, instead of failing somewhere")  # fmt: skip
    else:
        finding = f"{stated}, as this pegboard has"
    found.findings.append(("interface", finding))


def _hooks(found: Patient) -> None:
    """The functions that pegboard calls; one with a typo in its name is never called."""
    module = manager().get_plugin(found.plugin.name)
    names = [name for name in dir(module) if name.startswith("pegboard_") and _own(getattr(module, name))]
    misspelt = [name for name in names if name not in BESIDE]
    for name in misspelt:
        nearest = did_you_mean(name, BESIDE, otherwise=f"; there are {', '.join(HOOKS)}")
        found.faults.append(f"{_module(found.plugin)} has {name!r}, which pegboard never calls{nearest}")
    if not misspelt and not {*names} & {*HOOKS}:
        found.faults.append(
            f"{_module(found.plugin)} has none of {', '.join(HOOKS)}, so that installing it brings nothing; "
            "`pegboard new-plugin` writes one that does"
        )


def _own(value: Any) -> bool:
    """A module is no hook: ``import pegboard_data`` is fine."""
    return not isinstance(value, ModuleType)


def _module(plugin: Plugin) -> str:
    return plugin.module.partition(":")[0]


def _registered(found: Patient) -> None:
    plugin = found.plugin
    own = {
        board.name: [e for entries in board.entries.values() for e in entries if e.plugin == plugin.name]
        for board in BOARDS.values()
    }
    bridges = [f"bridge {b.name} to {board.name}" for board in BOARDS.values() for b in board.bridges
               if getattr(b.names, "__module__", "").split(".")[0] == _module(plugin)]  # fmt: skip
    commands, shared = _commands(found)
    parts = [(board, [entry.name for entry in entries]) for board, entries in own.items() if entries]
    parts += [("commands", commands)] if commands else []
    lines = [f"{board}: {', '.join(names)}" for board, names in parts] + bridges
    found.findings += [("" if number else "registers", line) for number, line in enumerate(lines or ["no parts"])]
    clashes = [clash for board, entries in own.items() for entry in entries for clash in _clash(found, board, entry)]
    found.findings.append(("clashes", "; ".join(clashes + shared) or "none"))


def _clash(found: Patient, board: str, entry: Entry) -> Iterator[str]:
    """Who else has the name: bare, it is then an error in every config, pegboard's own included."""
    owners = {plugin.name: plugin.distribution for plugin in installed_plugins()}
    for other in BOARDS[board].entries[entry.name]:
        if other is entry:
            continue
        yield f"{entry.name} in {board}, also of {other.plugin}"
        if owners.get(other.plugin) == OWN != found.plugin.distribution:
            found.faults.append(
                f"{board}.{entry.name} is pegboard's own name too: whoever installs this plugin can no longer write "
                f"type={entry.name!r}; choose another name"
            )
        elif found.plugin.distribution != OWN:
            found.hints.append(
                f"plugin {other.plugin!r} has {board}.{entry.name} too; a config has to write "
                f"'{entry.plugin}:{entry.name}', unless one of you chooses another name"
            )


def _commands(found: Patient) -> tuple[list[str], list[str]]:
    """The commands that the plugin adds; and which of them are also somebody else's."""
    added, complaints = added_commands()
    complaint = complaints.get(found.plugin.name)
    if complaint:
        found.faults.append(f"pegboard_commands: {complaint}")
    own = [one for one in added if one.plugin == found.plugin.name]
    shared = []
    for one in own:
        others = [name for name in owners(one.name, added, COMMANDS) if name != one.plugin]
        if not others:
            continue
        shared.append(f"command {one.name}, also of {', '.join(others)}")
        reached = f"yours is only reached as `pegboard {one.full_name}`"
        if not one.own and (one.name in COMMANDS or any(x.own for x in added if x.name == one.name)):
            found.faults.append(f"command {one.name!r} is pegboard's own ({others[0]}), and {reached}; rename it")
        elif not one.own:
            found.hints.append(f"command {one.name!r} is also of plugin {others[0]!r}, and where both are installed "
                               f"{reached}, unless one of you renames it")  # fmt: skip
    return [one.name for one in own], shared


def _contract(found: Patient, tell: Callable[[Diagnosis], None]) -> None:
    found.findings.append(("contract", "not all was tried"))
    _tell(found, "pegboard_examples", tell)
    try:
        promises = cases(found.plugin.name)
    except PegboardError as error:
        found.faults.append(str(error))
        return
    broken, not_tried, printing = 0, set[tuple[str, str]](), set[str]()
    complained = found.plugin.name in added_commands()[1]  # that has been told
    logging.disable(logging.CRITICAL)
    for case in promises:
        if (case.board, case.name) in not_tried or (case.board == "commands" and complained):
            continue
        _tell(found, str(case), tell)
        printed = _printed()
        with warnings.catch_warnings(action="ignore"):
            said = _broken(case)
        if said:
            broken += 1
            found.faults.append(f"{case}: {said}")
            not_tried |= {(case.board, case.name)} if case.promise in FIRST else set()
        if _printed() > printed and case.name not in printing:
            printing.add(case.name)
            found.hints.append(f"{case.board}.{case.name} prints while it is tried; let it use logging, or run.log")
    logging.disable(logging.NOTSET)
    kept = f"{broken} broken" if broken else "all kept"
    if not_tried:
        kept += f"; not all were tried of {', '.join(name for _, name in sorted(not_tried))}"
    found.findings[-1] = ("contract", f"{len(promises)} promises, {kept}" if promises else "no parts to try")


def _tell(found: Patient, doing: str, tell: Callable[[Diagnosis], None]) -> None:
    tell(Diagnosis(list(found.findings), list(found.faults), list(found.hints), doing))


def _printed() -> int:
    """Bytes that this process, and those that it started, have written so far to the file that is its stdout."""
    sys.stdout.flush()
    return os.fstat(1).st_size


def _broken(case: Case) -> str:
    """How a promise is broken; empty if it is kept."""
    try:
        case.run()
    except ContractError as error:
        return str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a stranger's part may raise anything
        return f"{type(error).__name__}: {error}"
    return ""
