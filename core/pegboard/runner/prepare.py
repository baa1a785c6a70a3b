"""What happens before the loop: every part is built, and a resumed state is put back."""

import inspect
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from pegboard.data.loader import Loader
from pegboard.errors import DataError, PegboardError
from pegboard.runner import record
from pegboard.runner.build import Builder, Split
from pegboard.runner.figures import Figures
from pegboard.runner.speed import Speed
from pegboard.runner.state import load_weights, restore

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner

logger = logging.getLogger("pegboard")

NEVER = 2**62  # a period that no iteration reaches


def training(run: "Runner") -> None:
    """Build every part of a training run, and make its folder last, when nothing can go wrong any more."""
    folder = run.chosen_folder
    if run.resume is None and folder and (folder / "checkpoints").exists():
        raise PegboardError(f"{folder} holds a run already; --resume goes on with it, another --work-dir starts anew")
    _surroundings(run)
    _data(run)
    _lengths(run)
    _parts(run)
    if run.resume is not None:
        restore(run, dict(run.resume))
        logger.info("resumed at iteration %d of %d", run.iteration, run.total_iterations)
    record.make_folder(run)


def testing(run: "Runner", split: Split, state: Mapping[str, Any]) -> None:
    """Build only what an evaluation needs; what the training data said of itself is in the state."""
    _surroundings(run)
    run.builder.known = dict(state.get("known") or {})
    if not run.builder.known:
        run.builder.loader(split)  # learn the number of classes from the data itself
    run.model = run.builder.model()
    if state:
        load_weights(run.model, state["model"])
    run.step = run.builder.step(run.model)


def label(loader: Loader) -> str:
    """What the data calls itself, e.g. ``"CIFAR-10"`` or ``"stand-in"``; the dataset's class where it says nothing."""
    return str(getattr(loader.dataset, "label", type(loader.dataset).__name__))


def _surroundings(run: "Runner") -> None:
    """Device, threads and generators."""
    run.builder = Builder(run.config)
    values, run.device = run.builder.values, run.builder.device
    run.seed = values["seed"]
    if values["threads"]:
        torch.set_num_threads(values["threads"])
    torch.use_deterministic_algorithms(values["deterministic"])
    run.generators = [torch.default_generator]
    if run.device.type == "cuda":
        run.generators.append(torch.cuda.default_generators[run.device.index or 0])
    elif run.device.type == "mps":
        run.generators.append(torch.mps._get_default_mps_generator())


def _data(run: "Runner") -> None:
    run.train_loader = run.builder.loader("train")
    run.val_loader = run.builder.loader("val") if run.builder.values["val"] else None
    run.data_label = label(run.train_loader)
    run.per_epoch = len(run.train_loader)
    if not run.per_epoch:
        count, size = len(run.train_loader.dataset), run.train_loader.batch_size
        raise DataError(f"the training data gives no batch: {count} samples at batch_size={size}")


def _lengths(run: "Runner") -> None:
    """Durations as iterations."""
    length = run.builder.duration("train_for")
    run.epochs = length.count if length.unit == "epochs" else None
    run.total_iterations = run.limit or length.iterations(run.per_epoch)
    run.val_every = run.builder.duration("val_every")
    run.val_iterations = run.val_every.count if run.val_every.unit == "iters" and run.val_loader else NEVER
    run.log_iterations = run.builder.duration("log_every").iterations(run.per_epoch)
    run.speed = Speed(run.total_iterations)


def _parts(run: "Runner") -> None:
    builder = run.builder
    run.model = builder.model()
    run.step = builder.step(run.model)
    run.optimizer = builder.optimizer(run.model)
    run.needs_closure = _needs_closure(run.optimizer)
    run.schedules = builder.schedules(run.optimizer, run.total_iterations, run.per_epoch)
    run.scaler = torch.amp.GradScaler(run.device.type) if builder.values["precision"] == "fp16" else None
    run.accumulate = builder.values["accumulate"]
    run.clip = builder.values["clip_grad"] or {}
    run.figures = Figures(builder.metrics())
    run.use_hooks(builder.hooks())


def _needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """True for LBFGS and its like, whose ``step`` cannot be called without one."""
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty
