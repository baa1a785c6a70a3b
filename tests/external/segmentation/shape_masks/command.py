"""``pegboard iou RUN``: how well each class is met."""

import argparse

from pegboard import SavedRun

HELP = "say how well a run meets the area of each class: intersection over union"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As pegboard's own commands about a run, and which data."""
    SavedRun.add_arguments(parser)
    parser.add_argument("--split", choices=("train", "val", "test"), default="val", help="which data; val unless given")


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each class, and their mean; 0, the exit status."""
    saved = SavedRun.named_by(arguments)
    saved.config.values["metrics"] = {"iou": {"type": "shape_masks:MeanIoU"}}  # whatever the run itself has measured
    tested, figures = saved.tested(arguments.split)
    of_each = zip(map(str, tested.classes), tested.metrics["iou"].per_class(), strict=True)
    lines = [*of_each, ("mean", figures[f"{arguments.split}/iou"])]
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name:<{width}}  {value:.4f}")
    return 0
