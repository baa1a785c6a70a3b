"""Seeing what a run does: what it gets right and wrong, where it looks, what its layers learn, give and are fed."""

from pathlib import Path
from typing import Any

from pegboard import Boards, Config, Problem, hookimpl

HOOKS = {
    "ConfusionMatrix": "hooks.confusion",
    "Embedding": "hooks.embedding",
    "FeatureMaps": "hooks.feature_maps",
    "GradCAM": "hooks.cam",
    "Histograms": "hooks.histograms",
    "Kernels": "hooks.kernels",
    "Mistakes": "hooks.mistakes",
    "Report": "hooks.report",
    "Samples": "hooks.samples",
    "TensorBoard": "tensorboard",
}


@hookimpl
def pegboard_register(boards: Boards) -> None:
    for name, module in HOOKS.items():
        boards.hooks.add_lazy(name, f"pegboard_visual.{module}:{name}")


@hookimpl
def pegboard_check(config: Config) -> list[Problem]:
    from pegboard_visual.hooks.arguments import problems

    return list(problems(config))


@hookimpl
def pegboard_commands() -> dict[str, Any]:
    from pegboard_visual.commands import (
        cam,
        confusion,
        curves,
        embedding,
        histograms,
        kernels,
        maps,
        mistakes,
        report,
        samples,
    )

    modules = {
        "cam": cam,
        "confusion": confusion,
        "curves": curves,
        "embedding": embedding,
        "histograms": histograms,
        "kernels": kernels,
        "maps": maps,
        "mistakes": mistakes,
        "report": report,
        "samples": samples,
    }
    return {name: (module.HELP, module.add_arguments, module.run) for name, module in modules.items()}


@hookimpl
def pegboard_examples(folder: Path) -> dict[str, Any]:
    """To be quick; they need none."""
    return {
        "hooks": {
            "ConfusionMatrix": {"pairs": 1},
            "Embedding": {"samples": 8},
            "GradCAM": {"images": 2},
            "Mistakes": {"images": 2},
        }
    }
