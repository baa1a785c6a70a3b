"""Models: LeNet, a small ResNet, layers put together by a config, and bridges to every torch.nn layer and every
classification model of torchvision and timm."""

from pathlib import Path
from typing import Any

from pegboard import Boards, Bridge, hookimpl
from pegboard.registry import MODELS
from pegboard_models import families


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.models.add_lazy("LeNet", "pegboard_models.lenet:LeNet", supplied=("num_classes",))
    boards.models.add_lazy("ResNet", "pegboard_models.resnet:ResNet", supplied=("num_classes",))
    boards.models.add_lazy("Sequential", "pegboard_models.layers:Sequential", parts={"layers": MODELS})
    boards.models.add_lazy("Repeat", "pegboard_models.layers:Repeat", parts={"block": MODELS}, makers=("block",))
    inner = dict.fromkeys(families.LAYERS_INSIDE, MODELS)
    boards.models.add_bridge(
        Bridge("torch", "torch", "layers", families.torch_layers, words=("num_classes",), parts=inner)
    )
    boards.models.add_bridge(
        Bridge(
            "torchvision",
            "torchvision",
            "models",
            families.torchvision_models,
            supplied=("num_classes",),
            via="pegboard_models.pretrained:torchvision_model",
        )
    )
    boards.models.add_bridge(
        Bridge("timm", "timm", "models", families.timm_models, via="pegboard_models.pretrained:timm_model")
    )


@hookimpl
def pegboard_examples(folder: Path) -> dict[str, Any]:
    layers = [{"type": "Flatten"}]
    return {"models": {"Sequential": {"layers": layers}, "Repeat": {"block": {"type": "ReLU"}, "times": 2}}}
