"""CIFAR-10 from wherever it is to be had: image folders, the official archive, the network, or a drawn stand-in.

Dimension letters: N samples.
"""

import logging
import pickle
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pegboard.errors import DataError
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from pegboard_data.download import fetch
from pegboard_data.drawn_shapes import DrawnShapes

logger = logging.getLogger("pegboard")

Split = Literal["train", "val", "test"]

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
MD5 = "c58f30108f718f92721af3b95e74349a"
BATCHES = "cifar-10-batches-py"
IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
STAND_IN_SIZES: dict[str, int] = {"train": 18_000, "val": 2_000, "test": 2_000}

_failed: dict[str, str] = {}  # URL -> why it could not be fetched; asked once a process, not once a split


@dataclass(frozen=True)
class Samples:
    """The images of one part of the data, wherever they lie.

    Args:
        image: index -> PIL image or uint8 tensor (3, 32, 32).
        targets: (N,) class of each.
    """

    image: Callable[[int], Image.Image | Tensor]
    targets: list[int]
    classes: list[str]


class CIFAR10:
    """CIFAR-10: 32 x 32 RGB images of ten classes; ``val`` is a stratified tenth of the training images.

    Looks in this order for image folders ``root/train/<class>/*`` and ``root/test/<class>/*``, for the official
    ``root/cifar-10-batches-py``, and for the official archive on the network.

    Args:
        root: folder of the data.
        split: ``"test"`` is for the test command alone.
        on_missing: ``"stand-in"`` gives ``DrawnShapes`` where the data is not to be had, with a warning.
        val_fraction: share of each class's training images that is ``val``, rounded, at least one image.
        val_seed: what these are drawn from.
        url, md5: the archive and its checksum.
        timeout: seconds without an answer after which the network counts as absent.

    Raises:
        DataError: no data; a class folder without images; train and test with different classes; a damaged file.
    Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images".
    """

    def __init__(
        self,
        root: str,
        split: Split,
        on_missing: Literal["error", "stand-in"] = "error",
        val_fraction: float = 0.1,
        val_seed: int = 0,
        url: str = URL,
        md5: str = MD5,
        timeout: float = 5.0,
    ) -> None:
        self.stand_in = False
        self.label = "CIFAR-10"
        self.mean, self.std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
        samples = _find(Path(root).expanduser(), split == "test", url, md5, timeout, on_missing)
        if samples is None:
            self._stand_in(split)
            return
        self._image, self.classes = samples.image, samples.classes
        targets = np.asarray(samples.targets)
        self._chosen = np.arange(len(targets))
        if split != "test":
            is_val = stratified(targets, val_fraction, val_seed, samples.classes)
            self._chosen = np.flatnonzero(is_val if split == "val" else ~is_val)
        self.targets: list[int] = targets[self._chosen].tolist()
        self.num_classes = len(self.classes)

    def _stand_in(self, split: Split) -> None:
        shapes = DrawnShapes(STAND_IN_SIZES[split], split)
        self.stand_in, self.label = True, "stand-in"
        self.mean, self.std = shapes.mean, shapes.std
        self.classes, self.num_classes, self.targets = shapes.classes, shapes.num_classes, shapes.targets
        self._image, self._chosen = (lambda index: shapes[index][0]), np.arange(len(shapes))

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> tuple[Image.Image | Tensor, int]:
        return self._image(int(self._chosen[index])), self.targets[index]


def stratified(targets: NDArray[Any], fraction: float, seed: int, classes: Sequence[str]) -> NDArray[np.bool_]:
    """Which samples are validation: ``fraction`` of each class, rounded, at least one and never all; (N,) bool."""
    if not 0 < fraction < 1:
        raise DataError(f"val_fraction must be between 0 and 1, got {fraction}")
    generator = np.random.default_rng(seed)
    is_val = np.zeros(len(targets), dtype=bool)
    for target, name in enumerate(classes):
        of_class = np.flatnonzero(targets == target)
        if len(of_class) < 2:
            raise DataError(
                f"class {name!r} has {len(of_class)} training images; at least 2 are needed to split off val"
            )
        count = min(max(1, round(fraction * len(of_class))), len(of_class) - 1)
        is_val[generator.permutation(of_class)[:count]] = True
    return is_val


def _find(root: Path, test: bool, url: str, md5: str, timeout: float, on_missing: str) -> Samples | None:
    """The samples, or None where the stand-in is wanted."""
    if (root / "train").is_dir() or (root / "test").is_dir():
        return _from_folders(root, test)
    if (root / BATCHES).is_dir():
        return _from_batches(root / BATCHES, test)
    reason = _failed.get(url) or _download(root, url, md5, timeout)
    if not reason:
        return _from_batches(root / BATCHES, test)
    if on_missing == "stand-in":
        if url not in _failed:
            logger.warning(
                "there is no CIFAR-10 in %s, and the network gives none (%s): training on a STAND-IN", root, reason
            )
        _failed[url] = reason
        return None
    _failed[url] = reason
    raise DataError(
        f"there is no CIFAR-10 in {str(root)!r}. Three ways to get it: put images at {root}/train/<class>/* and "
        f"{root}/test/<class>/*; unpack the official archive there, as {root / BATCHES}; or let it be downloaded, "
        f"which failed: {reason}"
    )


# -- image folders -----------------------------------------------------------------------------------------------


def _from_folders(root: Path, test: bool) -> Samples:
    part = root / ("test" if test else "train")
    if not part.is_dir():
        raise DataError(f"there is no {part}; expected a folder for each class in it")
    classes = _classes(part)
    other = root / ("train" if test else "test")
    if other.is_dir() and classes != _classes(other):
        different = sorted({*classes} ^ {*_classes(other)})
        raise DataError(f"{part} and {other} differ in their classes: {', '.join(different)}")
    paths: list[Path] = []
    targets: list[int] = []
    for target, name in enumerate(classes):
        files = sorted(file for file in (part / name).iterdir() if file.suffix.lower() in IMAGES)
        if not files:
            raise DataError(f"{part / name} holds no image; expected files ending in {', '.join(sorted(IMAGES))}")
        paths += files
        targets += [target] * len(files)
    return Samples(lambda index: _open(paths[index], index), targets, classes)


def _classes(part: Path) -> list[str]:
    names = sorted(folder.name for folder in part.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    if not names:
        raise DataError(f"{part} has no folders; expected one for each class")
    return names


def _open(path: Path, index: int) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise DataError(f"sample {index}, {path}, cannot be read as an image: {error}") from error


# -- the official archive ----------------------------------------------------------------------------------------


def _from_batches(folder: Path, test: bool) -> Samples:
    names = ["test_batch"] if test else [f"data_batch_{number}" for number in range(1, 6)]
    batches = [_unpickle(folder / name) for name in names]
    try:
        images = np.concatenate([np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32) for batch in batches])
        targets = [int(target) for batch in batches for target in batch["labels"]]
        classes = [_text(name) for name in _unpickle(folder / "batches.meta")["label_names"]]
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{folder} is not the official CIFAR-10: {type(error).__name__}: {error}") from error
    if len(images) != len(targets) or not all(0 <= target < len(classes) for target in targets):
        raise DataError(f"{folder} is damaged: {len(images)} images, {len(targets)} labels, {len(classes)} classes")
    tensor = torch.from_numpy(images)
    return Samples(lambda index: tensor[index], targets, classes)


class _OnlyArrays(pickle.Unpickler):
    """Reads the official pickles, which hold numpy arrays, lists and strings, and refuses whatever else."""

    ALLOWED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }
    )

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="bytes")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def _unpickle(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            held = _OnlyArrays(file).load()
        return {_text(key): value for key, value in held.items()}
    except FileNotFoundError:
        raise DataError(f"there is no {path}; the archive is not whole") from None
    except Exception as error:  # a damaged pickle may raise anything
        raise DataError(f"{path} is refused: {error}") from error


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _download(root: Path, url: str, md5: str, timeout: float) -> str:
    """Fetch and unpack the archive into ``root``; nothing half-written stays. Empty, or why it failed."""
    made = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as beside:
            archive = Path(beside) / "archive.tar.gz"
            fetch(url, archive, md5=md5, timeout=timeout)
            with tarfile.open(archive) as tar:
                tar.extractall(beside, filter="data")
            unpacked = Path(beside) / BATCHES
            if not unpacked.is_dir():
                return f"{url} holds no {BATCHES}"
            shutil.move(unpacked, root / BATCHES)
        return ""
    except (DataError, OSError, tarfile.TarError) as error:
        return str(error)
    finally:
        for folder in made:  # those that we made and that stayed empty, innermost first
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
