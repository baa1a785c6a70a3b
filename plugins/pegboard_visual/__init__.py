"""Seeing what a run does: TensorBoard, and where an image speaks for a class."""

from typing import Any

from pegboard import Boards, hookimpl
from pegboard_visual.commands import cam as cam_command  # `cam` will be the package beside it
from pegboard_visual.commands import confusion as confusion_command
from pegboard_visual.commands import embedding as embedding_command
from pegboard_visual.commands import mistakes as mistakes_command


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.hooks.add_lazy("ConfusionMatrix", "pegboard_visual.confusion_hook:ConfusionMatrix")
    boards.hooks.add_lazy("Embedding", "pegboard_visual.embedding_hook:Embedding")
    boards.hooks.add_lazy("GradCAM", "pegboard_visual.grad_cam_hook:GradCAM")
    boards.hooks.add_lazy("Mistakes", "pegboard_visual.mistakes_hook:Mistakes")
    boards.hooks.add_lazy("TensorBoard", "pegboard_visual.tensorboard:TensorBoard")


@hookimpl
def pegboard_commands() -> dict[str, Any]:
    return {
        "cam": (cam_command.HELP, cam_command.add_arguments, cam_command.run),
        "confusion": (confusion_command.HELP, confusion_command.add_arguments, confusion_command.run),
        "embedding": (embedding_command.HELP, embedding_command.add_arguments, embedding_command.run),
        "mistakes": (mistakes_command.HELP, mistakes_command.add_arguments, mistakes_command.run),
    }
