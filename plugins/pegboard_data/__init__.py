"""Datasets, transforms on whole batches, and the commands that split, list, verify and measure image data."""

from pathlib import Path
from typing import Any

from pegboard import Boards, Bridge, Config, Problem, hookimpl
from pegboard.registry import DATASETS, TRANSFORMS
from pegboard_data import bridged, families, rules
from pegboard_data.commands import cross_validate, index, init, split, stats, verify

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
    boards.datasets.add_lazy("ImageFolder", "pegboard_data.image_folder:ImageFolder")
    boards.datasets.add_lazy("IndexFile", "pegboard_data.index_dataset:IndexFile")
    inner = {"dataset": DATASETS}
    boards.datasets.add_lazy("ClassBalanced", "pegboard_data.class_balanced:ClassBalanced", parts=inner)
    boards.datasets.add_lazy("Concat", "pegboard_data.concat:Concat", parts={"datasets": DATASETS})
    boards.datasets.add_lazy("Repeat", "pegboard_data.repeat:Repeat", parts=inner)
    boards.datasets.add_lazy("Subset", "pegboard_data.subset:Subset", parts=inner)
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
            takes=bridged.TAKES,
            via="pegboard_data.bridged:build",
        )
    )


@hookimpl
def pegboard_check(config: Config) -> list[Problem]:
    return list(rules.problems(config))


@hookimpl
def pegboard_commands() -> dict[str, Any]:
    modules = {
        "init": init,
        "split": split,
        "index": index,
        "verify": verify,
        "stats": stats,
        "cross-validate": cross_validate,
    }
    return {name: (module.HELP, module.add_arguments, module.run) for name, module in modules.items()}


@hookimpl
def pegboard_examples(folder: Path) -> dict[str, Any]:
    from pegboard_data.examples import examples

    return examples(folder)
