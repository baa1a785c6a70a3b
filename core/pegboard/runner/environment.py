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
from pegboard.plugins import plugin_file
from pegboard.runner.contents import fingerprint

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner

LIBRARIES = ("pegboard", "torch", "torchvision", "numpy", "pillow", "tensorboardX", "pluggy", "rich", "torchmetrics")

# What the libraries read from the environment and the bits of a run, or its speed, may depend on.
VARIABLES = (
    "ATEN_CPU_CAPABILITY", "CUBLAS_WORKSPACE_CONFIG", "CUDA_VISIBLE_DEVICES", "MKL_CBWR", "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONHASHSEED", "PYTORCH_CUDA_ALLOC_CONF",
)  # fmt: skip

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
        "launches": distributed.launches(),
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
        "data_contents": run.contents,
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
