"""Small networks for the tests of maps."""

from pathlib import Path

import torch
from torch import Tensor, nn

from pegboard import checkpoint
from pegboard_models.lenet import LeNet

TRAINED = Path(__file__).resolve().parents[4] / "shared" / "data" / "net_params_72p.pkl"


class ModularLeNet(LeNet):
    """LeNet with its ReLUs as modules, which Captum can see; in place if asked."""

    def __init__(self, num_classes: int = 10, inplace: bool = False) -> None:
        super().__init__(num_classes)
        self.relu1, self.relu2, self.relu3, self.relu4 = (nn.ReLU(inplace) for _ in range(4))
        self.pool = nn.MaxPool2d(2)

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu1(self.pool(self.conv1(images)))
        x = self.relu2(self.pool(self.conv2(x)))
        x = self.relu4(self.fc2(self.relu3(self.fc1(x.flatten(1)))))
        logits: Tensor = self.fc3(x)
        return logits


class Pooled(nn.Module):
    """Two convolutions, ReLU in place, dropout, a global average pool and a linear layer."""

    def __init__(self, classes: int = 4, maps: int = 5) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4, maps, 3)
        self.relu2 = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(maps, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu2(self.conv2(self.relu1(self.norm(self.conv1(images)))))
        logits: Tensor = self.fc(self.drop(x.mean((2, 3))))
        return logits


class Tokens(nn.Module):
    """A token (8 numbers) for each 4 x 4 pixels, and no maps behind them."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 4, 4)
        self.block = nn.Linear(8, 8)
        self.head = nn.Linear(8, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.block(self.embed(images).flatten(2).transpose(1, 2))
        logits: Tensor = self.head(x.relu().mean(1))
        return logits


def maps_of_tokens(tokens: Tensor) -> Tensor:
    """(B, T, D) -> (B, D, h, w), of images that are square."""
    side = round(tokens.shape[1] ** 0.5)
    return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)


def lenet(kind: type[LeNet] = LeNet) -> LeNet:
    """LeNet with the weights that were trained elsewhere."""
    model = kind(10)
    model.load_state_dict(checkpoint.load(TRAINED))
    return model.eval()


def pooled(**arguments: int) -> Pooled:
    torch.manual_seed(1)
    return Pooled(**arguments).eval()


def images(count: int = 3, size: int = 32, seed: int = 0) -> Tensor:
    """(count, 3, size, size) float32."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))
