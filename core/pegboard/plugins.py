"""Find the installed plugins, let each register its parts, and keep one that fails from harming the others."""

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from pegboard import hookspecs
from pegboard.errors import PegboardError, did_you_mean
from pegboard.registry import BOARDS, Boards, Entry, registering


@dataclass
class Plugin:
    """One plugin that is installed, or that a config names.

    Args:
        interface: the version of the plugin hooks that it was written for; None where it does not say.
        error: why it could not be loaded, in one line; empty if it works.
        traceback: the whole of it.
    """

    name: str
    distribution: str = ""
    version: str = ""
    module: str = ""
    interface: Any = None
    error: str = ""
    traceback: str = field(default="", repr=False)


@cache
def manager() -> pluggy.PluginManager:
    """The plugin manager that holds every plugin that works, pegboard's own parts first."""
    plugins = pluggy.PluginManager("pegboard")
    plugins.add_hookspecs(hookspecs)
    return plugins


_installed: list[Plugin] | None = None
_files: dict[str, Path] = {}  # plugin files that were imported, by the name of their module


def installed_plugins() -> list[Plugin]:
    """Every plugin in the entry-point group ``pegboard``, loaded once a process; broken ones are in the list too."""
    global _installed
    if _installed is None:
        _installed = []  # a plugin that looks at a board while it registers sees what is there so far
        for entry_point in sorted(entry_points(group="pegboard"), key=lambda point: point.name):
            _installed.append(_load(entry_point))
    return _installed


def _load(entry_point: EntryPoint) -> Plugin:
    """Load one entry point; what it half registered before it failed is taken off the boards again."""
    distribution = entry_point.dist
    plugin = Plugin(
        entry_point.name,
        distribution.name if distribution else "",
        distribution.version if distribution else "",
        entry_point.value,
    )
    before = _snapshot()
    try:
        with registering(plugin.name):
            module = entry_point.load()
            plugin.interface = getattr(module, "pegboard_interface", None)
            register_module(module, plugin.name)
    except BaseException as error:  # a plugin may raise anything, SystemExit included
        if isinstance(error, KeyboardInterrupt):
            raise
        _restore(before)
        plugin.error = f"{type(error).__name__}: {error}"
        plugin.traceback = traceback.format_exc()
    return plugin


def register_module(module: Any, name: str) -> None:
    """Let a module that was loaded hang up its parts.

    Raises:
        PegboardError: it was made for another version of the plugin hooks.
    """
    _refuse_other_interface(getattr(module, "pegboard_interface", hookspecs.INTERFACE))
    manager().register(module, name=name)
    try:
        register = getattr(module, "pegboard_register", None)
        if register is not None:
            register(Boards)
    except BaseException:
        manager().unregister(name=name)
        raise


def _refuse_other_interface(stated: Any) -> None:
    if stated == hookspecs.INTERFACE:
        return
    if not isinstance(stated, int):
        raise PegboardError(f"pegboard_interface is {stated!r}; expected a whole number, now {hookspecs.INTERFACE}")
    older = stated < hookspecs.INTERFACE
    raise PegboardError(
        f"made for plugin interface {stated}, and this pegboard has {hookspecs.INTERFACE}; install "
        + ("a newer version of the plugin" if older else "a newer pegboard")
    )


def _snapshot() -> dict[str, tuple[dict[str, list[Entry]], list[Any]]]:
    return {
        name: ({part: list(entries) for part, entries in board.entries.items()}, list(board.bridges))
        for name, board in BOARDS.items()
    }


def _restore(before: dict[str, tuple[dict[str, list[Entry]], list[Any]]]) -> None:
    for name, (entries, bridges) in before.items():
        BOARDS[name].entries, BOARDS[name].bridges = entries, bridges


def load_plugin(name: str, folder: Path) -> None:
    """Bring in code that is not packaged: ``"./my_parts.py"`` relative to ``folder``, or a module that can be imported.

    Raises:
        PegboardError: there is no such file or module, or it raised; its own traceback is the cause.
    """
    installed_plugins()
    before = _snapshot()
    try:
        is_file = name.endswith(".py")
        module = _import_file((folder / name).resolve()) if is_file else importlib.import_module(name)
        with registering(module.__name__):
            if not manager().is_registered(module):
                register_module(module, module.__name__)
    except PegboardError:
        _restore(before)
        raise
    except (Exception, SystemExit) as error:
        _restore(before)
        raise PegboardError(f"{name!r} cannot be loaded: {type(error).__name__}: {error}") from error


def plugin_file(name: str, folder: Path) -> Path | None:
    """Where the code that ``load_plugin`` would bring in lies; None where it cannot be told."""
    if name.endswith(".py"):
        return Path(os.path.realpath(folder / name))  # Path.resolve ends with a RuntimeError on links in a circle
    known = sys.modules.get(name)
    try:
        origin = known.__file__ if known else getattr(importlib.util.find_spec(name), "origin", None)
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(origin) if origin else None


def _import_file(path: Path) -> Any:
    if not path.is_file():
        near = did_you_mean(path.name, [file.name for file in path.parent.glob("*.py")])
        raise PegboardError(f"there is no file {path.name!r} in {path.parent}{near}")
    for known in list(sys.modules.values()):
        if getattr(known, "__file__", None) == str(path) and getattr(known, "__name__", "__main__") != "__main__":
            return known
    name = path.stem
    while name in sys.modules or importlib.util.find_spec(name) is not None:
        name += "_"  # a file must not stand in the way of a library of its name
    return _run_file(name, path)


def _run_file(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PegboardError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with registering(name):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    _files[name] = path
    return module


class PluginFiles:
    """The plugin files that this process has imported; unpickling one, in another process, imports them there."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _import_named, ({name: str(path) for name, path in _files.items() if name in sys.modules},)


def _import_named(files: dict[str, str]) -> PluginFiles:
    for name, path in files.items():
        if name not in sys.modules:
            _run_file(name, Path(path))
    return PluginFiles()


def unload_all() -> None:
    """Forget every plugin and empty the boards, so that tests can start afresh."""
    global _installed
    _installed = None
    manager.cache_clear()
    for board in BOARDS.values():
        board.entries, board.bridges = {}, []


def ask_each(hook: str, **arguments: Any) -> Sequence[tuple[str, Any]]:
    """Call a plugin-level hook on each plugin on its own: (plugin name, result); one that raises gives the error."""
    installed_plugins()
    results = []
    for name, plugin in manager().list_name_plugin():
        function = getattr(plugin, hook, None)
        if function is not None:
            try:
                results.append((name, function(**arguments)))
            except (Exception, SystemExit) as error:  # noqa: BLE001  # one plugin's fault; the others are asked
                results.append((name, error))
    return results
