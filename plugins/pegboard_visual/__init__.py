"""Seeing what a run does: TensorBoard, and where an image speaks for a class."""

from typing import Any

from pegboard import Boards, hookimpl
from pegboard_visual.commands import cam as cam_command  # `cam` will be the package beside it
from pegboard_visual.commands import curves as curves_command
from pegboard_visual.commands import report as report_command


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.hooks.add_lazy("GradCAM", "pegboard_visual.grad_cam_hook:GradCAM")
    boards.hooks.add_lazy("Report", "pegboard_visual.report.hook:Report")
    boards.hooks.add_lazy("TensorBoard", "pegboard_visual.tensorboard:TensorBoard")


@hookimpl
def pegboard_commands() -> dict[str, Any]:
    return {
        "cam": (cam_command.HELP, cam_command.add_arguments, cam_command.run),
        "curves": (curves_command.HELP, curves_command.add_arguments, curves_command.run),
        "report": (report_command.HELP, report_command.add_arguments, report_command.run),
    }
