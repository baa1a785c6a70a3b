"""Find everything that is wrong with a config, in one pass, before anything is built and without importing torch."""

import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pegboard import address
from pegboard.config import batch_size, init_rules
from pegboard.config.annotation import choices, misfit
from pegboard.config.combinations import contradictions
from pegboard.config.duration import Duration
from pegboard.config.keys import (
    DEFAULT_HOOKS,
    GROUP_KEYS,
    GROUPING_KEYS,
    LOADER_KEYS,
    LOSS_KEYS,
    NEEDED_TO_TRAIN,
    OPTIMIZER_KEYS,
    RUN_KEYS,
    SCHEDULER_KEYS,
    Key,
    optimizer_parts,
)
from pegboard.config.load import Config
from pegboard.errors import PegboardError, Problem, did_you_mean, nearest
from pegboard.plugins import ask_each, load_plugin
from pegboard.registry import BOARDS, Entry, Registry

Purpose = Literal["train", "test", "model"]

EMPTY: Mapping[str, Any] = MappingProxyType({})

# Arguments that the run gives in any case; a config that gives one too is mistaken.
GIVEN_BY_THE_RUN = {"optimizers": ("params",), "schedulers": ("optimizer",)}


def check(config: Config, purpose: Purpose = "train", split: str = "test") -> list[Problem]:
    """Every problem of a config, in the order of its keys; an empty list if it can be run.

    Args:
        purpose: ``"train"`` asks for all that a training run needs, ``"test"`` for the model and the data that is
            evaluated, ``"model"`` for the model alone.
        split: the data that is evaluated.
    """
    needs: Mapping[Purpose, Sequence[str]] = {"train": NEEDED_TO_TRAIN, "test": ("model", split), "model": ("model",)}
    return _Checker(config).run(needs[purpose])


class _Checker:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.problems = list(config.problems)

    def report(self, path: str, message: str) -> None:
        self.problems.append(self.config.problem(path, message))

    def run(self, needed: Sequence[str]) -> list[Problem]:
        values = self.config.values
        self.plugins(values.get("plugins", ()))
        self.metrics = known_metrics(values)
        for name, value in values.items():
            if name in RUN_KEYS:
                self.value(RUN_KEYS[name], value, name)
            else:
                self.report(name, "is no run key" + did_you_mean(name, RUN_KEYS))
        self.missing(needed)
        if not self.problems:  # these may rely on what was checked so far
            self.problems += contradictions(self.config)
            self.ask_plugins()
        return self.problems

    def plugins(self, names: Any) -> None:
        folder = self.config.path.parent if self.config.path else Path()
        for index, name in enumerate(names if isinstance(names, list | tuple) else ()):
            try:
                load_plugin(str(name), folder)
            except PegboardError as error:
                self.report(f"plugins.{index}", str(error))

    def ask_plugins(self) -> None:
        for plugin, found in ask_each("pegboard_check", config=self.config):
            if isinstance(found, BaseException):
                self.report("", f"the check of plugin {plugin!r} failed: {type(found).__name__}: {found}")
            elif not isinstance(found, list) or not all(isinstance(problem, Problem) for problem in found):
                self.report("", f"the check of plugin {plugin!r} must return a list of Problem, not {found!r}")
            else:
                self.problems += found

    def missing(self, needed: Sequence[str]) -> None:
        if self.config.values.get("phases"):
            needed = tuple(name for name in needed if name != "train_for")
        misspelt = {nearest(problem.path, needed) for problem in self.problems}
        for name in needed:
            if self.config.values.get(name) is None and name not in misspelt:
                self.report("", f"there is no {name!r}: {RUN_KEYS[name].help}")

    # -- one value -----------------------------------------------------------------------------------------------

    def value(self, key: Key, value: Any, path: str) -> None:
        if value is None:  # a child or an override that takes a key back; a needed one is reported as missing
            return
        by_kind = {
            "part": lambda: self.part(BOARDS[key.board], value, path),
            "parts": lambda: self.parts(BOARDS[key.board], value, path),
            "named parts": lambda: self.named_parts(BOARDS[key.board], value, path),
            "part or named parts": lambda: self.part_or_named_parts(BOARDS[key.board], value, path),
            "optimizers": lambda: self.optimizers(BOARDS[key.board], value, path),
            "loader": lambda: self.loader(value, path),
            "options": lambda: self.options(key.options or {}, value, path),
            "list of options": lambda: self.list_of_options(key.options or {}, value, path),
            "init rules": lambda: self.init_rules(value, path),
            "patterns": lambda: self.names(value, path, "patterns over names, e.g. ['conv*']"),
            "plugins": lambda: self.names(value, path, "files and modules"),
            "address": lambda: self.address(value, path),
            "relabelling": lambda: self.relabelling(value, path),
            "switch or options": lambda: self.switch_or_options(value, path),
            "duration": lambda: self.duration(value, path),
            "device": lambda: self.device(value, path),
            "batch size": lambda: self.batch_size(value, path),
        }
        by_kind.get(key.kind, lambda: self.plain(key, value, path))()

    def plain(self, key: Key, value: Any, path: str) -> None:
        if expected := misfit(key.kind, value):
            self.report(path, f"must be {expected}, got {value!r}" + did_you_mean(value, choices(key.kind)))
        elif key.at_least is not None and value is not None and value < key.at_least:
            self.report(path, f"must be at least {key.at_least}, got {value!r}")

    def duration(self, value: Any, path: str) -> None:
        try:
            Duration.parse(value)
        except ValueError as error:
            self.report(path, str(error))

    def loader(self, value: Any, path: str) -> None:
        self.options(LOADER_KEYS, value, path)
        if isinstance(value, Mapping) and value.get("dataset") is None:
            self.report(path, f"needs a 'dataset'; a loader takes {', '.join(LOADER_KEYS)}")

    def device(self, value: Any, path: str) -> None:
        if not isinstance(value, str) or not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,4})?", value):
            near = did_you_mean(value, ("auto", "cpu", "cuda", "mps"))
            self.report(path, f"must be auto, cpu, cuda, cuda:N or mps, got {value!r}{near}")

    def batch_size(self, value: Any, path: str) -> None:
        if wrong := batch_size.misfit(value):
            self.report(path, wrong)

    def names(self, value: Any, path: str, what: str) -> None:
        if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
            self.report(path, f"must be a list of {what}, got {value!r}")

    def address(self, value: Any, path: str) -> None:
        if wrong := address.misfit(value):
            self.report(path, wrong)

    def relabelling(self, value: Any, path: str) -> None:
        if not isinstance(value, str):
            if not isinstance(value, list | tuple) or not value or not all(isinstance(number, int) for number in value):
                expected = "a list with the new class number of each old one, or 'module:function'"
                self.report(path, f"must be {expected}, got {value!r}")
        else:
            self.address(value, path)

    def switch_or_options(self, value: Any, path: str) -> None:
        if not isinstance(value, bool | Mapping):
            self.report(path, f"must be True, False or a dict of arguments, got {value!r}")

    def init_rules(self, value: Any, path: str) -> None:
        rules = value if isinstance(value, list | tuple) else [value]
        for index, rule in enumerate(rules):
            for where, message in init_rules.problems(rule, f"{path}.{index}"):
                self.report(where, message)

    def list_of_options(self, keys: Mapping[str, Key], value: Any, path: str) -> None:
        if not isinstance(value, list | tuple):
            self.report(path, f"must be a list of dicts with {', '.join(keys)}, got {value!r}")
            return
        for index, item in enumerate(value):
            self.options(keys, item, f"{path}.{index}")

    def options(self, keys: Mapping[str, Key], value: Any, path: str) -> None:
        if not isinstance(value, Mapping):
            self.report(path, f"must be a dict with {', '.join(keys)}, got {value!r}")
            return
        for name, inner in value.items():
            if name in keys:
                self.value(keys[name], inner, f"{path}.{name}")
            else:
                nearest = did_you_mean(name, keys, otherwise=f"; there are {', '.join(keys)}")
                self.report(f"{path}.{name}", f"there is no such key{nearest}")

    def parts(self, board: Registry, value: Any, path: str) -> None:
        if isinstance(value, list | tuple):
            for index, part in enumerate(value):
                self.part(board, part, f"{path}.{index}")
        else:
            self.part(board, value, path)

    def part_or_named_parts(self, board: Registry, value: Any, path: str) -> None:
        given = {name: part for name, part in value.items() if part is not None} if isinstance(value, Mapping) else {}
        if isinstance(value, Mapping) and "type" not in value and all(isinstance(v, Mapping) for v in given.values()):
            for name, part in given.items():
                own = {key: item for key, item in part.items() if key in LOSS_KEYS}
                self.options(LOSS_KEYS, own, f"{path}.{name}")
                self.part(board, {key: item for key, item in part.items() if key not in own}, f"{path}.{name}")
            if not given:
                self.report(path, f"must be {board.kind}, or several by name; got an empty dict")
        else:
            self.part(board, value, path)

    def optimizers(self, board: Registry, value: Any, path: str) -> None:
        """One, or several: a dict without a type has them by name, unless its values are those of a forgotten one."""
        by_name = isinstance(value, Mapping) and "type" not in value
        if by_name and not all(part is None or isinstance(part, Mapping) for part in value.values()):
            self.part(board, value, path)
            return
        if not by_name and not isinstance(value, list | tuple):
            self.part(board, value, path)
            return
        parts = optimizer_parts(value)
        if not parts:
            self.report(path, "must be an optimizer, or several in a list or by name; got none")
        for where, part in parts.items():
            own = (
                {key: item for key, item in part.items() if key in OPTIMIZER_KEYS} if isinstance(part, Mapping) else {}
            )
            self.options(OPTIMIZER_KEYS, own, where)
            rest = {key: item for key, item in part.items() if key not in own} if own else part
            self.part(board, rest, where, also=OPTIMIZER_KEYS)

    def named_parts(self, board: Registry, value: Any, path: str) -> None:
        if not isinstance(value, Mapping) or "type" in value:
            self.report(path, f"must be a dict of parts by name, e.g. {path}=dict(mine=dict(type=...))")
            return
        for name, part in value.items():
            default = DEFAULT_HOOKS.get(name) if board.name == "hooks" else None
            if isinstance(part, Mapping) and default and "type" not in part:
                part = {**default, **part}
            if part is not None:
                self.part(board, part, f"{path}.{name}")
            elif board.name == "hooks" and name not in DEFAULT_HOOKS and nearest(name, DEFAULT_HOOKS):
                self.report(f"{path}.{name}", "switches nothing off" + did_you_mean(name, DEFAULT_HOOKS))

    # -- one part ------------------------------------------------------------------------------------------------

    def part(self, board: Registry, cfg: Any, path: str, inside: bool = False, also: Mapping[str, Any] = EMPTY) -> None:
        """Check a part.

        Args:
            inside: it is an argument of another part of its kind, whose unit it shares if it is a scheduler.
            also: names that would have been right beside its arguments.
        """
        if not isinstance(cfg, Mapping):
            self.report(path, f"must be {board.kind} as a dict with a 'type', got {cfg!r}")
            return
        if "type" not in cfg:
            typo = next((key for key in cfg if did_you_mean(key, ["type"])), None)
            if typo is not None:
                self.report(f"{path}.{typo}", "there is no such key; did you mean 'type'?")
            else:
                self.report(path, f"needs a 'type', a name in {board.name}")
            return
        name = cfg["type"]
        if not isinstance(name, str):
            self.report(f"{path}.type", f"must be a name in {board.name} as a string, got {name!r}")
            return
        try:
            entry = board.find(name)
        except LookupError as error:
            self.report(f"{path}.type", str(error))
            return
        arguments = {key: value for key, value in cfg.items() if key != "type"}
        if board.name == "schedulers" and not inside:
            arguments = self.scheduler_keys(entry, arguments, path)
        if board.name == "optimizers":
            self.groups(entry, arguments.pop("groups", None), f"{path}.groups")
            if (decay := arguments.pop("layer_decay", None)) is not None:
                self.value(GROUPING_KEYS["layer_decay"], decay, f"{path}.layer_decay")
            also = {**also, **GROUPING_KEYS}
        self.arguments(board, entry, arguments, path, also=also)

    def groups(self, entry: Entry, value: Any, path: str) -> None:
        if value is None:
            return
        if not isinstance(value, list | tuple) or not all(isinstance(rule, Mapping) for rule in value):
            self.report(path, f"must be a list of rules like dict(match='fc3.*', lr_mult=10), got {value!r}")
            return
        for index, rule in enumerate(value):
            own = {key: item for key, item in rule.items() if key in GROUP_KEYS}
            self.options(GROUP_KEYS, own, f"{path}.{index}")
            options = {key: item for key, item in rule.items() if key not in own}
            self.arguments(BOARDS["optimizers"], entry, options, f"{path}.{index}", also=GROUP_KEYS, of_group=True)

    def scheduler_keys(self, entry: Entry, arguments: dict[str, Any], path: str) -> dict[str, Any]:
        own = {name: arguments.pop(name) for name in SCHEDULER_KEYS if name in arguments}
        if "unit" not in own:
            self.report(path, f"{entry.name} needs unit='epoch' or unit='iter': what one step of the schedule is")
        for name, value in own.items():
            self.value(SCHEDULER_KEYS[name], value, f"{path}.{name}")
        if isinstance(own.get("monitor"), str):
            self.metric(own["monitor"], f"{path}.monitor")
        return arguments

    def metric(self, name: str, path: str) -> None:
        if name not in self.metrics:
            nearest = did_you_mean(name, self.metrics, otherwise=f"; there are {', '.join(self.metrics)}")
            self.report(path, f"no metric of this run is called {name!r}{nearest}")

    def arguments(
        self,
        board: Registry,
        entry: Entry,
        arguments: Mapping[str, Any],
        path: str,
        also: Mapping[str, Any] = EMPTY,
        of_group: bool = False,
    ) -> None:
        """Report arguments that the part does not take, or not so.

        Args:
            also: other names that would have been right here.
            of_group: they are options of one group; what the part needs is given elsewhere.
        """
        try:
            signature = entry.signature()
        except Exception as error:  # noqa: BLE001  # importing a stranger's module may raise anything
            self.report(f"{path}.type", f"{entry.name!r} of plugin {entry.plugin!r} cannot be imported: {error}")
            return
        parameters = signature.parameters
        given = GIVEN_BY_THE_RUN.get(board.name, ())
        takes_any = any(p.kind == inspect.Parameter.VAR_KEYWORD for p in parameters.values())
        for name, value in arguments.items():
            where = f"{path}.{name}"
            parameter = parameters.get(name)
            if name in given:
                self.report(where, f"the run gives {entry.name} its {name!r}; leave it out")
            elif parameter is None or parameter.kind == inspect.Parameter.VAR_POSITIONAL:
                if board.name == "schedulers" and name in SCHEDULER_KEYS:  # of one inside another
                    self.report(where, f"the scheduler around {entry.name} says the {name}; leave it out")
                elif not takes_any:
                    hint = did_you_mean(name, [*parameters, *also]) + self.config.inherited_note(where)
                    self.report(where, f"{entry.name} takes no {name!r}{hint}")
            elif name in entry.parts:
                self.nested(entry.parts[name], value, where, inside=entry.parts[name] is board)
            elif name in entry.metrics and isinstance(value, str):
                self.metric(value, where)
            elif isinstance(value, str) and value in entry.words:
                continue  # the run puts what it knows in its place
            elif parameter.annotation is not inspect.Parameter.empty and not _is_default_none(parameter, value):
                self.fits(_text(parameter.annotation), value, where)
        if of_group:
            return
        misspelt = {nearest(name, parameters) for name in arguments if name not in parameters}
        filled = {*arguments, *given, *entry.supplied, *misspelt}
        for parameter in parameters.values():
            if parameter.name not in filled and parameter.default is parameter.empty and _is_named(parameter):
                self.report(path, f"{entry.name} needs {parameter.name!r}")

    def fits(self, annotation: str, value: Any, path: str) -> None:
        expected = misfit(annotation, value)
        if "Duration" in expected:
            self.duration(value, path)
        elif expected:
            self.report(path, f"must be {expected}, got {value!r}" + did_you_mean(value, choices(annotation)))

    def nested(self, board: Registry, value: Any, path: str, inside: bool) -> None:
        if isinstance(value, Mapping) and "type" not in value:
            self.named_parts(board, value, path)
        elif inside and isinstance(value, list | tuple):
            for index, part in enumerate(value):
                self.part(board, part, f"{path}.{index}", inside=True)
        else:
            self.parts(board, value, path)


def known_metrics(values: Mapping[str, Any]) -> list[str]:
    """The names under which a run of this config logs its losses and metrics, e.g. ``"val/top1"``."""
    metrics = values.get("metrics")
    named = metrics.items() if isinstance(metrics, Mapping) else ()
    loss = values.get("loss")
    several = loss.items() if isinstance(loss, Mapping) and "type" not in loss else ()
    parts = [f"loss_{name}" for name, part in several if part is not None]
    own = ["loss", *parts, *(name for name, part in named if part is not None)]
    splits = ["train", *(["val"] if values.get("val") is not None else [])]
    return [f"{split}/{name}" for split in splits for name in own]


def _text(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _is_default_none(parameter: inspect.Parameter, value: Any) -> bool:
    """``size: int = None`` takes None, whatever its annotation says; a default read from source is text."""
    return value is None and parameter.default in (None, "None")


def _is_named(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
