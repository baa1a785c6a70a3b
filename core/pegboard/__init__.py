"""pegboard: a plugin-based registry toolkit for training image models and seeing what they do.

The names below are the public ones. They are imported when first used, so that ``import pegboard`` costs nothing
and listing plugins never imports torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pegboard.bridge import Bridge
    from pegboard.cli.saved_run import SavedRun
    from pegboard.config import Config, Duration
    from pegboard.data import Batch, Loader, Mask, Sampler, Transform
    from pegboard.errors import CheckpointError, ConfigError, DataError, PegboardError, Problem
    from pegboard.hooks import About, Hook, Kept, PeriodicHook, SampleHook, Tracker
    from pegboard.hookspecs import hookimpl
    from pegboard.pictures import Pictures, Shown
    from pegboard.registry import (
        DATASETS,
        HOOKS,
        LOSSES,
        METRICS,
        MODELS,
        OPTIMIZERS,
        SAMPLERS,
        SCHEDULERS,
        STRATEGIES,
        TRANSFORMS,
        Boards,
        Registry,
    )
    from pegboard.runner import Runner
    from pegboard.strategies import Strategy

__version__ = "0.1.0"

_HOMES = {
    "pegboard.bridge": ("Bridge",),
    "pegboard.cli.saved_run": ("SavedRun",),
    "pegboard.config": ("Config", "Duration"),
    "pegboard.data": ("Batch", "Loader", "Mask", "Sampler", "Transform"),
    "pegboard.errors": ("CheckpointError", "ConfigError", "DataError", "PegboardError", "Problem"),
    "pegboard.hooks": ("About", "Hook", "Kept", "PeriodicHook", "SampleHook", "Tracker"),
    "pegboard.hookspecs": ("hookimpl",),
    "pegboard.pictures": ("Pictures", "Shown"),
    "pegboard.registry": (
        "DATASETS",
        "HOOKS",
        "LOSSES",
        "METRICS",
        "MODELS",
        "OPTIMIZERS",
        "SAMPLERS",
        "SCHEDULERS",
        "STRATEGIES",
        "TRANSFORMS",
        "Boards",
        "Registry",
    ),
    "pegboard.runner": ("Runner",),
    "pegboard.strategies": ("Strategy",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "DATASETS",
    "HOOKS",
    "LOSSES",
    "METRICS",
    "MODELS",
    "OPTIMIZERS",
    "SAMPLERS",
    "SCHEDULERS",
    "STRATEGIES",
    "TRANSFORMS",
    "About",
    "Batch",
    "Boards",
    "Bridge",
    "CheckpointError",
    "Config",
    "ConfigError",
    "DataError",
    "Duration",
    "Hook",
    "Kept",
    "Loader",
    "Mask",
    "PegboardError",
    "PeriodicHook",
    "Pictures",
    "Problem",
    "Registry",
    "Runner",
    "SampleHook",
    "Sampler",
    "SavedRun",
    "Shown",
    "Strategy",
    "Tracker",
    "Transform",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'pegboard' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
