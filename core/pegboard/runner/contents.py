"""Hashes of what a loader's dataset holds, so that data which has changed is noticed."""

import hashlib
from pathlib import Path
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
        them (``"pixels"``). Of a dataset that names its files the names and sizes are (``"files"``), so that a file
        which changed and kept its size is not noticed. Of any other only 64 samples are (``"samples"``).
    """
    count = len(loader.dataset)
    if loader.mode == "memory" and isinstance(loader.engine, InMemory):
        return {"samples": count, "of": "pixels", "hash": _hash_of_pixels(loader.engine)}
    paths = paths_of(loader.dataset)
    if paths is None:
        return {"samples": count, "of": "samples", "hash": fingerprint(loader)}
    root = Path(getattr(loader.dataset, "root", None) or getattr(loader.dataset, "_root", None) or "")
    digest = hashlib.sha256(str(count).encode())
    for index in range(0, count, -(-count // MOST_FILES)):
        path = str(paths[index])
        try:
            size = (root / path).stat().st_size
        except (OSError, ValueError):
            size = -1  # inside an archive, say
        digest.update(f"{path}\0{size}\0".encode(errors="surrogateescape"))
    return {"samples": count, "of": "files", "hash": digest.hexdigest()[:16]}


def _hash_of_pixels(engine: InMemory) -> str:
    images = engine.images
    step = -(-images.numel() * images.element_size() // MOST_BYTES)
    digest = hashlib.sha256(str((tuple(images.shape), images.dtype)).encode())
    for part in torch.split(images[::step], 4096):
        digest.update(part.cpu().contiguous().view(torch.uint8).numpy().data)
    targets = engine.targets.pixels if isinstance(engine.targets, Mask) else engine.targets
    digest.update(targets.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
