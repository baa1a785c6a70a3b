"""Transforms, batches and the loader with its two engines."""

from pegboard.data.batch import Batch
from pegboard.data.loader import Loader
from pegboard.data.mask import Mask
from pegboard.data.sampler import Sampler
from pegboard.data.transform import Transform

__all__ = ["Batch", "Loader", "Mask", "Sampler", "Transform"]
