"""Hooks: early stop, best checkpoint, averaged weights, figures of the gradients, and a watchdog."""

from pathlib import Path
from typing import Any

from pegboard import Boards, Config, Problem, hookimpl
from pegboard_hooks import rules


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.hooks.add_lazy("EarlyStop", "pegboard_hooks.early_stop:EarlyStop", metrics=("metric",))
    boards.hooks.add_lazy("BestCheckpoint", "pegboard_hooks.best_checkpoint:BestCheckpoint", metrics=("metric",))
    boards.hooks.add_lazy("EMA", "pegboard_hooks.ema:EMA")
    boards.hooks.add_lazy("GradientStats", "pegboard_hooks.gradient_stats:GradientStats")
    boards.hooks.add_lazy("Watchdog", "pegboard_hooks.watchdog:Watchdog")


@hookimpl
def pegboard_check(config: Config) -> list[Problem]:
    return list(rules.problems(config))


@hookimpl
def pegboard_examples(folder: Path) -> dict[str, Any]:
    watches = {"metric": "val/loss", "better": "lower"}
    return {"hooks": {"EarlyStop": watches, "BestCheckpoint": watches}}
