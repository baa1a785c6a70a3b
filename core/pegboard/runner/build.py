"""From a checked config to the parts of a run, each built by its board."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.utils.data import Subset

from pegboard import address, distributed
from pegboard.config import batch_size
from pegboard.config.duration import Duration
from pegboard.config.keys import DEFAULT_HOOKS, GROUPING_KEYS, LOADER_KEYS, OPTIMIZER_KEYS, RUN_KEYS, optimizer_parts
from pegboard.config.load import Config
from pegboard.console import quiet
from pegboard.data.batch import Batch
from pegboard.data.loader import Loader
from pegboard.data.samples import Samples
from pegboard.errors import ConfigError, PegboardError, Problem
from pegboard.hooks.hook import Hook
from pegboard.registry import (
    DATASETS,
    HOOKS,
    LOSSES,
    METRICS,
    MODELS,
    OPTIMIZERS,
    SAMPLERS,
    SCHEDULERS,
    STRATEGIES,
    TRANSFORMS,
)
from pegboard.runner import horizon
from pegboard.runner.groups import groups_of_each, parameter_groups
from pegboard.runner.layer_decay import decayed
from pegboard.runner.optimizers import Optimizers
from pegboard.runner.schedule import Schedule
from pegboard.runner.step import Step, WeightedLosses
from pegboard.strategies.strategy import Strategy
from pegboard.weights.hollow import hollow
from pegboard.weights.initialise import initialise
from pegboard.weights.names import some
from pegboard.weights.pretrained import load_pretrained

logger = logging.getLogger("pegboard")

Split = Literal["train", "val", "test"]

_FUNCTIONS = ("collate", "target_transform")  # keys of a loader that may hold an address


class Builder:
    """Builds each part of one run; a value that the config leaves out has its default from the table of run keys."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.values = {name: key.default for name, key in RUN_KEYS.items()}
        self.values |= {name: value for name, value in config.values.items() if value is not None}
        here = distributed.place()
        self.world = here.world if here else 1
        self.device = choose_device(self.values["device"], here.local_rank if here else None)
        self.known: dict[str, Any] = {}  # what the data tells the other parts: num_classes, classes, mean, std
        self.datasets: dict[str, Any] = {}  # those that were built, by split
        self.engines: dict[str, str | None] = {}  # what mode="auto" chose, where a resumed run shall choose it again

    def loader(self, split: Split) -> Loader:
        """The loader of a split; the first one built tells the number of classes and the statistics."""
        cfg = {name: key.default for name, key in LOADER_KEYS.items()} | self.values[split]
        dataset = DATASETS.build(cfg.pop("dataset"), f"{split}.dataset")
        self.datasets[split] = dataset
        self.learn_from(dataset, cfg["target_transform"])
        if split == "train" and (counts := self.class_counts(dataset, cfg["target_transform"])):
            self.known["class_counts"] = counts
        transforms = self.transforms(cfg.pop("transforms"), f"{split}.transforms")
        if cfg["sampler"] is not None:
            cfg["sampler"] = SAMPLERS.build(cfg["sampler"], f"{split}.sampler", {"data_source": dataset})
        cfg |= {key: _resolved(cfg[key]) for key in _FUNCTIONS}
        cfg["mode"] = self.engines.get(split) or cfg["mode"]
        cfg["batch_size"] = batch_size.samples(cfg["batch_size"], self.world)
        return Loader(dataset, transforms, seed=self.values["seed"], device=self.device, what=split, **cfg)

    def transforms(self, parts: Any, where: str) -> list[Any]:
        """The transforms of a loader, in order; ``where`` is their config path."""
        return [TRANSFORMS.build(part, f"{where}.{index}", self.known) for index, part in enumerate(_listed(parts))]

    def glimpse(self, split: Split, dataset: Any) -> Batch:
        """The first sample of a split twice, through its transforms, as a batch of the training device.

        That of the training data tells the size of the images, ``known["image_size"]`` in pixels as (height, width)
        where it is that of the first, the middle and the last; and ``known["input_shape"]``, of one input.
        """
        cfg = {name: key.default for name, key in LOADER_KEYS.items()} | self.values[split]
        own = {key: _resolved(cfg[key]) for key in _FUNCTIONS}
        transforms = self.transforms(cfg["transforms"], f"{split}.transforms")
        seed, twice = self.values["seed"], Subset(dataset, [0, 0])
        with quiet():  # the engine says which it is when it is first asked for a batch
            loader = Loader(twice, transforms, batch_size=2, mode="workers", seed=seed, device=self.device, **own)
            batch = next(loader.batches(0))
        if split != "train":
            return batch
        samples = Samples(dataset)
        sizes = {tuple(samples[i][0].shape[-2:]) for i in sorted({0, len(samples) // 2, len(samples) - 1})}
        if len(sizes) == 1:
            self.known["image_size"] = list(sizes.pop())
        if isinstance(batch.inputs, Tensor):
            self.known["input_shape"] = list(batch.inputs.shape[1:])
        return batch

    def learn_from(self, dataset: Any, relabelled: Any = None) -> None:
        """Keep what a dataset says of itself, for the arguments that other parts let the run supply.

        Args:
            relabelled: the loader's ``target_transform``; where it is a table, its new numbers are the classes.
        """
        classes = getattr(dataset, "classes", None) if relabelled is None else None  # the names are of the old ones
        count = getattr(dataset, "num_classes", None) or (len(classes) if classes else None)
        if isinstance(relabelled, Mapping | list | tuple):
            new = relabelled.values() if isinstance(relabelled, Mapping) else relabelled
            count = max(new) + 1
        facts = {
            "classes": classes,
            "num_classes": count,
            "task": "multiclass" if count else None,  # as torchmetrics calls it
            "mean": getattr(dataset, "mean", None),
            "std": getattr(dataset, "std", None),
            "ignore_index": getattr(dataset, "ignore_index", None),  # of masks: the number of pixels without a class
        }
        self.known = {name: value for name, value in facts.items() if value is not None} | self.known

    def class_counts(self, dataset: Any, relabelled: Any = None) -> list[int] | None:
        """Samples of each class; None where the dataset has no ``targets``, or where they are no class numbers."""
        classes = self.known.get("num_classes")
        try:
            targets = np.asarray(getattr(dataset, "targets", ()))
        except ValueError:  # lists of different lengths
            return None
        if classes is None or targets.shape != (len(dataset),) or targets.dtype.kind not in "iu":
            return None
        counts = [0] * classes
        relabel = Samples(dataset, _resolved(relabelled)).relabel
        for target, first, count in zip(*np.unique(targets, return_index=True, return_counts=True), strict=True):
            new = relabel(int(target), int(first))
            if not isinstance(new, int | np.integer) or not 0 <= new < classes:
                return None
            counts[new] += int(count)
        return counts

    def model(self, fresh: bool = True, device: torch.device | None = None, values: bool = True) -> nn.Module:
        """The model on its device.

        Args:
            fresh: with weights drawn from the seed, by the rules of ``init``, and then from ``pretrained``; without,
                they are about to be loaded.
            device: another one than the run's.
            values: its weights have some; without, they are about to be given some, on the CPU, if the model can do so.
        """
        torch.manual_seed(self.values["seed"])
        empty = {**self.known, "fresh": False}
        if not values and (built := hollow(lambda: MODELS.build(self.values["model"], "model", empty))) is not None:
            return built
        model: nn.Module = MODELS.build(self.values["model"], "model", {**self.known, "fresh": fresh})
        if not isinstance(model, nn.Module):
            raise ConfigError([Problem(f"built a {type(model).__name__}, which is no torch.nn.Module", "model")])
        if fresh:
            self.fill(model)
        if self.values["channels_last"]:
            model = model.to(memory_format=torch.channels_last)
        return model.to(device or self.device)

    def fill(self, model: nn.Module) -> None:
        """Give a model the weights that it starts from, and log which came from where."""
        filled = initialise(model, self.values["init"])
        if pretrained := self.values["pretrained"]:
            fit = load_pretrained(model, **pretrained)
            filled |= dict.fromkeys(fit.loaded, str(pretrained["path"]))
            logger.info("pretrained: %s", pretrained["path"])
            for line in fit.table():
                logger.info("  %s", line)
        names: dict[str, list[str]] = {}
        for name, _ in model.named_parameters():
            names.setdefault(filled.get(name, "its constructor"), []).append(name)
        if filled:
            for origin, those in names.items():
                logger.info("weights from %s: %s", origin, some(those))

    def step(self, model: nn.Module, training: bool = True) -> Step:
        """Model, loss and number format together, to be compiled at the first call if the config says so."""
        loss = self.loss()
        step = Step(model, loss, self.device, self.values["precision"], self.values["channels_last"])
        if isinstance(loss, nn.Module):
            loss.to(self.device)
        if training and self.values["compile"]:
            options = self.values["compile"] if isinstance(self.values["compile"], Mapping) else {}
            try:
                step.compile(**options)
            except (RuntimeError, TypeError, ValueError) as error:  # it only reads its arguments yet
                raise ConfigError([Problem(f"torch.compile: {error}", "compile")]) from error
        return step

    def loss(self) -> Any:
        """The criterion; None where the config names none."""
        cfg = self.values["loss"]
        if cfg is None:
            return None
        if "type" in cfg:
            with refusals(cfg, "loss"):
                return LOSSES.build(cfg, "loss", self.known)
        parts, weights = {}, {}
        for name, part in cfg.items():
            if part is not None:
                weights[name] = part.get("loss_weight", 1.0)
                arguments = {key: value for key, value in part.items() if key != "loss_weight"}
                with refusals(arguments, f"loss.{name}"):
                    parts[name] = LOSSES.build(arguments, f"loss.{name}", self.known)
        return WeightedLosses(parts, weights)

    def metrics(self) -> dict[str, Any]:
        """A fresh metric of each name."""
        built = {}
        for name, part in self.values["metrics"].items():
            if part is not None:
                metric = METRICS.build(part, f"metrics.{name}", self.known)
                built[name] = metric.to(self.device) if isinstance(metric, nn.Module) else metric
        return built

    def optimizer(self, model: nn.Module, frozen: set[str]) -> torch.optim.Optimizer:
        """The optimizer over every trainable parameter, in the groups that the config asks for; several step as one.

        Args:
            frozen: names of what stands still for the whole run.
        """
        parts = optimizer_parts(self.values["optimizer"])
        if "optimizer" in parts:  # a single one
            groups = [parameter_groups(model, parts["optimizer"].get("groups") or (), frozen)]
        else:
            groups = groups_of_each(model, parts, frozen)
        supply = {"model": model, "precision": self.values["precision"]}
        built: dict[str, torch.optim.Optimizer] = {}
        for (path, part), own in zip(parts.items(), groups, strict=True):
            cfg = {key: value for key, value in part.items() if key not in (*OPTIMIZER_KEYS, *GROUPING_KEYS)}
            if part.get("layer_decay") is not None:
                own = decayed(own, model, part["layer_decay"])
            with refusals(cfg, path, model):
                built[path.rpartition(".")[2]] = OPTIMIZERS.build(cfg, path, supply, params=own)
        optimizer = next(iter(built.values())) if "optimizer" in parts else Optimizers(built)
        for group in optimizer.param_groups:
            group["lr"] *= 1.0 if group["lr_mult"] is None else group["lr_mult"]
        if any(group["name"] != "all" for group in optimizer.param_groups):
            for index, group in enumerate(optimizer.param_groups):
                count, values = len(group["params"]), sum(parameter.numel() for parameter in group["params"])
                what = (index, group["name"], count, values, group["lr"])
                logger.info("group %d, %s: %d tensors, %d values, lr %g", *what)
        return optimizer

    def schedules(
        self, optimizer: torch.optim.Optimizer, config: Any, where: str, iterations: int, epochs: int
    ) -> list[Schedule]:
        """Each scheduler with its unit; the length in its unit and the optimizer's rates are supplied where left out.

        Args:
            config: a scheduler, a list of them, or none.
            where: its config path.
            iterations, epochs: what it runs across.
        """
        schedules = []
        rates = [group["lr"] for group in optimizer.param_groups]  # before the first scheduler changes them
        for index, part in enumerate(_listed(config or ())):
            cfg = dict(part)
            unit, monitor = cfg.pop("unit"), cfg.pop("monitor", None)
            path = f"{where}.{index}" if isinstance(config, list | tuple) else where
            length = iterations if unit == "iter" else epochs
            schedules.append(Schedule(self.scheduler(cfg, path, optimizer, rates, length), unit, monitor))
        return schedules

    def scheduler(
        self, cfg: Mapping[str, Any], path: str, optimizer: torch.optim.Optimizer, rates: list[float], length: int
    ) -> LRScheduler | ReduceLROnPlateau:
        """One scheduler, those inside it first.

        Args:
            rates: of each group, before any schedule.
            length: of its steps, for what the config leaves out.
        """
        cfg = dict(cfg)
        if parts := cfg.get("schedulers"):
            cfg["schedulers"] = [
                self.scheduler(part, f"{path}.schedulers.{number}", optimizer, rates, steps)
                for number, (part, steps) in enumerate(zip(parts, horizon.inside(cfg, length), strict=True))
            ]
        supply = {**horizon.supply(length), "max_lr": rates}
        if {"epochs", "steps_per_epoch"} & cfg.keys():
            del supply["total_steps"]  # the config says the length its own way
        with refusals(cfg, path):
            built: LRScheduler | ReduceLROnPlateau = SCHEDULERS.build(cfg, path, supply, optimizer=optimizer)
        return built

    def warn_of_horizons(self, config: Any, where: str, iterations: int, epochs: int) -> None:
        """Log where a schedule is meant to last otherwise than it will."""
        for index, part in enumerate(_listed(config or ())):
            path = f"{where}.{index}" if isinstance(config, list | tuple) else where
            length = iterations if part["unit"] == "iter" else epochs
            for place, message in horizon.surprises(part, path, length, part["unit"]):
                logger.warning("%s", self.config.problem(place, message))

    def hooks(self) -> dict[str, Hook]:
        """The default hooks as the config changes them, then its own, by name and in this order."""
        wanted: dict[str, Any] = {name: dict(part or {}) for name, part in DEFAULT_HOOKS.items()}
        wanted["checkpoint"] |= self.values["checkpoint"] or {}
        for name, part in self.values["hooks"].items():
            keeps_type = isinstance(part, Mapping) and "type" not in part and name in wanted
            wanted[name] = wanted[name] | part if keeps_type else part
        built = {}
        for name, part in wanted.items():
            if part is None:
                continue
            hook = HOOKS.build(part, f"hooks.{name}", self.known)
            if not isinstance(hook, Hook):
                raise ConfigError([Problem(f"built a {type(hook).__name__}, which is no Hook", f"hooks.{name}")])
            built[name] = hook
        return built

    def strategy(self) -> Strategy:
        """How the ranks of a run hold the model."""
        with refusals(self.values["strategy"], "strategy"):
            built: Strategy = STRATEGIES.build(self.values["strategy"], "strategy", self.known)
        if not isinstance(built, Strategy):
            raise ConfigError([Problem(f"built a {type(built).__name__}, which is no Strategy", "strategy")])
        return built

    def duration(self, key: str) -> Duration:
        """The duration that a run key holds."""
        return Duration.parse(self.values[key])


@contextmanager
def placed(config: Config) -> Iterator[None]:
    """Mistakes that show only while parts are built get the file and line of their config path."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(
            [p if p.place or not p.path else config.problem(p.path, p.message) for p in error.problems]
        ) from error


@contextmanager
def refusals(cfg: Mapping[str, Any], path: str, model: nn.Module | None = None) -> Iterator[None]:
    """What a class says against its arguments is a mistake in the config; a shape in it is given a parameter's name."""
    try:
        yield
    except ValueError as error:
        named = model.named_parameters() if model else ()
        meant = [name for name, parameter in named if str(parameter.size()) in str(error)]
        hint = f"; that is {some(meant)}" if meant else ""
        raise ConfigError([Problem(f"{cfg['type']}: {error}{hint}", path)]) from error


def choose_device(wanted: str, local_rank: int | None = None) -> torch.device:
    """``"auto"`` takes CUDA, else MPS, else the CPU.

    Args:
        local_rank: of several processes on this machine, each of which takes the GPU of its number.

    Raises:
        PegboardError: no such device here.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            wanted = "cuda"
        else:
            wanted = "mps" if torch.backends.mps.is_available() and local_rank is None else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise PegboardError(f"there is no device {wanted!r}; expected auto, cpu, cuda, cuda:N or mps") from error
    if device.type == "cuda" and local_rank is not None:
        if device.index is not None:
            raise PegboardError(f"device {wanted!r} is one GPU, but each rank needs its own; write device='cuda'")
        device = torch.device("cuda", local_rank)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise PegboardError(
            f"device {wanted!r} is not here: torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise PegboardError("device 'mps' is not here: torch sees no Apple GPU")
    return device


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _resolved(value: Any) -> Any:
    """What lies at an address; what is none stays."""
    return address.resolve(value) if isinstance(value, str) else value
