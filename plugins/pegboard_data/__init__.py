"""Datasets and transforms: CIFAR-10, drawn shapes, what a CIFAR-10 recipe needs, and bridges to torchvision's."""

from pegboard import Boards, Bridge, hookimpl
from pegboard.registry import TRANSFORMS
from pegboard_data import families


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.datasets.add_lazy("CIFAR10", "pegboard_data.cifar10:CIFAR10")
    boards.datasets.add_lazy("DrawnShapes", "pegboard_data.drawn_shapes:DrawnShapes")
    boards.datasets.add_bridge(Bridge("torchvision", "torchvision", "datasets", families.torchvision_datasets))

    boards.samplers.add_bridge(Bridge("torch", "torch", "samplers", families.torch_samplers, supplied=("data_source",)))

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
