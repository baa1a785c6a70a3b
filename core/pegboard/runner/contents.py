"""Hashes of what a loader's dataset holds, so that data which has changed is noticed."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import torch

from pegboard.data.engines import InMemory
from pegboard.data.loader import Loader
from pegboard.data.mask import Mask
from pegboard.runner.predictions import paths_of

LOOKED_AT = 64  # samples whose pixels the short fingerprint hashes
MOST_BYTES = 2**30  # of images in memory that are hashed; of more, only every second, third, ... image
MOST_FILES = 100_000  # whose sizes are asked for; of more, only every second, third, ...


def fingerprint(loader: Loader) -> str:
    """A short hash of how many samples there are and of up to 64 of them, spread evenly, whatever is done to them."""
    samples, count = loader.samples, len(loader.samples)
    digest = hashlib.sha256(str(count).encode())
    for index in range(0, count, max(1, count // LOOKED_AT)):
        image, target = samples[index]
        said = target.pixels.numpy().tobytes() if isinstance(target, Mask) else str(target).encode()
        digest.update(image.numpy().tobytes() + said)
    return digest.hexdigest()[:16]


def contents(loader: Loader) -> dict[str, Any]:
    """How many samples a loader has, and a hash that changes with any of them, as far as that is cheap to tell.

    Returns:
        ``samples``, how many; ``of``, what was hashed; ``hash``. Images in memory are hashed as they lie there, all of
        them (``"pixels"``). Of a dataset that names its files the names and sizes are (``"files"``); ``times`` is a
        hash of when each was last written, which tells a file that changed and kept its size, but also a mere copy.
        Of any other only 64 samples are (``"samples"``).
    """
    count = len(loader.dataset)
    if loader.mode == "memory" and isinstance(loader.engine, InMemory):
        return {"samples": count, "of": "pixels", "hash": _hash_of_pixels(loader.engine)}
    paths = paths_of(loader.dataset)
    if paths is None:
        return {"samples": count, "of": "samples", "hash": fingerprint(loader)}
    digest, times = hashlib.sha256(str(count).encode()), hashlib.sha256()
    for path, size, written in _files(loader.dataset, paths):
        digest.update(f"{path}\0{size}\0".encode(errors="surrogateescape"))
        times.update(f"{written}\0".encode())
    return {"samples": count, "of": "files", "hash": digest.hexdigest()[:16], "times": times.hexdigest()[:16]}


def last_written(loader: Loader) -> str:
    """Which of the files that ``contents`` looks at was the last to be written, and when; empty where there is none."""
    path, _, written = max(
        _files(loader.dataset, paths_of(loader.dataset) or ()), key=itemgetter(2), default=("", 0, 0)
    )
    return f"{path}, {datetime.fromtimestamp(written / 1e9):%Y-%m-%d %H:%M:%S}" if written > 0 else ""


def _files(dataset: Any, paths: Sequence[Any]) -> Iterator[tuple[str, int, int]]:
    """Path, size, and nanoseconds since 1970 when it was last written; -1 for both inside an archive, say."""
    root = str(getattr(dataset, "root", None) or getattr(dataset, "_root", None) or "")
    for index in range(0, len(paths), -(-len(paths) // MOST_FILES) or 1):
        path = str(paths[index])
        try:
            found = os.stat(os.path.join(root, path))  # noqa: PTH116, PTH118  # a hundred thousand paths
        except (OSError, ValueError):
            yield path, -1, -1
        else:
            yield path, found.st_size, found.st_mtime_ns


def _hash_of_pixels(engine: InMemory) -> str:
    images = engine.images
    step = -(-images.numel() * images.element_size() // MOST_BYTES)
    digest = hashlib.sha256(str((tuple(images.shape), images.dtype)).encode())
    for part in torch.split(images[::step], 4096):
        digest.update(part.cpu().contiguous().view(torch.uint8).numpy().data)
    targets = engine.targets.pixels if isinstance(engine.targets, Mask) else engine.targets
    digest.update(targets.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
