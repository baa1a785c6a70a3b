"""Is a plugin sound? What it says of itself, what it costs everybody else, and how its parts keep their promises."""

import json
import logging
import subprocess
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from pegboard.cli import COMMANDS
from pegboard.cli.added import OWN, added_commands, owners
from pegboard.errors import PegboardError, did_you_mean
from pegboard.hookspecs import INTERFACE
from pegboard.plugins import Plugin, installed_plugins
from pegboard.registry import BOARDS, Entry
from pegboard.testing import ContractError, cases
from pegboard.testing.contract import SOUND

HEAVY = ("torch", "torchvision", "torchmetrics", "timm", "tensorflow", "jax", "matplotlib", "cv2", "sklearn", "scipy",
         "pandas")  # fmt: skip
SLOW = 0.3  # seconds that loading a plugin may add to every start of `pegboard`

# Run in a process of its own, where nothing is imported yet; prints what loading one plugin does.
LOADING = """
import json, sys, time
sys.path[:] = json.loads(sys.argv[2])
from importlib.metadata import entry_points
from pegboard import Boards
[point] = [point for point in entry_points(group="pegboard") if point.name == sys.argv[1]]
before, started = {*sys.modules}, time.process_time()
module = point.load()
getattr(module, "pegboard_register", lambda boards: None)(Boards)
getattr(module, "pegboard_commands", dict)()
seconds = time.process_time() - started
print("\\n" + json.dumps([seconds, sorted({*sys.modules} - before)]))
"""


@dataclass
class Diagnosis:
    """What was found out about one plugin.

    Args:
        findings: (what, finding), in the order in which they are told.
        faults: what makes it unsound, each with what to do.
        hints: what would make it better.
    """

    plugin: Plugin
    findings: list[tuple[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)


def report(name: str) -> int:
    """Print a diagnosis of one plugin, or of all where ``name`` is empty; 1 if one is unsound."""
    plugins = _chosen(name)
    unsound = []
    for number, plugin in enumerate(plugins):
        found = diagnose(plugin)
        print("\n" * bool(number) + "\n".join(_lines(found)), flush=True)
        unsound += [plugin.name] if found.faults else []
    if len(plugins) > 1:
        verdict = f"{len(unsound)} unsound: {', '.join(unsound)}" if unsound else "all sound"
        print(f"\n{len(plugins)} plugins, {verdict}")
    return 1 if unsound else 0


def diagnose(plugin: Plugin) -> Diagnosis:
    """Look at all that can be looked at; the contract is tried last, for it takes seconds."""
    found = Diagnosis(plugin)
    if plugin.error:
        found.faults.append(f"it cannot be loaded, so nobody has its parts:\n{plugin.traceback.rstrip()}")
        return found
    _interface(found)
    _loading(found)
    _registered(found)
    _contract(found)
    return found


def _chosen(name: str) -> list[Plugin]:
    plugins = installed_plugins()
    called = {known: plugin for plugin in plugins for known in (plugin.distribution, _module(plugin), plugin.name)}
    if not name:
        return plugins
    if name == OWN:
        return [plugin for plugin in plugins if plugin.distribution == OWN]
    if name not in called:
        nearest = did_you_mean(name, called, otherwise=f"; there are {', '.join(p.name for p in plugins)}")
        raise PegboardError(f"there is no plugin {name!r}{nearest}")
    return [called[name]]


def _module(plugin: Plugin) -> str:
    return plugin.module.partition(":")[0]


def _lines(found: Diagnosis) -> Iterator[str]:
    plugin = found.plugin
    verdict = "UNSOUND" if found.faults else "sound"
    yield f"{plugin.name} ({plugin.distribution} {plugin.version}, module {plugin.module}): {verdict}"
    width = max((len(what) for what, _ in found.findings), default=0)
    for what, finding in found.findings:
        first, *more = textwrap.wrap(finding, 100)
        yield f"  {what:<{width}}  {first}"
        yield from (f"  {'':<{width}}  {line}" for line in more)
    for title, said in (("to be mended", found.faults), ("could be better", found.hints)):
        if said:
            yield f"  {title}:"
            yield from (f"  - {line}".replace("\n", "\n    ") for line in said)


# -- what is looked at -----------------------------------------------------------------------------------------------


def _interface(found: Diagnosis) -> None:
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


def _loading(found: Diagnosis) -> None:
    """Time and imports, in a new process and an empty folder."""
    command = [sys.executable, "-c", LOADING, found.plugin.name, json.dumps([*sys.path, str(Path.cwd())])]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        left = sorted(path.name for path in Path(folder).iterdir())
    if done.returncode:
        found.faults.append(f"it cannot be loaded by itself in a new process:\n{done.stderr.rstrip()}")
        return
    seconds, modules = json.loads(done.stdout.splitlines()[-1])
    heavy = [name for name in HEAVY if name in modules]
    imports = f"imports {', '.join(heavy)}" if heavy else "imports nothing heavy"
    found.findings.append(("loading", f"{1000 * seconds:.0f} ms, {imports}"))
    if heavy:
        found.faults.append(
            f"loading it imports {', '.join(heavy)}, at every start of `pegboard`; register parts by address, "
            'boards.models.add_lazy("Net", "package.module:Net"), and import nothing heavy in __init__'
        )
    elif seconds > SLOW:
        found.hints.append(f"loading it takes {seconds:.1f} s at every start of `pegboard`; import what is slow later")
    if left:
        found.faults.append(f"loading it leaves {', '.join(left)} in the working directory; registering opens no files")


def _registered(found: Diagnosis) -> None:
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


def _clash(found: Diagnosis, board: str, entry: Entry) -> Iterator[str]:
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


def _commands(found: Diagnosis) -> tuple[list[str], list[str]]:
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


def _contract(found: Diagnosis) -> None:
    try:
        promises = cases(found.plugin.name)
    except PegboardError as error:
        found.faults.append(str(error))
        return
    broken, not_tried = 0, set[tuple[str, str]]()
    logging.disable(logging.CRITICAL)
    try:
        for case in promises:
            if (case.board, case.name) in not_tried:
                continue
            with warnings.catch_warnings(action="ignore"), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                said = _broken(case)
            if said:
                broken += 1
                found.faults.append(f"{case}: {said}")
                not_tried |= {(case.board, case.name)} if case.promise == SOUND else set()
    finally:
        logging.disable(logging.NOTSET)
    kept = f"{broken} broken" if broken else "all kept"
    if not_tried:
        kept += f"; not all were tried of {', '.join(name for _, name in sorted(not_tried))}"
    found.findings.append(("contract", f"{len(promises)} promises, {kept}" if promises else "no parts to try"))


def _broken(case: Any) -> str:
    """How a promise is broken; empty if it is kept."""
    try:
        case.run()
    except ContractError as error:
        return str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a stranger's part may raise anything
        return f"{type(error).__name__}: {error}"
    return ""
