"""What a rule of ``init`` may say; read from torch's source, so that checking a config imports no torch."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from pegboard import source
from pegboard.config.annotation import misfit
from pegboard.errors import did_you_mean

# What a rule says beside the arguments of its function.
OWN_KEYS = ("type", "layer", "name", "weight", "bias")


def functions() -> list[str]:
    """The names that a rule's ``type`` may have: ``torch.nn.init.<name>_``."""
    module = source.read("torch.nn.init")
    names = module.definitions if module else {}
    return [name[:-1] for name in names if name.endswith("_") and not name.startswith("_")]


def problems(rule: Any, path: str) -> Iterator[tuple[str, str]]:
    """(config path, what is wrong) of one rule."""
    if not isinstance(rule, Mapping):
        yield path, f"must be a rule like dict(type='xavier_normal', layer='Conv2d'), got {rule!r}"
        return
    name = rule.get("type")
    known = functions()
    if not isinstance(name, str) or name not in known:
        hint = did_you_mean(name, known, otherwise=f"; there are {', '.join(known)}")
        yield f"{path}.type" if "type" in rule else path, f"torch.nn.init has no {name!r}{hint}"
        return
    parameters = _parameters(name)
    for key, value in rule.items():
        if key in OWN_KEYS or key in parameters:
            annotation = parameters[key].annotation if key in parameters else _OWN_ANNOTATIONS[key]
            if isinstance(annotation, str) and (expected := misfit(annotation, value)):
                yield f"{path}.{key}", f"must be {expected}, got {value!r}"
        else:
            yield f"{path}.{key}", f"{name} takes no {key!r}" + did_you_mean(key, [*OWN_KEYS, *parameters])
    if "layer" not in rule and "name" not in rule:
        yield path, "needs layer= (a class such as 'Conv2d') or name= (a pattern such as 'fc*')"
    if "weight" in rule and "val" not in parameters:
        yield f"{path}.weight", f"only type='constant' takes a value; {name} draws them"
    needed = [p.name for p in parameters.values() if p.default is p.empty and p.name not in rule]
    for missing in needed:
        if missing != "val" or "weight" not in rule:
            yield path, f"{name} needs {missing!r}"


_OWN_ANNOTATIONS = {
    "type": "str",
    "layer": "str | list[str]",
    "name": "str",
    "weight": "float",
    "bias": "float | None",
}


def _parameters(name: str) -> dict[str, inspect.Parameter]:
    found = source.signature(f"torch.nn.init:{name}_")
    parameters = found.parameters.values() if found else ()
    return {p.name: p for p in parameters if p.name not in ("tensor", "generator")}
