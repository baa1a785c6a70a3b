"""LeNet-5 as today's tutorials write it: two convolutions and three fully connected layers, ReLU, max pooling.

Dimension letters: B batch, K classes.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class LeNet(nn.Module):
    """The classic small network for 32 x 32 RGB images; 62,006 parameters for ten classes.

    Its names in a state dict are those of the tutorials: ``conv1 conv2 fc1 fc2 fc3``. Pooling comes before ReLU: both
    orders give the same values, because ReLU is monotone, and this one computes ReLU on a quarter of them.

    Args:
        num_classes: size of the last layer; the run fills in the number of classes of the training data.

    Shapes: images (B, 3, 32, 32) float -> logits (B, K).
    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition", section II.B.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(F.max_pool2d(self.conv1(images), 2))  # (B, 6, 14, 14)
        x = F.relu(F.max_pool2d(self.conv2(x), 2))  # (B, 16, 5, 5)
        x = F.relu(self.fc1(x.flatten(1)))  # (B, 120)
        x = F.relu(self.fc2(x))  # (B, 84)
        logits: Tensor = self.fc3(x)
        return logits
