"""Addresses: ``"package.module:name"`` says where a function or class lies, so that a config can name it."""

import importlib
import importlib.util
import sys
from typing import Any

from pegboard import source
from pegboard.errors import did_you_mean


def resolve(address: str) -> Any:
    """What lies at an address; its module is imported."""
    module, _, path = address.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found


def misfit(address: object) -> str:
    """Why nothing can lie at an address; empty if something may. What is not imported yet is read from its source."""
    if not isinstance(address, str) or address.count(":") != 1 or not all(address.split(":")):
        return f"must be 'module:function', got {address!r}"
    module, _, path = address.partition(":")
    name = path.split(".")[0]
    if module in sys.modules:
        known = dir(sys.modules[module])
        return "" if hasattr(sys.modules[module], name) else _no_such(name, module, known)
    parsed = source.read(module)
    if parsed is not None:
        known = [*parsed.definitions, *parsed.imports]
        unsure = parsed.stars or name in parsed.assigned
        return "" if unsure or name in known else _no_such(name, module, known)
    try:
        exists = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        exists = False
    return "" if exists else f"there is no module {module!r}" + did_you_mean(module, sys.modules)


def _no_such(name: str, module: str, known: list[str]) -> str:
    return f"there is no {name!r} in {module}" + did_you_mean(name, known)
