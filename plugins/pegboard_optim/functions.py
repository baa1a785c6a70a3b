"""Functions that schedulers take, from what a config can say: an address, or a shape with a name.

A shape gives the factor on the learning rate after so many steps (epochs or iterations, as ``unit`` says):
``lr_lambda=dict(type="linear_warmup", steps=100)``. They are rebuilt from the config when a run is resumed.
"""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pegboard import address
from pegboard.errors import did_you_mean

Shape = Callable[[int], float]


def constant(value: float) -> Shape:
    """Always ``value``; with MultiplicativeLR, the factor from each step to the next."""
    return lambda step: value


def linear_warmup(steps: int) -> Shape:
    """``1/steps`` at first, 1 from step ``steps - 1`` on."""
    return lambda step: min(1.0, (step + 1) / steps)


def inverse_sqrt(warmup: int = 1) -> Shape:
    """Linear over ``warmup`` steps to 1, then falling as one over the square root.

    Source: Vaswani et al. 2017, arXiv:1706.03762, equation 3, scaled to peak at 1.
    """
    return lambda step: min((step + 1) / warmup, math.sqrt(warmup / (step + 1)))


def warmup_cosine(warmup: int, total_steps: int, end: float = 0.0) -> Shape:
    """Linear over ``warmup`` steps to 1, then half a cosine to ``end`` at ``total_steps``, by default the run's length.

    Source: Goyal et al. 2017, arXiv:1706.02677 (warm-up); Loshchilov, Hutter 2016, arXiv:1608.03983 (cosine).
    """

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        share = min(1.0, (step - warmup) / max(1, total_steps - warmup))
        return end + (1 - end) * (1 + math.cos(math.pi * share)) / 2

    return factor


SHAPES: Mapping[str, Callable[..., Shape]] = {
    shape.__name__: shape for shape in (constant, linear_warmup, inverse_sqrt, warmup_cosine)
}

# Arguments of schedulers that are functions.
ARGUMENTS = ("lr_lambda", "scale_fn")

# Arguments of a shape that the run supplies.
SUPPLIED = ("total_steps",)


def build(factory: Callable[..., Any], arguments: dict[str, Any], supply: Mapping[str, Any]) -> Any:
    """A scheduler, its functions made from what the config says."""
    for name in ARGUMENTS:
        if arguments.get(name) is not None:
            arguments[name] = _made(arguments[name], supply)
    return factory(**arguments)


def _made(value: Any, supply: Mapping[str, Any]) -> Any:
    if isinstance(value, list | tuple):
        return [_made(part, supply) for part in value]
    if isinstance(value, Mapping):
        given = {name: part for name, part in value.items() if name != "type"}
        shape = SHAPES[value["type"]]
        wanted = inspect.signature(shape).parameters
        missing = {name: supply[name] for name in SUPPLIED if name in wanted}
        return shape(**{**missing, **given})
    function = address.resolve(value) if isinstance(value, str) else value
    return lambda step: function(step)  # torch saves the attributes of all but plain functions; these have no state


def problems(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """(config path, what is wrong) of what stands where a scheduler takes a function."""
    if isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from problems(part, f"{path}.{index}")
    elif isinstance(value, Mapping):
        yield from _problems_of_shape(value, path)
    elif isinstance(value, str) and value in SHAPES:
        yield path, f"a shape is a dict: write dict(type={value!r}, ...)"
    elif isinstance(value, str) and (wrong := address.misfit(value)):
        yield path, wrong
    elif not isinstance(value, str):
        yield path, f"must be 'module:function' or a shape like dict(type='linear_warmup', steps=100), got {value!r}"


def _problems_of_shape(shape: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    name = str(shape.get("type"))
    if name not in SHAPES:
        hint = did_you_mean(name, SHAPES, otherwise=f"; there are {', '.join(SHAPES)}")
        yield f"{path}.type", f"no shape of a schedule is called {name!r}{hint}"
        return
    parameters = inspect.signature(SHAPES[name]).parameters
    for key, value in shape.items():
        if key == "type":
            continue
        if key not in parameters:
            yield f"{path}.{key}", f"{name} takes no {key!r}" + did_you_mean(key, parameters)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{path}.{key}", f"must be a number, got {value!r}"
        elif parameters[key].annotation is int and (not isinstance(value, int) or value < 1):
            yield f"{path}.{key}", f"must be a number of steps, at least 1, got {value!r}"
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in (*shape, *SUPPLIED):
            yield path, f"{name} needs {key!r}"
