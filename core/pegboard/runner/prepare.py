"""What happens before the loop: every part is built, and a resumed state is put back."""

import inspect
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.parameter import is_lazy

from pegboard import distributed
from pegboard.config.duration import Duration
from pegboard.config.keys import NON_FINITE_KEYS
from pegboard.data.loader import Loader
from pegboard.errors import ConfigError, DataError, Problem
from pegboard.randomness import hashed
from pegboard.runner import by_hand, pinned, record
from pegboard.runner.build import Builder, Split, placed
from pegboard.runner.contents import contents
from pegboard.runner.dry_run import dry_run, same_randomness
from pegboard.runner.figures import Figures
from pegboard.runner.groups import add_again
from pegboard.runner.non_finite import Skip, Stop
from pegboard.runner.phases import enter, plan
from pegboard.runner.speed import Speed
from pegboard.runner.state import load_loss, load_weights, refuse_other_layout, restore
from pegboard.runner.step import WeightedLosses
from pegboard.weights.freezing import Freezing
from pegboard.weights.names import some

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner

logger = logging.getLogger("pegboard")

NEVER = 2**62  # a period that no iteration reaches


def training(run: "Runner") -> None:
    """Build every part of a training run, and make its folder last, when nothing can go wrong any more."""
    record.claim(run)
    try:
        _build_all(run)
    except BaseException:
        run.lock.release()
        raise


def _build_all(run: "Runner") -> None:
    if run.resume is not None:
        refuse_other_layout(run.resume)
    rehearsal(run, fresh=run.resume is None)
    for loader in filter(None, (run.train_loader, run.val_loader)):
        run.ranks.share_memory(loader)
        _ = loader.engine  # decodes what is kept in memory
    run.contents = _contents(run)
    if run.resume is not None:
        restore(run, dict(run.resume))
        logger.info("resumed at iteration %d of %d", run.iteration, run.total_iterations)
    record.make_folder(run)


def _contents(run: "Runner") -> dict[str, dict[str, Any]]:
    """Of each split; the first rank tells the others, for it asks a hundred thousand files for their sizes."""
    loaders = {"train": run.train_loader, "val": run.val_loader}
    first = distributed.is_first()
    found = {split: contents(loader) for split, loader in loaders.items() if loader is not None and first}
    told: dict[str, dict[str, Any]] = distributed.from_first(found)
    return told


def rehearsal(run: "Runner", fresh: bool) -> None:
    """Build every part, but read a few images at most and write nothing: enough to look at a run that is not to be."""
    with placed(run.config):
        _surroundings(run)
        _data(run)
        _lengths(run)
        _parts(run, fresh)
        enter(run, run.resume["phase"] if run.resume else 0)
        if run.limit is None:
            _compare_horizons(run)


def testing(run: "Runner", split: Split, state: Mapping[str, Any]) -> None:
    """Build only what an evaluation needs; what the training data said of itself is in the state."""
    with placed(run.config):
        _surroundings(run)
        run.builder.known = dict(state.get("known") or {})
        if not run.builder.known:
            run.builder.loader(split)  # learn the number of classes from the data itself
        run.model = run.builder.model(fresh=not state)
    if state:
        load_weights(run.model, state["model"])
    run.step = run.builder.step(run.model, training=False)
    load_loss(run, state)
    run.ranks.strategy.wrap(run.step, allow_unused=True)


def refuse_other_data(loader: Loader, split: Split, state: Mapping[str, Any]) -> None:
    """Weights that real data made are not for its stand-in, nor the other way round.

    Raises:
        DataError: the state says that it was trained on the one, and the loader has the other.
    """
    trained_on, here = state.get("data"), label(loader)
    if trained_on is not None and "stand-in" in (trained_on, here) and here != trained_on:
        raise DataError(f"the run was trained on {trained_on}, but {split!r} is {here}: its figures would mean nothing")


def label(loader: Loader) -> str:
    """What the data calls itself, e.g. ``"CIFAR-10"`` or ``"stand-in"``; the dataset's class where it says nothing."""
    return str(getattr(loader.dataset, "label", type(loader.dataset).__name__))


def _surroundings(run: "Runner") -> None:
    """Device, threads and generators."""
    run.builder = Builder(run.config)
    values, run.device = run.builder.values, run.builder.device
    run.seed = run.model_seed = values["seed"]
    _join_ranks(run)
    if values["threads"]:
        torch.set_num_threads(values["threads"])
    if run.resume is not None and "surroundings" in run.resume:
        pinned.pin(run, run.resume["surroundings"])
        run.builder.engines = {split: pinned.engine(run, split) for split in ("train", "val")}
    wanted = values["deterministic"]
    deterministic = run.device.type == "cpu" if wanted is None else wanted
    if deterministic != torch.are_deterministic_algorithms_enabled():  # setting it imports torch's compiler
        torch.use_deterministic_algorithms(deterministic)
    # Memory that an operation leaves unwritten is filled only where a config asks for all there is.
    torch.utils.deterministic.fill_uninitialized_memory = bool(wanted)  # type: ignore[attr-defined]
    run.generators = [torch.default_generator]
    if run.device.type == "cuda":
        run.generators.append(torch.cuda.default_generators[run.device.index or 0])
    elif run.device.type == "mps":
        run.generators.append(torch.mps._get_default_mps_generator())


def _join_ranks(run: "Runner") -> None:
    """Meet the other processes of the run, where a launcher has started several."""
    here = distributed.join()
    if here is None:
        return
    from pegboard.runner.ranks import Ranks

    run.ranks = Ranks(here, run.device, run.builder.strategy())
    if here.rank:
        run.model_seed = hashed(run.seed, here.rank)  # no two ranks drop the same units
    if run.device.type == "cuda":
        torch.cuda.set_device(run.device)
    if (threads := distributed.threads(here)) is not None:
        torch.set_num_threads(threads)


def _data(run: "Runner") -> None:
    with distributed.first_goes_first():  # what is downloaded or cached is so once
        run.train_loader = run.builder.loader("train")
        run.val_loader = run.builder.loader("val") if run.builder.values["val"] else None
    run.data_label = label(run.train_loader)
    _share_threads(run)


def _share_threads(run: "Runner") -> None:
    """The worker processes and the step together take no more threads than there are cores, unless the config says."""
    workers = run.builder.values["train"].get("workers", 0) if run.train_loader.mode == "workers" else 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if workers and not run.builder.values["threads"] and run.resume is None:
        torch.set_num_threads(max(1, min(torch.get_num_threads(), cores - workers)))
        logger.info(
            "%d worker processes and %d threads for the step, on %d cores", workers, torch.get_num_threads(), cores
        )


def _lengths(run: "Runner") -> None:
    """Durations as iterations."""
    values = run.builder.values
    run.phases = plan(values, run.train_loader, run.limit, run.builder.world)
    run.total_iterations = run.phases[-1].end
    lengths = [Duration.parse(stage["train_for"]) for stage in values["phases"] or [values]]
    counts_epochs = all(length.unit == "epochs" for length in lengths)
    run.epochs = sum(length.count for length in lengths) if counts_epochs else None
    run.val_every = run.builder.duration("val_every")
    run.val_iterations = run.val_every.count if run.val_every.unit == "iters" and run.val_loader else NEVER
    run.speed = Speed(run.total_iterations, run.ranks.seconds, run.ranks.waited_share)


def _parts(run: "Runner", fresh: bool) -> None:
    builder = run.builder
    run.model = _model(run, fresh)
    if run.ranks.several:
        run.model = _batch_norm(run, run.model)
    run.step = builder.step(run.model)
    _refuse_weights_of_loss(run)
    _look(run)
    run.ranks.strategy.wrap(run.step, builder.values["unused_parameters"])
    run.freezing = Freezing(run.model)
    run.optimizer = builder.optimizer(run.model, _frozen_throughout(run))
    run.groups_built = len(run.optimizer.param_groups)
    run.rates = [group["lr"] for group in run.optimizer.param_groups]
    if run.resume is not None:
        add_again(run.model, run.optimizer, run.resume.get("added_groups") or [])
    run.by_hand = by_hand.take_over(run)
    run.needs_closure = run.by_hand is None and _needs_closure(run.optimizer)
    epochs = sum(phase.epochs for phase in run.phases)
    run.schedules = builder.schedules(
        run.optimizer, builder.values["scheduler"], "scheduler", run.total_iterations, epochs
    )
    run.scaler = torch.amp.GradScaler(run.device.type) if builder.values["precision"] == "fp16" else None
    run.accumulate = builder.values["accumulate"]
    run.clip = builder.values["clip_grad"] or {}
    policy = {name: key.default for name, key in NON_FINITE_KEYS.items()} | (builder.values["non_finite"] or {})
    run.guard = Skip(run, policy["limit"]) if policy["policy"] == "skip" else Stop(run)
    run.figures = Figures(builder.metrics())
    run.use_hooks(builder.hooks())


def _model(run: "Runner", fresh: bool) -> torch.nn.Module:
    """The model as the strategy takes it over."""
    if not run.ranks.strategy.weights_from_first:
        return run.builder.model(fresh)
    model = run.builder.model(fresh, torch.device("cpu"), values=run.ranks.first)
    torch.set_rng_state(distributed.from_first(torch.get_rng_state()))  # what is built after it is the same on all
    return model


def _refuse_weights_of_loss(run: "Runner") -> None:
    """Weights of a loss that want to learn would stay as they are: an optimizer has those of the model alone.

    Raises:
        ConfigError: it has some.
    """
    criterion = run.step.criterion
    losses = criterion.losses if isinstance(criterion, WeightedLosses) else {"": criterion}
    for name, loss in losses.items():
        parameters = loss.named_parameters() if isinstance(loss, torch.nn.Module) else ()
        if learning := [own for own, parameter in parameters if parameter.requires_grad]:
            message = (
                f"{type(loss).__name__} has weights of its own ({some(learning)}), which no optimizer would train; let "
                "the model hold it and call it in its training_step, or end their learning with requires_grad_(False)"
            )
            raise ConfigError([Problem(message, f"loss.{name}" if name else "loss")])


def _batch_norm(run: "Runner", model: torch.nn.Module) -> torch.nn.Module:
    """Over all ranks where the config says so; else it is said that it is not."""
    if not run.builder.values["sync_batchnorm"]:
        run.ranks.note_batch_norm(model)  # type: ignore[union-attr]  # called on several ranks alone
        return model
    if run.device.type != "cuda":
        message = f"torch's SyncBatchNorm runs on GPUs alone, and this rank on {run.device}; leave it out"
        raise ConfigError([Problem(message, "sync_batchnorm")])
    synchronised: torch.nn.Module = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return synchronised


def _compare_horizons(run: "Runner") -> None:
    """Warn of schedules that are meant to last otherwise than the run or their phase does."""
    builder, epochs = run.builder, sum(phase.epochs for phase in run.phases)
    builder.warn_of_horizons(builder.values["scheduler"], "scheduler", run.total_iterations, epochs)
    for number, phase in enumerate(run.phases):
        path = f"phases.{number}.scheduler"
        builder.warn_of_horizons(phase.scheduler, path, phase.end - phase.start, phase.epochs)


def _look(run: "Runner") -> None:
    """Does a batch of the training data go through the model, and one of the validation data, if it is of other size?

    A model that is about to be resumed has shown so before, and one without values has none to show it with; lazy
    layers still need their shapes.
    """
    with same_randomness(run.generators):
        batch = run.builder.glimpse("train", run.train_loader.dataset)
        inputs = _beside(run.model, batch.inputs)
        elsewhere = (
            run.ranks.strategy.weights_from_first and not run.ranks.first
        )  # the first rank looks, and has weights
        shown = elsewhere or run.resume is not None
        if not shown or any(is_lazy(parameter) for parameter in run.model.parameters()):
            outputs = dry_run(run.step, inputs)
            if outputs is not None and run.builder.values["compile"] and run.step.criterion is not None:
                with torch.no_grad():  # what a loss looks at in its first batch cannot be seen in a compiled step
                    run.step.criterion(outputs, batch.targets)
        if not shown and run.val_loader is not None:
            others = _beside(run.model, run.builder.glimpse("val", run.val_loader.dataset).inputs)
            if getattr(others, "shape", None) != getattr(inputs, "shape", None):
                dry_run(run.step, others, "val")


def _beside(model: torch.nn.Module, inputs: Any) -> Any:
    """Inputs on the device of a model, which may not be on the run's before its strategy has taken it over."""
    device = next((parameter.device for parameter in model.parameters()), None)
    return inputs.to(device) if isinstance(inputs, torch.Tensor) and device is not None else inputs


def _frozen_throughout(run: "Runner") -> set[str]:
    """Names that no phase trains.

    Raises:
        ConfigError: a pattern of some phase matches nothing, or leaves nothing to train.
    """
    frozen: list[set[str]] = []
    for number, phase in enumerate(run.phases):
        try:
            frozen.append(run.freezing.names(phase.freeze))
        except ValueError as error:
            inherited = phase.freeze is run.builder.values["freeze"]
            path = "freeze" if inherited else f"phases.{number}.freeze"
            raise ConfigError([Problem(str(error), path)]) from error
    return set.intersection(*frozen)


def _needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """True for LBFGS and its like, whose ``step`` cannot be called without one."""
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty
