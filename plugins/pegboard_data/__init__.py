"""Datasets, transforms, and the commands that split, list, verify and measure image data."""

from typing import Any

from pegboard import Boards, Bridge, hookimpl
from pegboard.registry import DATASETS, TRANSFORMS
from pegboard_data import families
from pegboard_data.commands import index, split, stats, verify


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.datasets.add_lazy("CIFAR10", "pegboard_data.cifar10:CIFAR10")
    boards.datasets.add_lazy("DrawnShapes", "pegboard_data.drawn_shapes:DrawnShapes")
    boards.datasets.add_lazy("ImageFolder", "pegboard_data.image_folder:ImageFolder")
    boards.datasets.add_lazy("IndexFile", "pegboard_data.index_dataset:IndexFile")
    inner = {"dataset": DATASETS}
    boards.datasets.add_lazy("ClassBalanced", "pegboard_data.class_balanced:ClassBalanced", parts=inner)
    boards.datasets.add_lazy("Concat", "pegboard_data.concat:Concat", parts={"datasets": DATASETS})
    boards.datasets.add_lazy("Repeat", "pegboard_data.repeat:Repeat", parts=inner)
    boards.datasets.add_lazy("Subset", "pegboard_data.subset:Subset", parts=inner)
    boards.datasets.add_bridge(Bridge("torchvision", "torchvision", "datasets", families.torchvision_datasets))

    boards.transforms.add_lazy("RandomCrop", "pegboard_data.transforms:RandomCrop")
    boards.transforms.add_lazy("RandomHorizontalFlip", "pegboard_data.transforms:RandomHorizontalFlip")
    boards.transforms.add_lazy("ToFloat", "pegboard_data.transforms:ToFloat")
    boards.transforms.add_lazy("Normalize", "pegboard_data.transforms:Normalize", supplied=("mean", "std"))
    boards.transforms.add_bridge(
        Bridge(
            "torchvision",
            "torchvision",
            "transforms",
            families.torchvision_transforms,
            parts={"transforms": TRANSFORMS},
        )
    )


@hookimpl
def pegboard_commands() -> dict[str, Any]:
    commands = {"split": split, "index": index, "verify": verify, "stats": stats}
    return {name: (module.HELP, module.add_arguments, module.run) for name, module in commands.items()}
