"""What the figures of a run depend on outside its config, as ``environment.json`` records it."""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pegboard import distributed
from pegboard.data.engines import InMemory
from pegboard.data.loader import Loader
from pegboard.plugins import plugin_file
from pegboard.runner.predictions import paths_of

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner

LIBRARIES = ("pegboard", "torch", "torchvision", "numpy", "pillow", "tensorboardX", "pluggy", "rich", "torchmetrics")

# What the libraries read from the environment and the bits of a run, or its speed, may depend on.
VARIABLES = (
    "ATEN_CPU_CAPABILITY", "CUBLAS_WORKSPACE_CONFIG", "CUDA_VISIBLE_DEVICES", "MKL_CBWR", "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONHASHSEED", "PYTORCH_CUDA_ALLOC_CONF",
)  # fmt: skip

LOOKED_AT = 64  # samples whose pixels the short fingerprint hashes
MOST_BYTES = 2**30  # of images in memory that are hashed; of more, only every second, third, ... image
MOST_FILES = 100_000  # whose sizes are asked for; of more, only every second, third, ...
MOST_PATCH = 2**20  # characters of uncommitted changes that are kept
COMMIT = "# branch.oid "  # how git begins the line that names it
FIELDS = {"2": 9, "u": 10}  # before the path in a line of git about a renamed or unmerged file; 8 about others


def environment(run: "Runner") -> dict[str, Any]:
    """What ``environment.json`` holds; uncommitted changes go to ``uncommitted.patch`` in the run folder."""
    values = run.builder.values
    file = run.config.path
    return {
        "command": sys.argv,
        "ranks": run.builder.world,
        "launch": distributed.launch(),
        "process": os.getpid(),
        "working_directory": os.getcwd(),  # noqa: PTH109  # as text
        "config_file": str(file.resolve()) if file else None,
        "try_iterations": run.limit,
        "versions": versions(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "git": git_state(Path(), run.folder / "uncommitted.patch"),
        "pegboard_git": _own_git(),
        "plugins": plugin_files(values["plugins"] or (), file.parent if file else Path()),
        "pretrained": _pretrained(values["pretrained"]),
        "device": str(run.device),
        "gpu": _gpu(run.device),
        "seed": run.seed,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "threads": torch.get_num_threads(),
        "engine": run.train_loader.mode,
        "optimizer_kernels": _kernels(run.optimizer),
        "hooks": list(run.hooks),
        "data": run.data_label,
        "data_fingerprint": fingerprint(run.train_loader),
        "data_contents": {
            split: contents(loader)
            for split, loader in {"train": run.train_loader, "val": run.val_loader}.items()
            if loader is not None
        },
    }


def _kernels(optimizer: torch.optim.Optimizer) -> list[str]:
    """Which implementation each parameter group's step runs; the bits depend on it."""
    options = ("fused", "foreach")
    return [next((o for o in options if group.get(o)), "torch's default") for group in optimizer.param_groups]


def versions() -> dict[str, str]:
    """Python's and the libraries' versions, without importing any."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found


# -- the data --------------------------------------------------------------------------------------------------------


def fingerprint(loader: Loader) -> str:
    """A short hash of how many samples there are and of up to 64 of them, spread evenly, whatever is done to them."""
    samples, count = loader.samples, len(loader.samples)
    digest = hashlib.sha256(str(count).encode())
    for index in range(0, count, max(1, count // LOOKED_AT)):
        image, target = samples[index]
        digest.update(image.numpy().tobytes() + str(target).encode())
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
    digest.update(engine.targets.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


# -- code ------------------------------------------------------------------------------------------------------------


def plugin_files(names: Any, folder: Path) -> list[dict[str, Any]]:
    """Where each plugin that a config names lies, and the SHA-256 of that file.

    Args:
        folder: the config's, from which the names of files count.
    """
    found = []
    for name in names:
        file = plugin_file(name, folder)
        found.append({"name": name, "file": str(file) if file else None, "sha256": sha256(file) if file else None})
    return found


def _pretrained(options: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not options or not options.get("path"):
        return None
    path = Path(str(options["path"]))
    return {"path": str(path.resolve()), "sha256": sha256(path) if path.is_file() else None}


def sha256(path: Path) -> str | None:
    """Of a file's bytes, in hexadecimal; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def git_state(folder: Path, patch: Path | None = None) -> dict[str, Any] | None:
    """Commit, changed files and a hash of the changes, of the repository around a folder; None outside of one.

    Args:
        patch: a file to which uncommitted changes are written, if there are any.
    """
    try:
        status = _git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no").splitlines()
        changed = [line.split(" ", FIELDS.get(line[:1], 8))[-1] for line in status if not line.startswith("#")]
        changes = _git(folder, "diff", "HEAD", "--no-ext-diff", "--no-color") if changed else ""
    except (OSError, subprocess.SubprocessError):
        return None
    commit = next((line.removeprefix(COMMIT) for line in status if line.startswith(COMMIT)), None)
    digest = hashlib.sha256(changes.encode(errors="surrogateescape")).hexdigest() if changes else None
    if changes and patch is not None:
        cut = "" if len(changes) <= MOST_PATCH else f"\n(cut off: {len(changes):,} characters in all)\n"
        patch.write_text(changes[:MOST_PATCH] + cut, encoding="utf-8", errors="surrogateescape")
    return {"commit": commit, "changed": changed, "patch_sha256": digest}


@cache
def _own_git() -> dict[str, Any] | None:
    """The state of pegboard's own repository, where it is used from one; None where it is installed."""
    file = Path(__file__)
    try:
        _git(file.parent, "ls-files", "--error-unmatch", file.name)  # a repository may only lie around an installed one
    except (OSError, subprocess.SubprocessError):
        return None
    return git_state(file.parent)


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="surrogateescape", check=True, timeout=5
    )
    return done.stdout


def _gpu(device: torch.device) -> dict[str, Any] | None:
    if device.type != "cuda":
        return None
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return {"name": torch.cuda.get_device_name(device), "cuda": torch.version.cuda, "cudnn": cudnn}
