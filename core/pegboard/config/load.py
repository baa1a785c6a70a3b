"""Load a config: run its bases, run it with their names in scope, merge, and remember who set what."""

import ast
import os
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pegboard.config.keys import RUN_KEYS
from pegboard.config.origin import Origin, merge, without_delete
from pegboard.config.overrides import apply, parse
from pegboard.config.tracking import MARK, Tracker, loop_names
from pegboard.errors import ConfigError, Problem, did_you_mean

DEEPEST = 100  # levels of nesting; a config that goes deeper is a mistake
MOST_VALUES = 200_000  # in one key; lists that hold each other many times over count each time
LONGEST_INTEGER = 256  # bits


@dataclass
class Config:
    """A merged config.

    Args:
        values: the run keys that are set, as plain data.
        origins: a tree beside ``values``: who set what.
        path: the file that it was loaded from, as given.
        problems: what was found wrong while loading; ``pegboard.config.check`` adds what is wrong with the values.
    """

    values: dict[str, Any]
    origins: Origin
    path: Path | None = None
    problems: list[Problem] = field(default_factory=list)
    _left: int = field(default=MOST_VALUES, init=False, repr=False, compare=False)  # values of this key still allowed

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> "Config":
        """Run a config file and its bases, and apply overrides such as ``"optimizer.lr=0.1"``.

        Raises:
            ConfigError: a file cannot be run, or an override matches nothing.
        """
        parsed = parse(overrides)
        names = {override.key: override.value for override in parsed if len(override.path) == 1}
        scope = _run(Path(path), str(path), names, ())
        config = cls({}, Origin(str(path)), Path(path), scope.problems)
        for name, value in scope.values.items():
            if name in RUN_KEYS:
                config._take(name, value, scope.origins[name])
        for name, place in scope.assigned - scope.used:
            config.problems.append(
                Problem("is no run key, and nothing uses it" + did_you_mean(name, RUN_KEYS), name, place)
            )
        rest = [override for override in parsed if override.key not in scope.overridden]
        unmatched = apply(config.values, config.origins, rest, {*RUN_KEYS})
        if unmatched:
            near = {*scope.values, *RUN_KEYS}
            raise ConfigError([_with_names(problem, near) for problem in unmatched])
        return config

    @classmethod
    def from_values(cls, values: Mapping[str, Any], place: str = "") -> "Config":
        """A config from data, e.g. out of a checkpoint or a notebook; nothing is run."""
        config = cls({}, Origin(place))
        for name, value in values.items():
            config._take(str(name), value, Origin(place))
        return config

    def override(self, options: Sequence[str]) -> None:
        """Set values by path, as ``--cfg-options`` does; nothing that was computed from them follows.

        Raises:
            ConfigError: an option matches nothing.
        """
        problems = apply(self.values, self.origins, parse(options), {*RUN_KEYS})
        if problems:
            raise ConfigError(problems)

    def place(self, path: str) -> str:
        """``"FILE:LINE"`` that set the value at a dotted path, or the value around it."""
        return self.origins.nearest(path.split(".")).place

    def inherited_note(self, path: str) -> str:
        """What a message about this value should add if it came from a base of another type; else empty."""
        return self.origins.nearest(path.split(".")).note

    def problem(self, path: str, message: str) -> Problem:
        """A problem with the value at a dotted path, with the place that set it."""
        return Problem(message, path, self.place(path))

    def _take(self, name: str, value: Any, origin: Origin) -> None:
        self.origins.children[name] = origin
        self._left = MOST_VALUES
        self.values[name] = self._data(value, name, ())
        if self._left < 0:
            self.problems.append(self.problem(name, f"holds more than {MOST_VALUES:,} values"))
            self.values[name] = None

    def _data(self, value: Any, path: str, around: tuple[int, ...]) -> Any:
        """The value as plain data; what is none is reported and becomes None."""
        self._left -= 1
        if self._left < 0:
            return None
        if isinstance(value, int) and value.bit_length() > LONGEST_INTEGER:
            self.problems.append(self.problem(path, f"an integer of {value.bit_length():,} bits is too large"))
            return None
        if value is None or isinstance(value, bool):
            return value
        for kind in (int, float, str):
            if isinstance(value, kind):  # exactly: a numpy.float64 or an IntEnum is written down as what it counts as
                return kind.__str__(value) if kind is str else kind(value)
        if isinstance(value, Path):
            return str(value)
        if id(value) in around or len(around) > DEEPEST:
            how = "contains itself" if id(value) in around else f"is nested deeper than {DEEPEST}"
            self.problems.append(self.problem(path, f"the value {how}"))
            return None
        around = (*around, id(value))
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return {key: self._data(part, f"{path}.{key}", around) for key, part in value.items()}
        if isinstance(value, list | tuple):
            items = [self._data(part, f"{path}.{index}", around) for index, part in enumerate(value)]
            return items if isinstance(value, list) else tuple(items)
        self.problems.append(self.problem(path, f"{_kind(value)} cannot be stored in a config; {_instead(value)}"))
        return None


def _kind(value: Any) -> str:
    return "a dict with keys that are no strings" if isinstance(value, dict) else f"a {type(value).__name__}"


def _instead(value: Any) -> str:
    if callable(value) and hasattr(value, "__qualname__"):
        return f"name it as '{value.__module__}:{value.__qualname__}'"
    return "expected None, a bool, number, string, list, tuple or dict"


def _with_names(problem: Problem, names: set[str]) -> Problem:
    """An override of a name that only other values use: say which names there are."""
    if problem.message != "matches nothing" or "." in problem.path:
        return problem
    return Problem(problem.message + did_you_mean(problem.path, names), problem.path, problem.place)


@dataclass
class _Scope:
    """The names that a file defines, its bases' among them.

    Args:
        code: what it imports and defines, for the files that have it as a base.
        assigned, used: public names that are no run keys, each with its place; those that something uses.
        overridden: names whose assignment an override replaced.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    code: dict[str, Any] = field(default_factory=dict)
    assigned: set[tuple[str, str]] = field(default_factory=set)
    used: set[tuple[str, str]] = field(default_factory=set)
    overridden: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def take_base(self, base: "_Scope") -> None:
        """Merge a base over what earlier bases gave."""
        _merge_over(self, base.values, base.origins)
        self.code |= base.code
        self.assigned |= base.assigned
        self.used |= base.used
        self.overridden |= base.overridden
        self.problems += base.problems


def _merge_over(scope: _Scope, values: Mapping[str, Any], origins: Mapping[str, Origin]) -> None:
    for name, value in values.items():
        if name in scope.values:
            scope.values[name], scope.origins[name] = merge(
                scope.values[name], value, scope.origins[name], origins[name]
            )
        else:
            scope.values[name], scope.origins[name] = without_delete(value), origins[name]


def _run(path: Path, shown: str, overrides: Mapping[str, Any], chain: tuple[Path, ...]) -> _Scope:
    """Run one file after its bases.

    Args:
        shown: how messages call the file.
        chain: the files that have this one as a base, outermost first.
    """
    tree = _parse(path, shown)
    scope = _Scope()
    for base, line in _bases(tree, shown):
        target = path.parent / base
        if not _is_file(target):
            link = f"{_shown(target)} is a link that leads to no file" if os.path.islink(target) else ""  # noqa: PTH114
            message = link or f"there is no file {_shown(target)}{_near(target)}"
            raise ConfigError([Problem(message, "_base_", f"{shown}:{line}")])
        around = (*chain, path.resolve())
        if target.resolve() in around:
            circle = [*around[around.index(target.resolve()) :], target.resolve()]
            raise ConfigError(
                [Problem("bases form a circle: " + " -> ".join(_shown(p) for p in circle), "_base_", f"{shown}:{line}")]
            )
        scope.take_base(_run(target, _shown(target), overrides, around))
    _execute(tree, path, shown, scope, overrides)
    return scope


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, a folder that may not be entered
        return False


def _shown(path: Path) -> str:
    """A path as a person would write it: relative where it lies below the working directory."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)


def _parse(path: Path, shown: str) -> ast.Module:
    try:
        if path.is_dir():
            raise ConfigError([Problem("is a directory; expected a Python file", place=shown)])
        if path.is_char_device() or path.is_block_device():  # such as /dev/zero, which has no end
            raise ConfigError([Problem("is a device; expected a Python file", place=shown)])
        return ast.parse(path.read_text(encoding="utf-8"), filename=shown)
    except FileNotFoundError:
        raise ConfigError([Problem(f"there is no such file{_near(path)}", place=shown)]) from None
    except SyntaxError as error:
        raise ConfigError([Problem(f"syntax error: {error.msg}", place=f"{shown}:{error.lineno or 1}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(f"is not UTF-8 text: {error.reason} at byte {error.start}", place=shown)]) from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ConfigError([Problem(f"cannot be read: {why}", place=shown)]) from error


def _near(path: Path) -> str:
    """The config beside it that may have been meant; empty where the folder cannot be looked through."""
    try:
        return did_you_mean(path.name, [file.name for file in path.parent.iterdir() if file.suffix == ".py"])
    except OSError:
        return ""


def _bases(tree: ast.Module, shown: str) -> list[tuple[str, int]]:
    """The files that ``_base_ = [...]`` names, with their lines; read without running anything."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "_base_" for t in node.targets):
            items = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
            names = [item.value if isinstance(item, ast.Constant) else None for item in items]
            if not all(isinstance(name, str) for name in names):
                raise ConfigError(
                    [Problem("must be a file name, or a list of them, written out", "_base_", f"{shown}:{node.lineno}")]
                )
            return [(str(name), item.lineno) for name, item in zip(names, items, strict=True)]
    return []


def _execute(tree: ast.Module, path: Path, shown: str, scope: _Scope, overrides: Mapping[str, Any]) -> None:
    """Run the statements one by one, with the bases' names in scope, then merge what was assigned over the bases."""
    read = _names_read(tree)
    replace = _Replace(overrides)
    tree = ast.fix_missing_locations(replace.visit(tree))
    namespace: dict[str, Any] = {**scope.code, **_copied(scope.values), "__file__": str(path), "__name__": "config"}
    namespace |= {_placeholder(name): value for name, value in overrides.items()}
    hidden = {*namespace, MARK, "__builtins__", "_base_"} - scope.values.keys()
    origins = {name: origin.copy() for name, origin in scope.origins.items()}
    tracker = Tracker(tree, namespace, shown, origins, set(overrides))
    for statement in tree.body:
        tracker.run(statement, lambda one: _run_code(one, namespace, shown))
    assigned = tracker.assigned
    own = {name: namespace[name] for name in assigned if name in namespace and name not in hidden}
    for name, value in own.items():
        if isinstance(value, dict | list | tuple) and _is_endless(value, 0):
            message = f"the value contains itself, or is nested deeper than {DEEPEST} levels"
            scope.problems.append(Problem(message, name, assigned[name].place))
            own[name] = None
    for name in scope.values.keys() - own.keys():
        if name not in namespace:  # del train
            del scope.values[name], scope.origins[name]
        elif not _same(namespace[name], scope.values[name]):  # changed in place: train["batch_size"] = 64
            scope.values[name], scope.origins[name] = namespace[name], origins[name]
    scope.code |= {name: value for name, value in namespace.items() if name not in {*hidden, *own, *scope.values}}
    places = {(name, assigned[name].place) for name in own if name[0] != "_" and name not in RUN_KEYS}
    loops = loop_names(tree)
    scope.assigned |= {(name, place) for name, place in places if name not in loops}
    scope.used |= {(name, place) for name, place in scope.assigned if name in read}
    scope.overridden |= replace.matched
    _merge_over(scope, own, assigned)


def _names_read(tree: ast.Module) -> set[str]:
    """The names that the file uses; ``name["key"] = value`` by itself is no use."""
    set_into = {id(root) for node in ast.walk(tree) if (root := _root_of_item(node)) is not None}
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    return {node.id for node in names if id(node) not in set_into}


def _root_of_item(node: ast.AST) -> ast.expr | None:
    """``train`` of ``train["dataset"]["root"] = ...``; None for anything else."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.ctx, ast.Store):
        return None
    root: ast.expr = node
    while isinstance(root, ast.Subscript):
        root = root.value
    return root


def _copied(value: Any) -> Any:
    """Dicts, lists and tuples anew, all else shared: what a child changes in place must not reach its base."""
    if type(value) is dict:
        return {key: _copied(part) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_copied, value))
    return value


def _same(one: Any, other: Any) -> bool:
    """Equal as data; anything that is no data is the same only if it is the very object."""
    if type(one) is dict and type(other) is dict:
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if type(one) in (list, tuple) and type(one) is type(other):
        return len(one) == len(other) and all(map(_same, one, other))
    plain = isinstance(one, bool | int | float | str) and type(one) is type(other)
    return one is other or (plain and bool(one == other))


def _is_endless(value: Any, depth: int) -> bool:
    """Whether a value contains itself, or goes deeper than any config does."""
    level = [value]
    while level:
        if depth > DEEPEST:
            return True
        inside = (part.values() if isinstance(part, dict) else part for part in level)
        parts = (part for held in inside if not isinstance(held, str) for part in held)
        level = list({id(part): part for part in parts if isinstance(part, dict | list | tuple)}.values())
        depth += 1
    return False


def _run_code(statement: ast.stmt, namespace: dict[str, Any], shown: str) -> None:
    try:
        exec(compile(ast.Module([statement], []), shown, "exec"), namespace)  # a config is Python; the README says so
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == shown]
        message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise ConfigError([Problem(message, place=f"{shown}:{(lines or [statement.lineno])[-1]}")]) from error


def _placeholder(name: str) -> str:
    return f"__override_{name}__"


class _Replace(ast.NodeTransformer):
    """Puts overrides where the names are assigned, so that all that is computed from them follows."""

    def __init__(self, overrides: Mapping[str, Any]) -> None:
        self.overrides = overrides
        self.matched: set[str] = set()

    def visit_Assign(self, node: ast.Assign) -> ast.AST | list[ast.stmt]:
        stored = [part for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)]
        names = [part.id for part in stored if isinstance(part.ctx, ast.Store) and part.id in self.overrides]
        self.matched |= {*names}
        if names and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            node.value = self._override(names[0], node)
            return node
        again = [ast.Assign([ast.Name(name, ast.Store())], self._override(name, node)) for name in names]
        return [node, *(ast.copy_location(assign, node) for assign in again)]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if isinstance(node.target, ast.Name) and node.target.id in self.overrides:
            self.matched.add(node.target.id)
            node.value = self._override(node.target.id, node)
        return node

    @staticmethod
    def _override(name: str, node: ast.stmt) -> ast.expr:
        return ast.copy_location(ast.Name(_placeholder(name), ast.Load()), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node  # names in there are its own

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node
