"""A class for every pixel: drawn scenes with masks, a small U-Net, a loss, mean IoU, and pictures of what is found."""

from typing import Any

from pegboard import Boards, hookimpl
from shape_masks import command

pegboard_interface = 1  # the version of these functions that this is written for

FROM_THE_DATA = ("num_classes", "ignore_index")


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.datasets.add_lazy("ShapeMasks", "shape_masks.scenes:ShapeMasks")
    boards.transforms.add_lazy("QuarterTurn", "shape_masks.turns:QuarterTurn")
    boards.models.add_lazy("UNet", "shape_masks.unet:UNet", supplied=("num_classes",))
    boards.losses.add_lazy("EntropyAndDice", "shape_masks.overlap:EntropyAndDice", supplied=("ignore_index",))
    boards.metrics.add_lazy("MeanIoU", "shape_masks.mean_iou:MeanIoU", supplied=FROM_THE_DATA)
    boards.hooks.add_lazy("Overlay", "shape_masks.overlay:Overlay")


@hookimpl
def pegboard_commands() -> dict[str, Any]:
    return {"iou": (command.HELP, command.add_arguments, command.run)}
