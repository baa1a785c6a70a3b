"""A dataset as the engines see it: uint8 tensors with relabelled targets, decoded once where the config asks for it."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pegboard.data.bad_samples import BadSamples
from pegboard.data.mask import IGNORE, Mask, as_mask, check_fits
from pegboard.data.one_copy import Beside
from pegboard.errors import DataError

Relabel = Mapping[int, Any] | Sequence[Any] | Callable[[Any], Any]


class Samples:
    """What a dataset gives, checked and in one form.

    Args:
        dataset: ``len()`` and ``[i]`` giving (PIL image or tensor (C, H, W), target).
        target_transform: the new target of each old one: a dict, a list (by old number), or a function.
        bad: what to do about a sample that cannot be read.
    """

    def __init__(self, dataset: Any, target_transform: Relabel | None = None, bad: BadSamples | None = None) -> None:
        self.dataset = dataset
        self.target_transform = target_transform
        self.bad = bad or BadSamples()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        """(tensor (C, H, W), uint8 unless the dataset gives tensors of another dtype; target).

        The next one that can be read stands in for one that cannot, if ``bad`` says so.

        Raises:
            DataError: it cannot be read, is no (image, target) pair, or its target has no new one.
        """
        if self.bad.policy == "error":
            return self.read(index)
        for other in range(index, index + len(self)):
            number = other % len(self)
            if number in self.bad.found:
                continue
            try:
                return self.read(number)
            except Exception as error:  # noqa: BLE001  # a damaged file makes a decoder raise anything; max_bad ends it
                self.bad.add(number, str(error))
        raise DataError(f"no sample of {type(self.dataset).__name__} can be read")

    def read(self, index: int) -> tuple[Tensor, Any]:
        """The sample itself."""
        name = type(self.dataset).__name__
        try:
            sample = self.dataset[index]
            if not isinstance(sample, tuple | list) or len(sample) != 2:
                raise DataError(f"sample {index} of {name} is no (image, target) pair but {type(sample).__name__}")
            image = as_tensor(sample[0], index)
        except Exception as error:
            if isinstance(error, DataError) or not _is_of_a_file(error):
                raise
            where, why = path_of(self.dataset, index), str(error) or type(error).__name__
            raise DataError(f"sample {index} of {name}{where} cannot be read: {why}") from error
        target = as_mask(sample[1], getattr(self.dataset, "ignore_index", IGNORE))
        if isinstance(target, Mask):
            check_fits(target, image, f"sample {index} of {name}")
        return image, self.relabel(target, index)

    def relabel(self, target: Any, index: int) -> Any:
        """The target that ``target_transform`` makes of one."""
        if self.target_transform is None:
            return target
        if callable(self.target_transform):
            return self.target_transform(target)
        if isinstance(target, Mask):
            return target.renamed(lambda old: self._new(old, index))
        return self._new(target, index)

    def _new(self, target: Any, index: int) -> Any:
        """What the table of ``target_transform`` says of a class number."""
        try:
            return self.target_transform[int(target)]  # type: ignore[index]  # a function was called instead
        except LookupError:
            raise DataError(f"sample {index} has target {target}, for which target_transform says nothing") from None


class Decoded:
    """Samples that were decoded once, their bytes in one piece of shared memory that worker processes do not copy.

    The ranks of a machine, where they are given, decode a part each, and all read the same memory.
    """

    def __init__(self, samples: Samples, ranks: Beside | None = None) -> None:
        self.bad = samples.bad
        pieces, shapes, self.targets = [], [], []
        for index in range(len(samples)) if ranks is None else ranks.part(len(samples)):
            image, target = samples[index]
            pieces.append(image.contiguous().view(-1))
            shapes.append(tuple(image.shape))
            self.targets.append(target)
        pixels = torch.cat(pieces) if pieces else torch.zeros(0, dtype=torch.uint8)
        if ranks is None:
            self.pixels = pixels.share_memory_()  # type: ignore[no-untyped-call]
        else:
            self.pixels = ranks.together(pixels)
            shapes, self.targets = ranks.joined(shapes), ranks.joined(self.targets)
            ranks.tell(self.bad)
        self.shapes = torch.tensor(shapes, dtype=torch.int32)  # (N, 3) channels, height, width
        self.ends = self.shapes.long().prod(1).cumsum(0)  # (N,) in pixels

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        shape, end = self.shapes[index].tolist(), int(self.ends[index])
        return self.pixels[end - int(np.prod(shape)) : end].view(shape), self.targets[index]


def _is_of_a_file(error: Exception) -> bool:
    """Whether a damaged file is to blame, there or when the image is used: Pillow raises anything for that."""
    if isinstance(error, OSError | SyntaxError):
        return True
    modules = (str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(name == "pegboard.rgb" or name.split(".")[0] == "PIL" for name in modules)


def path_of(dataset: Any, index: int) -> str:
    """``", path/of/its.png"`` where the dataset keeps a list of files as torchvision's do; else empty."""
    files = getattr(dataset, "samples", None) or getattr(dataset, "imgs", None)
    entry = files[index] if isinstance(files, list) and index < len(files) else None
    path = entry[0] if isinstance(entry, tuple | list) and entry else entry
    return f", {path}" if isinstance(path, str | Path) else ""


def as_tensor(image: Any, index: int) -> Tensor:
    """A PIL image of any mode as uint8 (C, H, W), RGB, upright; a tensor is taken as it is.

    Raises:
        DataError: it is neither.
    """
    if isinstance(image, Tensor):
        return image
    if hasattr(image, "convert"):  # a PIL image; Pillow is not imported where no image is
        from pegboard.rgb import to_rgb

        pixels = np.asarray(to_rgb(image))
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    raise DataError(f"sample {index} is {type(image).__name__}; expected a PIL image or a uint8 tensor (C, H, W)")
