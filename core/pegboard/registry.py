"""The ten boards on which every part hangs by name, and the verbs to hang, find and build one."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pegboard import source
from pegboard.address import resolve
from pegboard.bridge import Bridge
from pegboard.errors import ConfigError, Problem, did_you_mean

if TYPE_CHECKING:
    from pegboard.plugins import Plugin

T = TypeVar("T", bound=Callable[..., Any])

_registering: ContextVar[str | None] = ContextVar("registering", default=None)


@contextmanager
def registering(plugin: str) -> Iterator[None]:
    """Parts that are registered inside belong to ``plugin``."""
    token = _registering.set(plugin)
    try:
        yield
    finally:
        _registering.reset(token)


@dataclass
class Entry:
    """One name on a board and what it takes to build it.

    Args:
        target: the factory (a class or function), or ``"package.module:attribute"`` until it is first built.
        parts: which arguments are themselves parts (or lists, or dicts by name, of parts) of which board.
        supplied: arguments that the run fills in unless the config gives them, e.g. ``("num_classes",)``.
        metrics: arguments that name a metric of the run, e.g. ``("monitor",)``; checked before the run starts.
        makers: arguments among ``parts`` that the factory gets as a function without arguments, which builds the part
            anew at each call.
        takes, words, via: as in ``Bridge``.
    """

    name: str
    plugin: str
    target: Callable[..., Any] | str
    summary: str = ""
    parts: "Mapping[str, Registry]" = field(default_factory=dict)
    supplied: Sequence[str] = ()
    metrics: Sequence[str] = ()
    is_bridge: bool = False
    takes: Mapping[str, str] = field(default_factory=dict)
    makers: Sequence[str] = ()
    words: Sequence[str] = ()
    via: str = ""

    @property
    def address(self) -> str:
        """``"package.module:attribute"``, also of a target that is loaded."""
        if isinstance(self.target, str):
            return self.target
        return f"{self.target.__module__}:{self.target.__qualname__}"

    @property
    def package(self) -> str:
        """The top-level package that defines it."""
        return self.address.partition(":")[0].split(".")[0]

    @property
    def factory(self) -> Callable[..., Any]:
        """The class or function itself; imports its module when first asked."""
        if isinstance(self.target, str):
            self.target = resolve(self.target)
        factory: Callable[..., Any] = self.target  # type: ignore[assignment]  # a string was replaced above
        return factory

    def signature(self) -> inspect.Signature:
        """Its arguments; read from source where possible, so that checking a config imports no library."""
        found = source.signature(self.address) or inspect.signature(self.factory)
        if not self.takes:
            return found
        parameters = found.parameters.values()
        return found.replace(
            parameters=[p.replace(annotation=self.takes.get(p.name, p.annotation)) for p in parameters]
        )

    def make(self, arguments: dict[str, Any], supply: Mapping[str, Any]) -> Any:
        """The part, from arguments that its signature takes."""
        if self.via:
            return resolve(self.via)(self.factory, arguments, supply)
        return self.factory(**arguments)

    def describe(self) -> str:
        """One line for a listing."""
        if self.summary:
            return self.summary
        if isinstance(self.target, str):
            return source.summary(self.target) or self.target
        return source.first_line(self.target.__doc__)


class Registry:
    """Names of one family of buildable parts, e.g. ``MODELS = Registry("models", "a model")``.

    A name may be claimed by several plugins; that is an error only where a config uses it bare. Bridged names (every
    class of a library) are fallbacks: a registered part of the same name wins.
    """

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self.entries: dict[str, list[Entry]] = {}
        self.bridges: list[Bridge] = []

    def __repr__(self) -> str:
        return f"Registry({self.name!r})"

    # -- hanging a part up -------------------------------------------------------------------------------------

    def register(
        self,
        factory: T | None = None,
        *,
        name: str | None = None,
        parts: "Mapping[str, Registry] | None" = None,
        supplied: Sequence[str] = (),
        metrics: Sequence[str] = (),
        makers: Sequence[str] = (),
    ) -> Any:
        """Decorator: ``@MODELS.register`` or ``@MODELS.register(name="net", supplied=("num_classes",))``.

        Args:
            name: in configs; that of the class or function unless given.
            parts: arguments that are themselves parts (or lists, or dicts by name, of parts), with their board.
            supplied: arguments that the run fills in unless the config gives them. Of the training data it knows
                ``num_classes``, ``classes``, ``mean``, ``std`` and ``ignore_index``, where that says them; for
                schedulers ``T_max``, ``total_steps``, ``total_iters`` and ``max_lr``.
            metrics: arguments that name a metric of the run, e.g. ``"val/top1"``; checked before the run starts.
            makers: those of ``parts`` that the part gets as functions without arguments, to build each anew.
        """

        def add(factory: T) -> T:
            plugin = _registering.get() or factory.__module__.split(".")[0]
            entry = Entry(name or factory.__name__, plugin, factory, "", parts or {}, supplied, metrics, makers=makers)
            self._add(entry)
            return factory

        return add if factory is None else add(factory)

    def add_lazy(
        self,
        name: str,
        target: str,
        *,
        summary: str = "",
        parts: "Mapping[str, Registry] | None" = None,
        supplied: Sequence[str] = (),
        metrics: Sequence[str] = (),
        makers: Sequence[str] = (),
    ) -> None:
        """Hang up a part by the address ``"package.module:attribute"``, which is imported when it is first built.

        Args:
            summary: a line for `pegboard plugins`; the first of the docstring unless given.
            parts, supplied, metrics, makers: as in ``register``.
        """
        plugin = _registering.get() or target.split(".")[0].split(":")[0]
        self._add(Entry(name, plugin, target, summary, parts or {}, supplied, metrics, makers=makers))

    def add_bridge(self, bridge: Bridge) -> None:
        """Make every class of a library known by its name, as a fallback; ``bridge.name:Class`` reaches it always."""
        self.bridges = [known for known in self.bridges if known != bridge] + [bridge]

    def _add(self, entry: Entry) -> None:
        if ":" in entry.name or not entry.name:
            raise ValueError(f"{entry.name!r} cannot name one of the {self.name}: a colon separates plugin and name")
        same_name = self.entries.setdefault(entry.name, [])
        for known in same_name:
            if known.address == entry.address:  # a re-import, a notebook cell, a lazy entry that decorates itself
                if not isinstance(entry.target, str):
                    known.target = entry.target
                return
        same_name.append(entry)

    # -- finding one -------------------------------------------------------------------------------------------

    def find(self, name: str) -> Entry:
        """The part of that name, or of ``plugin:name``.

        Raises:
            LookupError: nobody has it, or several plugins do; the message says who, and the nearest name.
        """
        _load_plugins()
        prefix, colon, bare = name.rpartition(":")
        own = self.entries.get(bare, [])
        if colon:
            own = [entry for entry in own if prefix in (entry.plugin, entry.package)]
        if len(own) > 1:
            who = " and ".join(f"'{entry.plugin}' ({entry.address})" for entry in own)
            raise LookupError(
                f"{bare!r} is claimed by {who}; write '{own[0].plugin}:{bare}' or '{own[1].plugin}:{bare}'"
            )
        if own:
            return own[0]
        for bridge in self.bridges:
            if (not colon or prefix == bridge.name) and bare in bridge.targets:
                return _bridged(bridge, bare)
        raise LookupError(self._nobody_has(name))

    def _nobody_has(self, name: str) -> str:
        prefix, colon, bare = name.rpartition(":")
        candidates = [entry.name for entry in self.list()]
        if colon:
            who = {entry.plugin for entry in self.list()}
            candidates = [f"{entry.plugin}:{entry.name}" for entry in self.list() if entry.plugin == prefix]
            if prefix not in who:
                return f"no plugin {prefix!r} adds to {self.name}" + did_you_mean(prefix, who)
        message = f"no {bare!r} in {self.name}" + (f" of {prefix!r}" if colon else "")
        nearest = did_you_mean(name, candidates)
        elsewhere = [board.name for board in BOARDS.values() if board is not self and bare in board.entries]
        if elsewhere:
            nearest += f"; there is one in {' and '.join(elsewhere)}"
        for plugin in _load_plugins():
            if plugin.error:
                nearest += f"; plugin {plugin.name!r}, which might bring it, is broken: {plugin.error}"
        for bridge in self.bridges:
            if bridge.error:
                nearest += (
                    f"; bridge {bridge.name!r} to {bridge.library}, which might bring it, is broken: {bridge.error}"
                )
        return message + (nearest or f"; `pegboard plugins {self.name.upper()}` lists what there is")

    def list(self, pattern: str = "*") -> list[Entry]:
        """Every part whose name, or ``plugin:name``, matches the wildcard pattern; sorted by name."""
        _load_plugins()
        found = [entry for entries in self.entries.values() for entry in entries]
        for bridge in self.bridges:
            found += [_bridged(bridge, name) for name in bridge.targets]
        lower = pattern.lower()
        return sorted(
            (e for e in found if any(fnmatchcase(n.lower(), lower) for n in (e.name, f"{e.plugin}:{e.name}"))),
            key=lambda entry: (entry.name.lower(), entry.is_bridge, entry.plugin),
        )

    def __contains__(self, name: object) -> bool:
        try:
            self.find(str(name))
        except LookupError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        _load_plugins()
        return iter(sorted(self.entries))

    # -- building one ------------------------------------------------------------------------------------------

    def build(
        self, cfg: Mapping[str, Any], where: str = "", supply: Mapping[str, Any] | None = None, **runtime: Any
    ) -> Any:
        """Call the factory that ``cfg["type"]`` names with the other keys, parts among them built first.

        Args:
            where: config path of ``cfg``, for messages, e.g. ``"train.dataset"``.
            supply: values for the arguments that the entry declares as ``supplied`` and the config leaves out;
                handed on to nested parts.
            runtime: arguments given in any case.

        Raises:
            ConfigError: unknown type; unknown, missing or superfluous argument.
        """
        kwargs = {**cfg, **runtime}
        name = kwargs.pop("type", None)
        if not isinstance(name, str):
            raise ConfigError([Problem(f"{self.kind} needs a type, a name in {self.name}; got {name!r}", where)])
        try:
            entry = self.find(name)
        except LookupError as error:
            raise ConfigError([Problem(str(error), f"{where}.type".lstrip("."))]) from None
        supply = supply or {}
        for argument, board in entry.parts.items():
            if argument in kwargs:
                path = f"{where}.{argument}".lstrip(".")
                make = partial(_build_nested, board, kwargs[argument], path, supply)
                kwargs[argument] = make if argument in entry.makers else make()
        for argument, word in kwargs.items():
            if isinstance(word, str) and word in entry.words:
                if word not in supply:
                    message = f"the data does not say its {word}; write the value itself"
                    raise ConfigError([Problem(message, f"{where}.{argument}".lstrip("."))])
                kwargs[argument] = supply[word]
        signature = entry.signature()
        for argument in entry.supplied:
            if argument in supply and argument in signature.parameters and argument not in kwargs:
                kwargs[argument] = supply[argument]
        try:  # bind first: a TypeError raised inside the factory keeps its own traceback
            signature.bind(**kwargs)
        except TypeError as error:
            message = str(error)
            unsaid = [argument for argument in _needed(signature) if argument not in kwargs]
            if unsaid and unsaid[0] in entry.supplied:
                message = f"needs {unsaid[0]!r}, which the data does not tell; give it in the config"
            for unknown in kwargs.keys() - signature.parameters.keys():
                message += did_you_mean(unknown, signature.parameters)
            raise ConfigError([Problem(f"{entry.name}: {message}", where)]) from None
        try:
            return entry.make(kwargs, supply)
        except Exception as error:
            error.add_note(f"while building {where or self.kind}: {entry.plugin}:{entry.name}")
            raise


def _needed(signature: inspect.Signature) -> list[str]:
    """Arguments without a default."""
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in signature.parameters.values() if p.default is p.empty and p.kind in plain]


def _bridged(bridge: Bridge, name: str) -> Entry:
    return Entry(
        name,
        bridge.name,
        bridge.targets[name],
        parts=bridge.parts,
        supplied=bridge.supplied,
        is_bridge=True,
        takes=bridge.takes,
        words=bridge.words,
        via=bridge.via,
    )


def _build_nested(board: Registry, value: Any, where: str, supply: Mapping[str, Any]) -> Any:
    """A part, a list of parts, or a dict of parts by name; what is built already stays."""
    if isinstance(value, Mapping):
        if "type" in value:
            return board.build(value, where, supply)
        return {name: _build_nested(board, part, f"{where}.{name}", supply) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_build_nested(board, part, f"{where}.{index}", supply) for index, part in enumerate(value)]
    return value


def _load_plugins() -> "list[Plugin]":
    """Fill the boards before the first look at one; the plugins that are installed are loaded once a process."""
    from pegboard.plugins import installed_plugins

    return installed_plugins()


DATASETS = Registry("datasets", "a dataset")
SAMPLERS = Registry("samplers", "a sampler")
TRANSFORMS = Registry("transforms", "a transform")
MODELS = Registry("models", "a model")
LOSSES = Registry("losses", "a loss")
OPTIMIZERS = Registry("optimizers", "an optimizer")
SCHEDULERS = Registry("schedulers", "a scheduler")
HOOKS = Registry("hooks", "a hook")
METRICS = Registry("metrics", "a metric")
STRATEGIES = Registry("strategies", "a strategy")

BOARDS: dict[str, Registry] = {
    board.name: board
    for board in (DATASETS, SAMPLERS, TRANSFORMS, MODELS, LOSSES, OPTIMIZERS, SCHEDULERS, HOOKS, METRICS, STRATEGIES)
}


class Boards:
    """Every registry by attribute, as a plugin's ``pegboard_register(boards)`` gets them."""

    datasets = DATASETS
    samplers = SAMPLERS
    transforms = TRANSFORMS
    models = MODELS
    losses = LOSSES
    optimizers = OPTIMIZERS
    schedulers = SCHEDULERS
    hooks = HOOKS
    metrics = METRICS
    strategies = STRATEGIES
