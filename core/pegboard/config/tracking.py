"""Which line set what, followed while a config runs: only what really ran counts, in branches and loops too."""

import ast
from collections.abc import Callable
from typing import Any

from pegboard.config.origin import Origin, Snapshot, trace
from pegboard.config.overrides import PLACE

MARK = "__reached__"  # what the instrumented statements call; no name of a config
OFTEN = 100  # times that a statement in a loop is followed; what it sets is known by then


class Tracker:
    """Keeps ``origins`` up to date while the statements of a file are run one after the other.

    Each statement inside a branch or a loop is made to say that it is reached, so that what it sets is told from what
    its neighbours set.

    Args:
        tree: the file; changed in place.
        namespace: what the statements run in.
        shown: how messages call the file.
        origins: of the names that are there already; kept up to date.
        overridden: names whose value comes from an override.
    """

    def __init__(
        self,
        tree: ast.Module,
        namespace: dict[str, Any],
        shown: str,
        origins: dict[str, Origin],
        overridden: set[str],
    ) -> None:
        self.namespace, self.shown, self.origins, self.overridden = namespace, shown, origins, overridden
        self.assigned: dict[str, Origin] = {}  # by this file
        self.marked: list[ast.stmt] = []
        self.times: dict[int, int] = {}
        for statement in tree.body:
            self._mark(statement)
        ast.fix_missing_locations(tree)
        namespace[MARK] = self._reached

    def run(self, statement: ast.stmt, execute: Callable[[ast.stmt], None]) -> None:
        """Execute one statement of the file's top level, and note what it set."""
        self._begin(statement)
        execute(statement)
        self._end()

    def _mark(self, statement: ast.stmt) -> None:
        """Before each statement in a body of this one, a call that says its number."""
        for body in bodies(statement):
            marked: list[ast.stmt] = []
            for inner in body:
                call = ast.Call(ast.Name(MARK, ast.Load()), [ast.Constant(len(self.marked))], [])
                marked += [ast.copy_location(ast.Expr(call), inner), inner]
                self.marked.append(inner)
                self._mark(inner)
            body[:] = marked

    def _reached(self, number: int) -> None:
        self.times[number] = self.times.get(number, 0) + 1
        if self.times[number] <= OFTEN:
            self._end()
            self._begin(self.marked[number])

    def _begin(self, statement: ast.stmt) -> None:
        self.current, self.before = statement, Snapshot(self.namespace, self.origins)

    def _end(self) -> None:
        """What is new since the current statement began is its work."""
        place = f"{self.shown}:{self.current.lineno}"
        for name, origin in self.origins.items():
            if name in self.namespace:
                self.before.follow(self.namespace[name], origin, place)
        for name, origin in self._assignments(self.current, place):
            self.origins[name] = self.assigned[name] = origin

    def _assignments(self, statement: ast.stmt, place: str) -> list[tuple[str, Origin]]:
        """The names that a statement assigns, each with the origins of its value."""
        targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
        if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.For):
            return []
        value = None if isinstance(statement, ast.AugAssign) else getattr(statement, "value", None)
        found = []
        for target in targets:
            if isinstance(target, ast.Name) and target.id in self.namespace:
                found.append((target.id, self._of_value(target.id, value, place)))
            elif isinstance(target, ast.Tuple | ast.List):
                names = [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]
                found += [(name, Origin(place)) for name in names if name in self.namespace]
        return found

    def _of_value(self, name: str, value: ast.expr | None, place: str) -> Origin:
        if value is None:
            return Origin(place)
        if name in self.overridden:
            return Origin(PLACE)
        return trace(value, self.namespace[name], self.shown, self.origins)


def bodies(statement: ast.stmt) -> list[list[ast.stmt]]:
    """The bodies of an if, for, while, with, try or match; those of functions and classes are their own affair."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return []
    found = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    branches: list[Any] = [*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())]
    return [body for body in [*found, *(branch.body for branch in branches)] if body]


def inside(statement: ast.stmt) -> list[ast.stmt]:
    """The statement, and those in its bodies, at any depth."""
    return [statement, *(deeper for body in bodies(statement) for inner in body for deeper in inside(inner))]


def loop_names(tree: ast.Module) -> set[str]:
    """What a ``for`` assigns: no setting, so no typo of one."""
    loops = [inner for statement in tree.body for inner in inside(statement) if isinstance(inner, ast.For)]
    return {node.id for loop in loops for node in ast.walk(loop.target) if isinstance(node, ast.Name)}
