"""Transforms on whole batches, one file a family; each gives a sample what it would get alone.

Arguments are named as torchvision's v2 names them. A transform that pegboard lacks is found under its own name in
torchvision, and torchvision's version of one that it has under ``torchvision:NAME``; those run sample by sample.
"""

from pegboard_data.transforms.affine import RandomAffine, RandomRotation
from pegboard_data.transforms.color import ColorJitter, GaussianBlur, Grayscale, RandomGrayscale
from pegboard_data.transforms.erasing import RandomErasing
from pegboard_data.transforms.flips import AlternatingFlip, RandomHorizontalFlip, RandomVerticalFlip
from pegboard_data.transforms.geometry import CenterCrop, Pad, RandomCrop, RandomResizedCrop, Resize
from pegboard_data.transforms.mixing import CutMix, MixUp
from pegboard_data.transforms.values import Normalize, ToFloat, denormalize

__all__ = [
    "AlternatingFlip",
    "CenterCrop",
    "ColorJitter",
    "CutMix",
    "GaussianBlur",
    "Grayscale",
    "MixUp",
    "Normalize",
    "Pad",
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "ToFloat",
    "denormalize",
]
