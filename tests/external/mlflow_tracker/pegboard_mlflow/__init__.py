"""MLflow for pegboard; it is imported when a run begins."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pegboard import Boards, Config, Problem, hookimpl

pegboard_interface = 1  # the version of pegboard's plugin hooks that this is written for

KINDS = ("", "file", "http", "https", "databricks", "sqlite", "postgresql", "mysql", "mssql")  # of MLflow's stores


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.hooks.add_lazy("MLflow", "pegboard_mlflow.tracker:MLflow")


@hookimpl
def pegboard_check(config: Config) -> list[Problem]:
    """A kind of store that MLflow does not have."""
    problems = []
    hooks = config.values.get("hooks")
    for name, hook in hooks.items() if isinstance(hooks, dict) else ():
        if isinstance(hook, dict) and hook.get("type") in ("MLflow", "mlflow:MLflow"):
            uri = hook.get("uri")
            kind = urlsplit(uri).scheme.partition("+")[0] if isinstance(uri, str) else ""
            if kind not in KINDS:
                there_is = ", ".join(f"{known}:" for known in KINDS if known)
                message = f"MLflow has no store of the kind '{kind}:'; expected a folder, or an address with {there_is}"
                problems.append(config.problem(f"hooks.{name}.uri", message))
    return problems


@hookimpl
def pegboard_examples(folder: Path) -> Any:
    """The tests of its promises leave nothing in the working directory."""
    return {"hooks": {"MLflow": {"uri": str(folder / "mlruns")}}}
