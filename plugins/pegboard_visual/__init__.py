"""Seeing what a run does: TensorBoard, where an image speaks for a class, what layers give, learn and are fed."""

from typing import Any

from pegboard import Boards, hookimpl
from pegboard_visual.commands import cam as cam_command  # `cam` will be the package beside it
from pegboard_visual.commands import histograms as histograms_command
from pegboard_visual.commands import kernels as kernels_command
from pegboard_visual.commands import maps as maps_command
from pegboard_visual.commands import samples as samples_command


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.hooks.add_lazy("FeatureMaps", "pegboard_visual.feature_maps_hook:FeatureMaps")
    boards.hooks.add_lazy("GradCAM", "pegboard_visual.grad_cam_hook:GradCAM")
    boards.hooks.add_lazy("Histograms", "pegboard_visual.histograms_hook:Histograms")
    boards.hooks.add_lazy("Kernels", "pegboard_visual.kernels_hook:Kernels")
    boards.hooks.add_lazy("Samples", "pegboard_visual.samples_hook:Samples")
    boards.hooks.add_lazy("TensorBoard", "pegboard_visual.tensorboard:TensorBoard")


@hookimpl
def pegboard_commands() -> dict[str, Any]:
    return {
        "cam": (cam_command.HELP, cam_command.add_arguments, cam_command.run),
        "histograms": (histograms_command.HELP, histograms_command.add_arguments, histograms_command.run),
        "kernels": (kernels_command.HELP, kernels_command.add_arguments, kernels_command.run),
        "maps": (maps_command.HELP, maps_command.add_arguments, maps_command.run),
        "samples": (samples_command.HELP, samples_command.add_arguments, samples_command.run),
    }
