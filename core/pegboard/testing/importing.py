"""A part can be imported from the address under which it is registered."""

import traceback
from pathlib import Path

from pegboard.testing.contract import ContractError, Part

OWN = Path(__file__).parent.parent  # where pegboard lies


def is_imported(part: Part) -> None:
    """Its module is there, runs, and has it."""
    try:
        _ = part.entry.factory
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything
        said = f"{part.name} cannot be imported from {part.entry.address}: {type(error).__name__}: {error}"
        missing = getattr(error, "name", None) or ""
        lines = [said, *filter(None, [place(error)]), advice(type(error).__name__, str(error), missing)]
        raise ContractError("\n".join(lines)) from error


def place(error: BaseException) -> str:
    """``file:line: code`` of the line in the author's own code that raised it; empty where none of it came to run."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {(error.text or '').strip()}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        others = frame.filename.startswith("<") or {"importlib", "pluggy"} & {*path.parts} or path.is_relative_to(OWN)
        if not others:
            return f"{frame.filename}:{frame.lineno}: {frame.line}"
    return ""


def advice(kind: str, message: str, missing: str) -> str:
    """What to do about an exception that came while a module was imported.

    Args:
        kind: the name of its class.
        missing: the module that it names, if any.
    """
    if kind == "ModuleNotFoundError":
        return f"mend the name, or add what brings {missing!r} to the dependencies in pyproject.toml"
    if "circular import" in message:
        return "two modules import each other: move what both need into a third one"
    if kind == "AttributeError":
        return "mend the name there, or the address where it is registered, 'package.module:Name'"
    if kind == "SystemExit":
        return "let the module define functions and classes, and do nothing"
    return "mend it there; `pegboard plugins` shows the whole traceback of a plugin that cannot be loaded"
