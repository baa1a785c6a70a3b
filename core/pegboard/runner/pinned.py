"""What the bits of a run depend on beside its config: recorded in each checkpoint, and put back by a resume."""

import logging
import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from pegboard.config.dump import to_data

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner

logger = logging.getLogger("pegboard")


def surroundings(run: "Runner") -> dict[str, Any]:
    """Threads, engines, kernels and machine, as plain values."""
    group = run.optimizer.param_groups[0]
    return {
        "ranks": run.builder.world,
        "threads": torch.get_num_threads(),
        "engines": {
            split: loader.mode for split, loader in (("train", run.train_loader), ("val", run.val_loader)) if loader
        },
        "kernels": kernels(),
        "optimizer": {key: group[key] for key in ("foreach", "fused", "capturable") if key in group},
        "machine": {
            "torch": str(torch.__version__),
            "processor": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
            "device": torch.cuda.get_device_name(run.device) if run.device.type == "cuda" else run.device.type,
        },
    }


def kernels() -> dict[str, Any]:
    """torch's switches that choose between kernels."""
    return {
        "matmul precision": torch.get_float32_matmul_precision(),
        "mkldnn": torch.backends.mkldnn.enabled,
        "cudnn": torch.backends.cudnn.enabled,
        "cudnn benchmark": torch.backends.cudnn.benchmark,
        "cudnn deterministic": torch.backends.cudnn.deterministic,
        "cudnn tf32": torch.backends.cudnn.allow_tf32,
    }


def pin(run: "Runner", saved: Mapping[str, Any]) -> None:
    """Put threads and kernels back before anything is built; the engines are put back by the builder."""
    config = (run.resume or {}).get("config") or {}
    if config.get("threads") == run.config.values.get("threads") and saved.get("ranks", 1) == run.builder.world:
        torch.set_num_threads(saved["threads"])
    wanted = saved["kernels"]
    if wanted == kernels():
        return
    torch.set_float32_matmul_precision(wanted["matmul precision"])
    torch.backends.mkldnn.enabled = wanted["mkldnn"]
    torch.backends.cudnn.enabled = wanted["cudnn"]
    torch.backends.cudnn.benchmark = wanted["cudnn benchmark"]
    torch.backends.cudnn.deterministic = wanted["cudnn deterministic"]
    torch.backends.cudnn.allow_tf32 = wanted["cudnn tf32"]
    logger.info("kernels as at the checkpoint: %s", ", ".join(f"{name} {value}" for name, value in wanted.items()))


def engine(run: "Runner", split: str) -> str | None:
    """The engine that a split's loader had, if its config has not changed since and leaves the choice open."""
    state = run.resume or {}
    if "surroundings" not in state:
        return None
    same = state["config"].get(split) == to_data(run.config.values.get(split))
    mode: str | None = state["surroundings"]["engines"].get(split) if same else None
    return mode


def warn_of_another_machine(run: "Runner", saved: Mapping[str, Any]) -> None:
    """What cannot be put back is said."""
    now = surroundings(run)["machine"]
    for name, then in saved["machine"].items():
        if now[name] != then:
            logger.warning("%s was %s, now %s: the numbers may differ in their last bits", name, then, now[name])
