"""Which promises each part of a plugin has to keep."""

import atexit
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

from pegboard.errors import PegboardError, did_you_mean
from pegboard.plugins import ask_each, installed_plugins, manager
from pegboard.registry import BOARDS, Entry

# board -> part -> arguments
Examples = Mapping[str, Mapping[str, Mapping[str, Any]]]

# What the run supplies, to parts that leave it to the run.
SUPPLY: Mapping[str, Any] = {
    "num_classes": 3, "classes": ["a", "b", "c"], "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25),
    "ignore_index": 255, "data_source": range(24),
}  # fmt: skip

# Promise -> where it is tested; each function gets a Part and raises a ContractError.
SOUND = "is sound with its example"
IMPORTED = "can be imported"
OF_ALL = {
    IMPORTED: "importing:is_imported",
    "is documented": "parts:is_documented",
    SOUND: "parts:is_sound",
    "check refuses a surplus argument": "parts:check_refuses_surplus",
    "is built from its example": "parts:is_built",
    "build refuses a surplus argument": "parts:build_refuses_surplus",
    "survives spawn": "spawn:survives",
}
FIRST = {IMPORTED, SOUND}  # where one of these is broken, most others are too, for the same reason
OF_BOARD = {
    "transforms": {
        "does to each sample what it would do to it alone": "transforms:one_by_one_is_batched",
        "moves masks with their images": "transforms:moves_masks",
    },
    "hooks": {"resumes": "hooks:resumes", "leaves training as it is": "hooks:only_watches"},
    "metrics": {"resumes": "resuming:metric"},
    "schedulers": {"resumes": "resuming:scheduler"},
    "optimizers": {"resumes": "resuming:optimizer"},
}
OF_COMMANDS = {"takes its arguments": "commands:takes_arguments"}
OF_CHECKS = {"leaves a config alone that has none of its parts": "checks:leaves_alone"}


class ContractError(AssertionError):
    """A part breaks a promise; the message says which part, how, and what to do."""


def expect(kept: bool, message: str) -> None:
    """Raise a ContractError unless the promise is kept."""
    if not kept:
        raise ContractError(message)


@dataclass(frozen=True, eq=False)
class Part:
    """A registered part with arguments from which it can be built."""

    board: str
    entry: Entry
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def config(self) -> dict[str, Any]:
        """As a config names it."""
        return {"type": f"{self.entry.plugin}:{self.name}", **self.arguments}

    def build(self, **more: Any) -> Any:
        """The part itself; schedulers and optimizers get something to work on."""
        return BOARDS[self.board].build({**self.config, **more}, "here", SUPPLY, **self._runtime())

    def _runtime(self) -> dict[str, Any]:
        if self.board not in ("optimizers", "schedulers"):
            return {}
        import torch

        weights = [torch.nn.Parameter(torch.linspace(-1, 1, 6).reshape(2, 3))]
        if self.board == "optimizers":
            return {"params": weights}
        return {"optimizer": torch.optim.SGD(weights, lr=0.1, momentum=0.9)}


@dataclass(frozen=True)
class Case:
    """One promise of one part: ``case.run()`` raises a ContractError if it is broken; ``str(case)`` names it."""

    board: str
    name: str
    promise: str
    test: Callable[[], None] = field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.board}.{self.name} {self.promise}"

    def run(self) -> None:
        """Try it.

        Raises:
            ContractError: the part breaks its promise.
        """
        self.test()


def cases(plugin: str, examples: Examples | None = None) -> list[Case]:
    """Everything that the parts of a plugin promise, one case each.

    Args:
        plugin: name of its entry point, or of its package; or of a file that a config names, once it is imported.
        examples: board -> part -> arguments to try it with, beside and before those of ``pegboard_examples``.

    Raises:
        PegboardError: there is no such plugin, or it is broken.
    """
    of_parts = [case for part in parts(plugin, examples) for case in of_part(part)]
    return of_parts + _of_commands(plugin) + _of_check(plugin)


def parts(plugin: str, examples: Examples | None = None) -> list[Part]:
    """The registered parts of a plugin, bridged ones left out."""
    _examples(_working(plugin))  # a mistake in them is told even where no part needs any
    return [
        Part(board.name, entry, _example(entry, board.name, examples or {}))
        for board in BOARDS.values()
        for entry in board.list()
        if not entry.is_bridge and plugin in (entry.plugin, entry.package)
    ]


def of_part(part: Part) -> list[Case]:
    """What one part promises."""
    promises = OF_ALL | OF_BOARD.get(part.board, {})
    return [Case(part.board, part.name, promise, partial(_run, test, part)) for promise, test in promises.items()]


def _of_commands(plugin: str) -> list[Case]:
    modules = {known.name: known.module.partition(":")[0] for known in installed_plugins()}
    added = [
        (name, commands)
        for name, commands in ask_each("pegboard_commands")
        if plugin in (name, modules.get(name, name)) and isinstance(commands, Mapping)
    ]
    return [
        Case("commands", command, promise, partial(_run, test, (command, found[command])))
        for _, found in added
        for command in found
        for promise, test in OF_COMMANDS.items()
    ]


def _of_check(plugin: str) -> list[Case]:
    """What its ``pegboard_check`` promises, where it has one."""
    name = _working(plugin)
    check = getattr(manager().get_plugin(name), "pegboard_check", None)
    if check is None:
        return []
    return [Case("pegboard_check", name, promise, partial(_run, test, check)) for promise, test in OF_CHECKS.items()]


def _run(test: str, subject: Any) -> None:
    """Only now is the test imported, and torch with it."""
    module, _, name = test.partition(":")
    getattr(import_module(f"pegboard.testing.{module}"), name)(subject)


def _working(name: str) -> str:
    """The plugin's own name, from that of its package too."""
    plugins = installed_plugins()
    for plugin in plugins:
        if name in (plugin.name, plugin.module.partition(":")[0]):
            if plugin.error:
                raise PegboardError(f"plugin {plugin.name!r} is broken: {plugin.error}")
            return plugin.name
    registered = {e.plugin for board in BOARDS.values() for entries in board.entries.values() for e in entries}
    if name not in registered:
        known = {*registered, *(plugin.name for plugin in plugins)}
        raise PegboardError(f"there is no plugin {name!r}" + did_you_mean(name, known, otherwise="; is it installed?"))
    return name


def _example(entry: Entry, board: str, own: Examples) -> Mapping[str, Any]:
    examples = own if entry.name in own.get(board, {}) else _examples(entry.plugin)
    return examples.get(board, {}).get(entry.name, {})


@cache
def _examples(plugin: str) -> Examples:
    """What a plugin's ``pegboard_examples`` gives; the files that it writes are gone when the process ends."""
    give = getattr(manager().get_plugin(plugin), "pegboard_examples", None)
    if give is None:
        return {}
    folder = Path(tempfile.mkdtemp(prefix="pegboard-examples-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    where = f"pegboard_examples of plugin {plugin!r}"
    try:
        found = give(folder=folder)
    except Exception as error:  # a stranger's code may raise anything
        raise PegboardError(f"{where} failed: {type(error).__name__}: {error}") from error
    if not isinstance(found, Mapping) or not all(isinstance(parts, Mapping) for parts in found.values()):
        expected = "expected board -> part -> arguments, e.g. {'transforms': {'Pad': {'padding': 2}}}"
        raise PegboardError(f"{where} gives {found!r}; {expected}")
    for board, parts in found.items():
        if board not in BOARDS:
            raise PegboardError(f"{where}: there is no board {board!r}" + did_you_mean(board, BOARDS))
        names = [entry.name for entry in BOARDS[board].list(f"{plugin}:*")]
        for name in parts:
            if name not in names:
                raise PegboardError(f"{where}: it registers no {name!r} in {board}" + did_you_mean(name, names))
    return found
