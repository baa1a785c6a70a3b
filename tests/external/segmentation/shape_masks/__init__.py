"""A class for every pixel: drawn scenes with masks, a small U-Net, mean IoU, and pictures of what is found."""

from pegboard import Boards, hookimpl


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.datasets.add_lazy("ShapeMasks", "shape_masks.scenes:ShapeMasks")
    boards.models.add_lazy("UNet", "shape_masks.unet:UNet", supplied=("num_classes",))
    boards.metrics.add_lazy("MeanIoU", "shape_masks.mean_iou:MeanIoU", supplied=("num_classes", "ignore_index"))
    boards.hooks.add_lazy("Overlay", "shape_masks.overlay:Overlay")
