"""Datasets and transforms: CIFAR-10, drawn shapes, transforms on whole batches, and bridges to torchvision's."""

from pegboard import Boards, Bridge, Config, Problem, hookimpl
from pegboard.registry import TRANSFORMS
from pegboard_data import families, rules

# Transforms that take nothing from the run.
PLAIN = (
    "AlternatingFlip", "CenterCrop", "ColorJitter", "GaussianBlur", "Grayscale", "Pad", "RandomAffine", "RandomCrop",
    "RandomErasing", "RandomGrayscale", "RandomHorizontalFlip", "RandomResizedCrop", "RandomRotation",
    "RandomVerticalFlip", "Resize", "ToFloat",
)  # fmt: skip


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.datasets.add_lazy("CIFAR10", "pegboard_data.cifar10:CIFAR10")
    boards.datasets.add_lazy("DrawnShapes", "pegboard_data.drawn_shapes:DrawnShapes")
    boards.datasets.add_bridge(Bridge("torchvision", "torchvision", "datasets", families.torchvision_datasets))

    boards.samplers.add_bridge(Bridge("torch", "torch", "samplers", families.torch_samplers, supplied=("data_source",)))

    for name in PLAIN:
        boards.transforms.add_lazy(name, f"pegboard_data.transforms:{name}")
    boards.transforms.add_lazy("ToTensor", "pegboard_data.transforms:ToFloat")
    boards.transforms.add_lazy("Normalize", "pegboard_data.transforms:Normalize", supplied=("mean", "std"))
    for name in ("MixUp", "CutMix"):
        boards.transforms.add_lazy(name, f"pegboard_data.transforms:{name}", supplied=("num_classes",))
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
def pegboard_check(config: Config) -> list[Problem]:
    return list(rules.problems(config))
