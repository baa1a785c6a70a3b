"""The pages of the classes that ``pegboard`` exports: what an author of parts derives from, and is given."""

import ast
from copy import deepcopy

import pegboard
from pegboard import source


def classes() -> dict[str, ast.ClassDef]:
    """Every class that is exported, by name, as its source has it."""
    found = {name: source.find(f"pegboard:{name}") for name in sorted(pegboard.__all__)}
    return {name: at[1] for name, at in found.items() if at and isinstance(at[1], ast.ClassDef)}


def classes_page() -> str:
    """All of them, by name."""
    words = "What an author of parts derives from, or is given. `pegboard.testing`, which tries parts, is told of in "
    lines = ["# Classes", "", f"{words}[writing a plugin](../writing_a_plugin.md).", ""]
    return "\n".join([*lines, *(class_page(name, level=2) for name in classes())])


def class_page(name: str, level: int = 1) -> str:
    """What the class says of itself, then each method that says something."""
    found = classes()[name]
    lines = [
        f"{'#' * level} {name}",
        "",
        f"`from pegboard import {name}`",
        "",
        *_fenced(ast.get_docstring(found) or ""),
    ]
    for node in found.body:
        said = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
        if isinstance(node, ast.FunctionDef) and said and not node.name.startswith("_"):
            lines += [f"`{_head(node)}`", "", *_fenced(said)]
    return "\n".join(lines)


def _fenced(text: str) -> list[str]:
    return ["```text", text, "```", ""] if text else []


def _head(node: ast.FunctionDef) -> str:
    """``def show(self, name: str, picture: Any) -> None``; a property by its name and type alone."""
    node = _Unquoted().visit(deepcopy(node))
    gives = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    if any("property" in ast.unparse(decorator) for decorator in node.decorator_list):
        return f"{node.name}{gives}"
    return f"def {node.name}({ast.unparse(node.args)}){gives}"


class _Unquoted(ast.NodeTransformer):
    """A type that is written as a string, for it is not imported, is shown as any other."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = _type(node.annotation)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = _type(node.returns)
        self.visit(node.args)
        return node


def _type(node: ast.expr | None) -> ast.expr | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return ast.parse(node.value, mode="eval").body
    return node
