"""From a checked config to the parts of a run, each built by its board."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from pegboard.config.duration import Duration
from pegboard.config.keys import DEFAULT_HOOKS, LOADER_KEYS, RUN_KEYS
from pegboard.config.load import Config
from pegboard.data.loader import Loader
from pegboard.errors import ConfigError, PegboardError
from pegboard.hooks.hook import Hook
from pegboard.plugins import load_plugin
from pegboard.registry import DATASETS, HOOKS, LOSSES, METRICS, MODELS, OPTIMIZERS, SCHEDULERS, TRANSFORMS
from pegboard.runner.schedule import Schedule
from pegboard.runner.step import Step

Split = Literal["train", "val", "test"]


class Builder:
    """Builds each part of one run; a value that the config leaves out has its default from the table of run keys."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.values = {name: key.default for name, key in RUN_KEYS.items()}
        self.values |= {name: value for name, value in config.values.items() if value is not None}
        self.device = choose_device(self.values["device"])
        self.known: dict[str, Any] = {}  # what the data tells the other parts: num_classes, classes, mean, std

    def loader(self, split: Split) -> Loader:
        """The loader of a split; the first one built tells the number of classes and the statistics."""
        cfg = {name: key.default for name, key in LOADER_KEYS.items()} | self.values[split]
        dataset = DATASETS.build(cfg.pop("dataset"), f"{split}.dataset")
        self.learn_from(dataset)
        transforms = [
            TRANSFORMS.build(part, f"{split}.transforms.{index}", self.known)
            for index, part in enumerate(_listed(cfg.pop("transforms")))
        ]
        return Loader(dataset, transforms, seed=self.values["seed"], device=self.device, what=split, **cfg)

    def learn_from(self, dataset: Any) -> None:
        """Keep what a dataset says of itself, for the arguments that other parts let the run supply."""
        classes = getattr(dataset, "classes", None)
        facts = {
            "classes": classes,
            "num_classes": getattr(dataset, "num_classes", None) or (len(classes) if classes else None),
            "mean": getattr(dataset, "mean", None),
            "std": getattr(dataset, "std", None),
        }
        self.known = {name: value for name, value in facts.items() if value is not None} | self.known

    def model(self) -> nn.Module:
        """The model on its device, with fresh weights drawn from the seed."""
        torch.manual_seed(self.values["seed"])
        model: nn.Module = MODELS.build(self.values["model"], "model", self.known)
        if not isinstance(model, nn.Module):
            raise ConfigError(
                [self.config.problem("model", f"built a {type(model).__name__}, which is no torch.nn.Module")]
            )
        if self.values["channels_last"]:
            model = model.to(memory_format=torch.channels_last)
        return model.to(self.device)

    def step(self, model: nn.Module) -> Step:
        """Model, loss and number format together."""
        loss = LOSSES.build(self.values["loss"], "loss", self.known) if self.values["loss"] else None
        if isinstance(loss, nn.Module):
            loss = loss.to(self.device)
        return Step(model, loss, self.device, self.values["precision"], self.values["channels_last"])

    def metrics(self) -> dict[str, Any]:
        """A fresh metric of each name."""
        built = {}
        for name, part in self.values["metrics"].items():
            if part is not None:
                metric = METRICS.build(part, f"metrics.{name}", self.known)
                built[name] = metric.to(self.device) if isinstance(metric, nn.Module) else metric
        return built

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer over every parameter that asks for a gradient."""
        params = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not params:
            raise ConfigError([self.config.problem("model", "has no parameter that can be trained")])
        optimizer: torch.optim.Optimizer = OPTIMIZERS.build(self.values["optimizer"], "optimizer", params=params)
        return optimizer

    def schedules(self, optimizer: torch.optim.Optimizer, iterations: int, per_epoch: int) -> list[Schedule]:
        """Each scheduler with its unit; the run's length and the optimizer's rates are supplied where left out."""
        schedules = []
        for index, part in enumerate(_listed(self.values["scheduler"])):
            where = f"scheduler.{index}" if isinstance(self.values["scheduler"], list | tuple) else "scheduler"
            cfg = dict(part)
            unit, monitor = cfg.pop("unit"), cfg.pop("monitor", None)
            steps = iterations if unit == "iter" else -(-iterations // per_epoch)
            rates = [group["lr"] for group in optimizer.param_groups]
            supply = {"total_steps": steps, "T_max": steps, "max_lr": rates}
            if {"epochs", "steps_per_epoch"} & cfg.keys():
                del supply["total_steps"]  # the config says the length its own way
            scheduler: LRScheduler | ReduceLROnPlateau = SCHEDULERS.build(cfg, where, supply, optimizer=optimizer)
            schedules.append(Schedule(scheduler, unit, monitor))
        return schedules

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
                raise ConfigError(
                    [self.config.problem(f"hooks.{name}", f"built a {type(hook).__name__}, which is no Hook")]
                )
            built[name] = hook
        return built

    def duration(self, key: str) -> Duration:
        """The duration that a run key holds."""
        return Duration.parse(self.values[key])


def import_plugins(config: Config) -> None:
    """Bring in the files and modules that the config's ``plugins`` names."""
    folder = config.path.parent if config.path else Path()
    for name in config.values.get("plugins") or ():
        load_plugin(name, folder)


def choose_device(wanted: str) -> torch.device:
    """``"auto"`` takes CUDA, else MPS, else the CPU.

    Raises:
        PegboardError: no such device here.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise PegboardError(f"there is no device {wanted!r}; expected auto, cpu, cuda, cuda:N or mps") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise PegboardError(
            f"device {wanted!r} is not here: torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise PegboardError("device 'mps' is not here: torch sees no Apple GPU")
    return device


def fingerprint(loader: Loader) -> str:
    """A short hash of how many samples there are and of up to 64 of them, spread evenly."""
    import hashlib

    from pegboard.data.engines import decode

    count = len(loader.dataset)
    digest = hashlib.sha256(str(count).encode())
    for index in range(0, count, max(1, count // 64)):
        image, target = decode(loader.dataset, index)
        digest.update(image.numpy().tobytes() + str(target).encode())
    return digest.hexdigest()[:16]


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]
