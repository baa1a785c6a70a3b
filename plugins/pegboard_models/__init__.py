"""Models: LeNet, and bridges to every torch.nn layer and every classification model of torchvision and timm."""

from pegboard import Boards, Bridge, hookimpl
from pegboard_models import families


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.models.add_lazy("LeNet", "pegboard_models.lenet:LeNet", supplied=("num_classes",))
    boards.models.add_bridge(Bridge("torch", "torch", "layers", families.torch_layers))
    boards.models.add_bridge(
        Bridge("torchvision", "torchvision", "models", families.torchvision_models, supplied=("num_classes",))
    )
    boards.models.add_bridge(Bridge("timm", "timm", "models", families.timm_models, supplied=("num_classes",)))
