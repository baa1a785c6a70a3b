"""CIFAR-10 from image folders, from the official batches, or from the network."""

import codecs
import logging
import pickle
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pegboard.errors import DataError, did_you_mean
from pegboard_data.download import fetch, unpack
from pegboard_data.drawn_shapes import DrawnShapes, Split, check_choice
from pegboard_data.folders import class_names, visible
from pegboard_data.images import SUFFIXES, kinds, read_image

logger = logging.getLogger("pegboard")

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
MD5 = "c58f30108f718f92721af3b95e74349a"
BATCHES = "cifar-10-batches-py"  # the folder inside the official archive
BATCH_FILES = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
STAND_IN_IMAGES: dict[Split, int] = {"train": 18000, "val": 2000, "test": 2000}

_failed_downloads: dict[str, str] = {}  # URL to reason, so that train and val wait for a dead network once, not twice
_announced: set[str] = set()  # warnings that this process has given


@dataclass(frozen=True)
class _Samples:
    """Images, as files or as (N, 3, H, W) uint8, with a class number for each and the classes' names."""

    images: Sequence[Path] | Tensor
    targets: list[int]
    classes: list[str]


class CIFAR10:
    """60,000 small photographs of ten kinds of thing: 50,000 to train on, 10,000 to test on, 32 x 32 pixels, RGB.

    Looks under ``root`` for image folders ``train/<class>/*`` and ``test/<class>/*``; then for the official
    ``cifar-10-batches-py``; then downloads the official archive into ``root``. Validation images are cut from the
    training images, the same share of every class; ``split="test"`` alone reads the test images.

    Args:
        root: folder of the data; a download creates it.
        split: which images.
        on_missing: where nothing is found, ``"error"`` raises and ``"stand-in"`` warns and goes on with
            :class:`DrawnShapes`: 18,000 training, 2,000 validation and 2,000 test images with class names and
            statistics of their own. Data that is there but damaged is an error either way.
        download: whether to try the network.
        url, md5: the archive and its checksum.
        timeout: seconds without a sign of life after which a download fails.
        val_fraction: share of each class's training images that is held out, above 0 and below 1; at least one image.
        val_seed: which images those are, given the order of the training images (files by name; batches as stored).

    Attributes:
        targets: the class of each sample, known without decoding an image.
        classes: the names of the classes; folders in order of name, batches in their own order.
        mean, std: per channel, RGB, of the training images scaled to 0..1.
        label: ``"CIFAR-10"`` or ``"stand-in"``, for summaries.
        stand_in: whether these are not CIFAR-10's images.

    Raises:
        DataError: nothing was found, or what was found is incomplete or damaged.

    Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images",
    https://www.cs.toronto.edu/~kriz/cifar.html.
    """

    classes: Sequence[str] = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    mean: tuple[float, float, float] = (0.4914, 0.4822, 0.4465)
    std: tuple[float, float, float] = (0.2470, 0.2435, 0.2616)
    label: str = "CIFAR-10"
    stand_in: bool = False

    def __init__(
        self,
        root: str,
        split: Literal["train", "val", "test"],
        on_missing: Literal["error", "stand-in"] = "error",
        download: bool = True,
        url: str = URL,
        md5: str = MD5,
        timeout: float = 5.0,
        val_fraction: float = 0.1,
        val_seed: int = 0,
    ) -> None:
        check_choice("CIFAR10: split", split, get_args(Split))
        check_choice("CIFAR10: on_missing", on_missing, ("error", "stand-in"))
        folder = Path(root).expanduser()
        if folder.exists() and not folder.is_dir():
            raise DataError(f"CIFAR10: root {folder} is a file; expected a folder")

        samples = _find(folder, split)
        if samples is None:
            reason = f"{url}: switched off by download=False"
            if download:
                again = on_missing == "error"  # a val that could be downloaded must not join a train that could not
                reason = _try_download(folder, url, md5, timeout, again=again)
                samples = _find(folder, split)
        if samples is None:
            message = _nothing_found(folder, reason)
            if on_missing == "error":
                raise DataError(*message)
            _announce_stand_in(message)
            samples = self._stand_in(split)
        elif split != "test":
            train, val = stratified_split(samples.targets, samples.classes, val_fraction, val_seed)
            samples = _pick(samples, train if split == "train" else val)

        self._split = split
        self._images = samples.images
        self.targets = samples.targets
        self.classes = samples.classes
        self.num_classes = len(samples.classes)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Image.Image | Tensor, int]:
        """A PIL RGB image (from files) or a (3, 32, 32) uint8 tensor (from arrays), and its class.

        Raises:
            DataError: an image file cannot be read; names the file and the index.
        """
        target, image = self.targets[index], self._images[index]
        return (image if isinstance(image, Tensor) else read_image(image, f"{self._split} image {index}")), target

    def _stand_in(self, split: Split) -> _Samples:
        """Drawn shapes instead, with all that describes them."""
        shapes = DrawnShapes(STAND_IN_IMAGES[split], split)
        self.mean, self.std, self.label, self.stand_in = shapes.mean, shapes.std, "stand-in", True
        return _Samples(shapes.images, shapes.targets, shapes.classes)


def stratified_split(
    targets: Sequence[int], classes: Sequence[str], fraction: float, seed: int
) -> tuple[list[int], list[int]]:
    """Indices to train on and indices held out, both ascending; together they are all of ``targets``.

    Of a class with n samples, ``round(fraction * n)`` are held out, though at least 1 and at most n - 1; which ones
    depends on ``seed``, the class's number and n alone.

    Args:
        targets: class number of each sample.
        classes: their names, for messages.
        fraction: above 0 and below 1.
        seed: from 0.

    Raises:
        DataError: the fraction or the seed is out of range, or a class has a single sample.
    """
    if not 0 < fraction < 1:
        raise DataError(f"val_fraction={fraction}; expected a number above 0 and below 1")
    if seed < 0:
        raise DataError(f"val_seed={seed}; expected at least 0")
    numbers = np.asarray(targets)
    held_out = np.zeros(len(numbers), dtype=np.bool_)
    for number in np.unique(numbers).tolist():
        members = np.flatnonzero(numbers == number)
        if len(members) < 2:
            raise DataError(f"class {classes[number]!r} has 1 training image; expected 2 or more, one for validation")
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        held_out[np.random.default_rng([seed, number]).permutation(members)[:count]] = True
    return np.flatnonzero(~held_out).tolist(), np.flatnonzero(held_out).tolist()


def _pick(samples: _Samples, indices: list[int]) -> _Samples:
    """The samples at ``indices``, in that order."""
    images = samples.images[indices] if isinstance(samples.images, Tensor) else [samples.images[i] for i in indices]
    return _Samples(images, [samples.targets[index] for index in indices], samples.classes)


def _find(root: Path, split: Split) -> _Samples | None:
    """What lies on the disk: the test images for "test", all training images for "train" and "val"."""
    part = "test" if split == "test" else "train"
    return _read_folders(root, part) or _read_batches(root / BATCHES, part)


def _nothing_found(root: Path, reason: str) -> list[str]:
    """What was looked for in vain, which is also the three ways to get it, as lines."""
    siblings = [path.name for path in root.parent.iterdir()] if root.parent.is_dir() and not root.exists() else []
    return [
        f"CIFAR10: no data in {root}{did_you_mean(root.name, siblings)}",
        "There are three ways to have it:",
        f"  1. image files in {root / 'train' / '<class>'} and {root / 'test' / '<class>'}",
        f"  2. the official folder {root / BATCHES}",
        f"  3. a network to download it from; this failed: {reason}",
    ]


def _announce_stand_in(message: list[str]) -> None:
    """Warn, once a process, that the run goes on without CIFAR-10."""
    if "stand-in" not in _announced:
        _announced.add("stand-in")
        for line in message:
            logger.warning("%s", line)
        logger.warning("Going on with the built-in stand-in, drawn shapes: these figures are not CIFAR-10's")


# --- image folders ---


def _read_folders(root: Path, part: str) -> _Samples | None:
    """``root/PART/<class>/*``, or None where there is neither a train nor a test folder.

    Class numbers come from the folders of ``train``, so a class that ``test`` lacks cannot shift them unseen.
    """
    if not (root / "train").is_dir() and not (root / "test").is_dir():
        return None
    folder = root / part
    classes = class_names(root / "train")
    if part == "test":
        _check_same_classes(folder, class_names(folder), classes)
    images: list[Path] = []
    targets: list[int] = []
    for number, name in enumerate(classes):
        files = sorted(path for path in visible(folder / name) if path.suffix.lower() in SUFFIXES)
        if not files:
            raise DataError(f"{folder / name}: no image in this class folder; expected files {kinds()}")
        images += files
        targets += [number] * len(files)
    return _Samples(images, targets, classes)


def _check_same_classes(folder: Path, found: list[str], expected: list[str]) -> None:
    """Raise a DataError unless a test folder has exactly the classes of the training folder."""
    missing, extra = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or extra:
        differences = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"adds {', '.join(extra)}"] * bool(extra)
        hint = did_you_mean(extra[0], missing) if extra else ""
        raise DataError(f"{folder}: {' and '.join(differences)}; expected the class folders of train{hint}")


# --- the official batches ---


def _read_batches(folder: Path, part: str) -> _Samples | None:
    """The pickled batches of one part, in their own order, or None where there is no such folder."""
    if not folder.is_dir():
        return None
    classes = _load(folder / "batches.meta").get("label_names")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise DataError(f"{folder / 'batches.meta'}: no 'label_names' in it; expected a list of class names")
    batches = [_read_batch(folder / name, len(classes)) for name in BATCH_FILES[part]]
    pixels = np.concatenate([pixels for pixels, _ in batches]).reshape(-1, 3, 32, 32)
    return _Samples(torch.from_numpy(pixels), [label for _, labels in batches for label in labels], classes)


def _read_batch(path: Path, num_classes: int) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], list[int]]:
    """Pixels (N, 3072) uint8, red before green before blue, each row by row; and N labels."""
    batch = _load(path)
    pixels, labels = batch.get("data"), batch.get("labels")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != 3072:
        raise DataError(f"{path}: 'data' is not an array of (N, 3072) uint8; expected a batch of CIFAR-10")
    if not isinstance(labels, list) or len(labels) != len(pixels):
        raise DataError(f"{path}: 'labels' is not a list of {len(pixels)} numbers, one for each image")
    if not all(isinstance(label, int) and 0 <= label < num_classes for label in labels):
        raise DataError(f"{path}: a label is out of range; expected numbers from 0 to {num_classes - 1}")
    return pixels, labels


def _load(path: Path) -> dict[str, Any]:
    """The dict in a pickle, read without letting the pickle call anything but what arrays need."""
    try:
        with path.open("rb") as file:
            content = _ArrayUnpickler(file, encoding="latin1").load()  # written by Python 2; latin1 keeps every byte
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected all files of the official {BATCHES}") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except Exception as error:  # a damaged pickle can raise anything
        raise DataError(f"{path}: damaged, cannot be unpickled: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a {type(content).__name__}; expected a dict, as in the official {BATCHES}")
    return content


_RECONSTRUCT = np.zeros(0).__reduce__()[0]  # private, and it moved with numpy 2; both names stand in pickles
_CALLABLE_FROM_A_PICKLE: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,  # how Python 3 writes bytes for Python 2
}


class _ArrayUnpickler(pickle.Unpickler):
    """Builds numpy arrays and plain Python values; a pickle that asks for more is refused, not run."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return _CALLABLE_FROM_A_PICKLE[module_name, global_name]
        except KeyError:
            raise DataError(f"asks for {module_name}.{global_name}, which no batch of CIFAR-10 needs") from None


# --- the network ---


def _try_download(root: Path, url: str, md5: str, timeout: float, again: bool) -> str:
    """Download the official archive and unpack it to ``root``; "" or why that failed.

    The new folder appears whole, by a rename. After a failure all is as it was before.

    Args:
        again: whether to try a URL that has failed in this process.
    """
    if url in _failed_downloads and not again:
        return _failed_downloads[url]
    try:
        with _new_folder(root), TemporaryDirectory(dir=root, prefix=".cifar10-") as temporary:
            archive, unpacked = Path(temporary, "archive"), Path(temporary, "unpacked")
            fetch(url, archive, md5=md5, timeout=timeout)
            unpack(archive, unpacked)
            if not (unpacked / BATCHES).is_dir():
                raise DataError(f"{url}: no {BATCHES} in the archive")
            _rename(unpacked / BATCHES, root / BATCHES)
    except DataError as error:
        reason = str(error)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        reason = f"{url}: cannot be unpacked to {root}: {error}"
    else:
        return ""
    _failed_downloads[url] = reason
    return reason


@contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """Make a folder and its parents; where the block fails, take away those that were not there before."""
    fresh = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in fresh:
            with suppress(OSError):  # never made, or somebody else has put something there
                path.rmdir()
        raise


def _rename(source: Path, target: Path) -> None:
    """Put a folder in its place, unless another process has done so in the meantime."""
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():
            raise
