"""Does a config value fit a parameter's annotation? Only what can be told from the text for certain is refused."""

import ast
from typing import Any

from pegboard.config.duration import Duration

_NUMBER = (int, float)


def misfit(annotation: str, value: Any) -> str:
    """What was expected instead of ``value``, e.g. ``"int"``; empty if it fits, or cannot be told.

    Examples:
        >>> misfit("int", "3")
        'int'
        >>> misfit("Literal['mean', 'sum'] | None", "men")
        "'mean', 'sum' or None"
        >>> misfit("Callable[..., Tensor]", 3)
        ''
    """
    try:
        node = ast.parse(annotation.strip("\"'"), mode="eval").body
    except SyntaxError:
        return ""
    atoms = _atoms(node)
    if any(ast.unparse(atom) == "Duration" for atom in atoms):  # a string is read as one
        atoms = [atom for atom in atoms if ast.unparse(atom) != "str"]
    verdicts = [_fits(atom, value) for atom in atoms]
    if any(verdict is not False for verdict in verdicts):
        return ""
    expected = [text for atom in atoms for text in _words(atom)]
    return " or ".join(filter(None, [", ".join(expected[:-1]), expected[-1]]))


def choices(annotation: str) -> list[str]:
    """The strings that a ``Literal`` inside the annotation allows."""
    try:
        node = ast.parse(annotation.strip("\"'"), mode="eval").body
    except SyntaxError:
        return []
    literals = [value for atom in _atoms(node) for value in _literal_values(atom)]
    return [value for value in literals if isinstance(value, str)]


def _atoms(node: ast.expr) -> list[ast.expr]:
    """The members of a union, written either way."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _atoms(node.left) + _atoms(node.right)
    if isinstance(node, ast.Subscript):
        head = ast.unparse(node.value).rpartition(".")[2]
        if head == "Optional":
            return [*_atoms(node.slice), ast.Constant(None)]
        if head == "Union":
            members = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return [atom for member in members for atom in _atoms(member)]
    return [node]


def _literal_values(atom: ast.expr) -> list[Any]:
    if isinstance(atom, ast.Subscript) and ast.unparse(atom.value).rpartition(".")[2] == "Literal":
        members = atom.slice.elts if isinstance(atom.slice, ast.Tuple) else [atom.slice]
        return [member.value for member in members if isinstance(member, ast.Constant)]
    return []


def _words(atom: ast.expr) -> list[str]:
    literals = _literal_values(atom)
    return [repr(value) for value in literals] if literals else [ast.unparse(atom)]


def _fits(atom: ast.expr, value: Any) -> bool | None:
    """True or False where it can be told, None where not."""
    if isinstance(atom, ast.Constant) and atom.value is None:
        return value is None
    literals = _literal_values(atom)
    if literals:
        return value in literals
    name = ast.unparse(atom.value if isinstance(atom, ast.Subscript) else atom).rpartition(".")[2]
    if name == "bool":
        return isinstance(value, bool)
    if name == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "float":
        return isinstance(value, _NUMBER) and not isinstance(value, bool)
    if name == "str":
        return isinstance(value, str)
    if name == "Duration":
        return _is_duration(value)
    if name == "Tensor":
        return False if isinstance(value, str | bool | dict) or value is None else None
    if name in ("list", "tuple", "Sequence", "List", "Tuple"):
        return _sequence_fits(atom, value)
    if name in ("dict", "Mapping", "Dict"):
        return isinstance(value, dict)
    return None


def _sequence_fits(atom: ast.expr, value: Any) -> bool | None:
    if not isinstance(value, list | tuple):
        return False
    if not isinstance(atom, ast.Subscript):
        return True
    members = atom.slice.elts if isinstance(atom.slice, ast.Tuple) else [atom.slice]
    if ast.unparse(atom.value).rpartition(".")[2].lower() == "tuple" and _has_another_length(members, len(value)):
        return False
    members = [member for member in members if not (isinstance(member, ast.Constant) and member.value is ...)]
    if not members:
        return None
    inner = [union for member in members for union in _atoms(member)]
    return False if any(all(_fits(one, item) is False for one in inner) for item in value) else None


def _has_another_length(members: list[ast.expr], length: int) -> bool:
    """``tuple[float, float]`` with another number of items; ``tuple[float]`` is often meant as any number."""
    endless = any(isinstance(member, ast.Constant) and member.value is ... for member in members)
    return len(members) > 1 and not endless and length != len(members)


def _is_duration(value: Any) -> bool:
    try:
        Duration.parse(value)
    except ValueError:
        return False
    return True
