"""Mirror images.

Dimension letters: B samples, C channels, H height, W width.
"""

import torch
from torch import Tensor

from pegboard import Mask, Transform
from pegboard_data.transforms import by_numpy
from pegboard_data.transforms.arguments import probability


def mirror(images: Tensor, chosen: Tensor, dim: int) -> Tensor:
    """Images (B, C, H, W) of which those that are ``chosen``, (B, 1) bool, are mirrored along ``dim``, 2 or 3."""
    if by_numpy.takes(images):
        return by_numpy.mirrored(images, chosen, dim)
    return torch.where(chosen.view(-1, 1, 1, 1).to(images.device), images.flip(dim), images)


class RandomHorizontalFlip(Transform):
    """Mirror left and right with probability ``p``.

    Args:
        p: how probable it is, from 0 to 1.

    Shapes: images (B, C, H, W), any dtype -> the same.
    Source: Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks", section 4.1.
    """

    uniforms = 1

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability(type(self).__name__, p)

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """Which samples are mirrored, (B, 1) bool."""
        return u < self.p

    def apply(self, images: Tensor, mirrored: Tensor) -> Tensor:
        return mirror(images, mirrored, dim=3)

    def apply_mask(self, mask: Mask, mirrored: Tensor) -> Mask:
        return mask.moved(lambda pixels: self.apply(pixels, mirrored))


class RandomVerticalFlip(RandomHorizontalFlip):
    """Mirror top and bottom with probability ``p``.

    Args:
        p: how probable it is, from 0 to 1.

    Shapes: images (B, C, H, W), any dtype -> the same.
    Source: torchvision.transforms.v2.RandomVerticalFlip.
    """

    def apply(self, images: Tensor, mirrored: Tensor) -> Tensor:
        return mirror(images, mirrored, dim=2)


class AlternatingFlip(Transform):
    """Mirror left and right in every other epoch; which epoch comes first is drawn once for each sample.

    Sample i is mirrored in epoch e if and only if (u_i < 0.5) xor (e is odd), so that two epochs in a row always show
    both sides of every image, where RandomHorizontalFlip repeats half of them.

    Shapes: images (B, C, H, W), any dtype -> the same.
    Source: Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv:2404.00498, section 3.6.
    """

    uniforms = 1
    per_epoch = False

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """Which samples are mirrored in this epoch, (B, 1) bool."""
        return (u < 0.5) ^ (epoch % 2 == 1)

    def apply(self, images: Tensor, mirrored: Tensor) -> Tensor:
        return mirror(images, mirrored, dim=3)

    def apply_mask(self, mask: Mask, mirrored: Tensor) -> Mask:
        return mask.moved(lambda pixels: self.apply(pixels, mirrored))
