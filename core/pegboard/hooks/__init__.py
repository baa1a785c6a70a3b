"""The base of every hook, and the few hooks that every run has."""

from pegboard.hooks.hook import POINTS, Hook
from pegboard.hooks.periodic import PeriodicHook
from pegboard.hooks.sample import Kept, SampleHook
from pegboard.hooks.tracker import About, Tracker
from pegboard.hookspecs import hookimpl
from pegboard.registry import Boards

__all__ = ["POINTS", "About", "Hook", "Kept", "PeriodicHook", "SampleHook", "Tracker"]


@hookimpl
def pegboard_register(boards: Boards) -> None:
    """The core's own parts come through the same door as a stranger's."""
    boards.hooks.add_lazy("Checkpoint", "pegboard.hooks.checkpoint:Checkpoint")
    boards.hooks.add_lazy("MetricsFile", "pegboard.hooks.metrics_file:MetricsFile")
    boards.hooks.add_lazy("Progress", "pegboard.hooks.progress:Progress")
    boards.strategies.add_lazy("DDP", "pegboard.strategies.ddp:DDP")
    boards.strategies.add_lazy("FSDP", "pegboard.strategies.fsdp:FSDP")
