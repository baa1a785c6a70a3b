"""A small residual network for 32 x 32 images.

Dimension letters: B batch, C channels, H height, W width, K classes.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from pegboard import PegboardError


class ResNet(nn.Module):
    """The residual network of the CIFAR-10 experiments: three stages of blocks, at 32, 16 and 8 pixels a side.

    With depth 20 and width 1 it has 272,474 parameters for ten classes, with width 4 it has 4.3 million. Where a stage
    begins with other channels than it gets, the way past the block is a 1 x 1 convolution. Each block starts as the
    identity: the last scale in it is 0.

    Args:
        num_classes: size of the last layer; the run fills in the number of classes of the training data.
        depth: weighted layers, 6 n + 2 for n blocks a stage: 20, 32, 44, 56, 110.
        width: factor on the 16, 32 and 64 channels of the stages.

    Shapes: images (B, 3, H, W) float -> logits (B, K); made for H = W = 32, any size from 4 x 4 will do.
    Raises:
        PegboardError: depth is not 6 n + 2, or width is below 1.
    Source: He et al. 2015, arXiv:1512.03385, section 4.2; width: Zagoruyko and Komodakis 2016, arXiv:1605.07146; zero
    scale: Goyal et al. 2017, arXiv:1706.02677, section 5.1.
    """

    def __init__(self, num_classes: int, depth: int = 20, width: int = 1) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1 or width < 1:
            raise PegboardError(
                f"ResNet: depth must be 6 n + 2 (20, 32, 44, 56, 110) and width at least 1, got {depth} and {width}"
            )
        first, second, third = (channels * width for channels in (16, 32, 64))
        self.conv1 = _conv(3, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.stage1 = _stage(16, first, blocks, 1)
        self.stage2 = _stage(first, second, blocks, 2)
        self.stage3 = _stage(second, third, blocks, 2)
        self.fc = nn.Linear(third, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(images)))  # (B, 16, H, W)
        x = self.stage3(self.stage2(self.stage1(x)))  # (B, 64 width, H / 4, W / 4)
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions, and a way past them.

    Shapes: (B, C in, H, W) -> (B, C out, H / stride, W / stride).
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = _conv(channels_in, channels_out, stride)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = _conv(channels_out, channels_out)
        self.bn2 = nn.BatchNorm2d(channels_out)
        nn.init.zeros_(self.bn2.weight)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


def _conv(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def _stage(channels_in: int, channels_out: int, blocks: int, stride: int) -> nn.Sequential:
    """Blocks of one size of image; the first of them makes it smaller by ``stride``."""
    first = BasicBlock(channels_in, channels_out, stride)
    return nn.Sequential(first, *(BasicBlock(channels_out, channels_out) for _ in range(blocks - 1)))
