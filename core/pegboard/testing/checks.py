"""A plugin's check of configs leaves those alone that have nothing of the plugin's."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from pegboard import Config, Problem
from pegboard.testing.contract import expect
from pegboard.testing.tiny import on_the_boards, values


def leaves_alone(check: Callable[..., Any]) -> None:
    """It finds nothing wrong with a sound config of others' parts, and changes nothing of it."""
    config = Config.from_values(values())
    before = deepcopy(config.values)
    with on_the_boards():
        found = check(config=config)
    problems = isinstance(found, list) and all(isinstance(problem, Problem) for problem in found)
    expect(problems, f"pegboard_check gives {found!r}; expected a list of Problem, empty where there is none")
    told = "; ".join(map(str, found))
    advice = "look at the parts that are yours alone: whoever installs the plugin need not use it"
    expect(not found, f"pegboard_check has something against a config that has none of its parts: {told}; {advice}")
    expect(config.values == before, "pegboard_check changes the config; let it look alone")
