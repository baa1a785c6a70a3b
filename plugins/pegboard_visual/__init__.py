"""Seeing what a run does: TensorBoard, and where an image speaks for a class."""

from pathlib import Path
from typing import Any

from pegboard import Boards, hookimpl
from pegboard_visual.commands import cam as cam_command  # `cam` will be the package beside it


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.hooks.add_lazy("GradCAM", "pegboard_visual.grad_cam_hook:GradCAM")
    boards.hooks.add_lazy("TensorBoard", "pegboard_visual.tensorboard:TensorBoard")


@hookimpl
def pegboard_commands() -> dict[str, Any]:
    return {"cam": (cam_command.HELP, cam_command.add_arguments, cam_command.run)}


@hookimpl
def pegboard_examples(folder: Path) -> dict[str, Any]:
    return {"hooks": {"GradCAM": {"images": 2}}}  # to be quick; it needs none
