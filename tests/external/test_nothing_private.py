"""Strangers' packages use what pegboard exports, and nothing else: the door is wide enough."""

import ast
import re

from tests.external.strangers import EXTERNAL

OWN = {"pegboard_local_sgd", "pegboard_mlflow", "pegboard_occlusion", "shape_masks", "small_pegs"}


def private_names(text: str) -> list[str]:
    """What a source takes from elsewhere in pegboard or its built-in plugins, underscored attributes, the builder."""
    found = []
    for node in ast.walk(ast.parse(text)):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [name.name for name in node.names] if isinstance(node, ast.Import) else []
        found += [name for name in modules if name.startswith("pegboard") and name not in ("pegboard", *OWN)]
        if isinstance(node, ast.Attribute) and re.match(r"_(?!_)|builder$", node.attr):
            found += [node.attr] if ast.unparse(node.value) != "self" else []  # a class's own are its own affair
    return found


def test_they_use_nothing_private() -> None:
    files = list(EXTERNAL.glob("*/*/*.py"))
    assert {file.parent.name for file in files} == OWN and len(OWN) == 5
    assert [name for file in files for name in private_names(file.read_text(encoding="utf-8"))] == []
    wrong = "from pegboard.runner.loop import Runner\nimport pegboard_data.images\nrun._points + run.builder.known"
    assert private_names(wrong) == ["pegboard.runner.loop", "pegboard_data.images", "_points", "builder"]
