"""How metrics of torchmetrics are built."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any


def build(factory: Callable[..., Any], arguments: dict[str, Any], supply: Mapping[str, Any]) -> Any:
    """A metric; the task that the data tells is for those that cannot do without (BinaryFairness means another)."""
    task = inspect.signature(factory).parameters.get("task")
    if task is not None and task.default is not task.empty and arguments.get("task") == supply.get("task"):
        arguments = {name: value for name, value in arguments.items() if name != "task"}
    return factory(**arguments)
