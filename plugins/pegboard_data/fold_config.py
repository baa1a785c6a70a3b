"""The config of one fold: that of the whole, but for what it trains and validates on."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pegboard import Config
from pegboard.errors import PegboardError
from pegboard_data.folds import Fold
from pegboard_data.statistics import CHANNELS, Tally, as_rgb_image
from pegboard_data.subset import read_indices, write_indices

LOADERS = ("train", "val", "test")
FILES = {"train": "train_indices.txt", "val": "val_indices.txt"}

Statistics = tuple[tuple[float, ...], tuple[float, ...]]  # mean and standard deviation of each channel


def whole(config: Config) -> Config:
    """The config with the whole of ``train.dataset`` to validate on too, since the folds take all samples from there.

    Raises:
        PegboardError: it has no ``train.dataset``, or no ``val`` that says how to validate.
    """
    train, val = config.values.get("train"), config.values.get("val")
    if not isinstance(train, Mapping) or not isinstance(train.get("dataset"), Mapping):
        raise PegboardError(f"{config.path} has no train.dataset; expected train=dict(dataset=dict(type=...))")
    if not isinstance(val, Mapping):
        raise PegboardError(
            f"{config.path} has no val, which says how a fold is validated; expected val=dict(transforms=[...], "
            "batch_size=...) with those of train's transforms that are not random; a dataset in it is not used"
        )
    values = {name: value for name, value in config.values.items() if name != "work_dir"}
    values["val"] = {"dataset": train["dataset"], **{key: part for key, part in val.items() if key != "dataset"}}
    return Config(values, config.origins, config.path, config.problems)


def fold_config(config: Config, folder: Path, name: str, statistics: Statistics | None = None) -> Config:
    """The config of the fold in ``folder``, where the indices of its samples lie.

    Args:
        config: the :func:`whole`.
        name: of the run.
        statistics: what every Normalize gets.
    """
    values = dict(config.values)
    for loader, file in FILES.items():
        subset = {"type": "Subset", "dataset": values[loader]["dataset"], "file": (folder / file).as_posix()}
        values[loader] = {**values[loader], "dataset": subset}
    if statistics is not None:
        for loader in LOADERS:
            if values.get(loader):
                transforms = _with_statistics(values[loader].get("transforms", ()), statistics)
                values[loader] = {**values[loader], "transforms": transforms}
    values["name"] = name
    if config.path and values.get("plugins"):
        values["plugins"] = [_from(folder, config.path.parent, plugin) for plugin in values["plugins"]]
    return Config(values, config.origins, folder / "config.py")


def normalizes(config: Config) -> bool:
    """Whether a Normalize stands among the transforms that train."""
    marked = _with_statistics(config.values["train"].get("transforms", ()), ((), ()))
    return bool(marked != config.values["train"].get("transforms", ()))


def statistics_of(dataset: Any, fold: Fold) -> Statistics:
    """Mean and standard deviation of a fold's training images, as the dataset gives them, in six digits.

    Raises:
        DataError: a sample is no image.
        PegboardError: a channel has one value only, which no Normalize can divide by.
    """
    tally = Tally()
    for index in fold.train.tolist():
        tally.add(as_rgb_image(dataset[index][0], index))
    mean, std = (tuple(round(value, 6) for value in values) for values in (tally.mean(), tally.std()))
    if 0 in std:
        raise PegboardError(f"--statistics: every {CHANNELS[std.index(0)]} value of the training images is the same")
    return mean, std


def put_indices(folder: Path, fold: Fold) -> None:
    """Write a fold's indices where its config reads them.

    Raises:
        PegboardError: others stand there.
    """
    folder.mkdir(exist_ok=True)
    for file, indices in zip(FILES.values(), fold, strict=True):
        path = folder / file
        if not path.exists():
            partial = path.with_suffix(".part")  # a kill leaves no half of them
            write_indices(partial, indices)
            partial.replace(path)
        elif read_indices(path).tolist() != indices.tolist():
            raise PegboardError(
                f"{path} holds other samples than are drawn now, by another scikit-learn perhaps; expected a new "
                "--work-dir, or the libraries of then"
            )


def _with_statistics(value: Any, statistics: Statistics) -> Any:
    """Transforms with mean and std in each Normalize, also where another transform holds it."""
    if isinstance(value, list | tuple):
        return type(value)(_with_statistics(part, statistics) for part in value)
    if not isinstance(value, Mapping):
        return value
    if str(value.get("type")).rpartition(":")[2] == "Normalize":
        return {**value, "mean": statistics[0], "std": statistics[1]}
    return {key: _with_statistics(part, statistics) for key, part in value.items()}


def _from(folder: Path, old: Path, plugin: str) -> str:
    """A plugin's file, named relative to a config in ``folder`` instead of one in ``old``; modules stay as they are."""
    return Path(os.path.relpath(old / plugin, folder)).as_posix() if plugin.endswith(".py") else plugin
