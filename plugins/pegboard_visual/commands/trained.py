"""A trained model to look at: out of a run, a checkpoint or a weights file, with the preprocessing it is used to.

Dimension letters: H x W an image, h x w what the network gets.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor, nn

from pegboard import Config, ConfigError, DataError, PegboardError
from pegboard.checkpoint import load
from pegboard.cli.opened import of_run
from pegboard.data.transform import Pipeline
from pegboard.errors import did_you_mean
from pegboard.plugins import load_plugin
from pegboard.registry import DATASETS, TRANSFORMS
from pegboard.runner.build import Builder
from pegboard.runner.state import load_weights
from pegboard.weights.pretrained import read_weights
from pegboard_visual.commands.output import Output
from pegboard_visual.drawing.picture import Picture

logger = logging.getLogger("pegboard")

PROBES = ((611, 703), (512, 640))  # two sizes: transforms that make one size of both fix it


class Prepared(NamedTuple):
    """An image as read, and as the network gets it.

    Args:
        image: (H, W, 3) uint8.
        inputs: (1, C, h, w) float32.
        window: left, top, right and bottom of what the network sees, in pixels of ``image``; a part may lie outside.
    """

    image: Picture
    inputs: Tensor
    window: tuple[float, float, float, float]


@dataclass
class Trained:
    """A model in evaluation mode with what belongs to it.

    Args:
        classes: a name each.
        transforms: of the validation data, or else of the test data.
        size: (h, w) to which an image is brought before them; None where they choose the size themselves.
        folder: of the run; None for a file that lies in none.
        epoch, iteration: after which the weights were saved; 0 for a file that does not say.
    """

    model: nn.Module
    classes: list[str]
    transforms: Pipeline
    size: tuple[int, int] | None
    device: torch.device
    folder: Path | None
    epoch: int = 0
    iteration: int = 0

    def output(self, out: str | None) -> Output:
        """Where its pictures go."""
        return Output(self.folder, out, self.epoch, self.iteration)

    def prepare(self, path: Path) -> Prepared:
        """Read an image of any size and mode, upright, and transform it as the run does.

        Raises:
            DataError: it cannot be read.
        """
        image = read_image(path)
        resized = image.resize(self.size[::-1], Image.Resampling.BILINEAR) if self.size else image
        pixels = torch.from_numpy(np.array(resized).transpose(2, 0, 1).copy())[None]  # (1, 3, H, W) uint8
        window = (0.0, 0.0, float(image.width), float(image.height))
        for place, transform in enumerate(self.transforms.transforms):
            before = pixels.shape[-2:]
            step = Pipeline([transform], self.transforms.seed)
            step.first_place = place
            pixels, _ = step(pixels, torch.zeros(1, dtype=torch.int64), np.zeros(1, np.int64), 0, np.zeros(1, np.int64))
            if type(transform).__name__ in ("CenterCrop", "Pad"):
                window = _middle(window, before, pixels.shape[-2:])
        if not pixels.is_floating_point():
            raise DataError(f"the transforms give {pixels.dtype} for {path}; end them with ToFloat")
        return Prepared(np.asarray(image), pixels.to(self.device), window)

    @contextmanager
    def taking(self, inputs: Tensor) -> Iterator[None]:
        """Inside, the model is given ``inputs``; a size that it cannot take is said in words."""
        try:
            yield
        except RuntimeError as error:
            raise PegboardError(
                f"the {type(self.model).__name__} cannot take an input {tuple(inputs.shape)}: "
                f"{str(error).splitlines()[0]}; --size PIXELS brings images to a square of that side first"
            ) from error


def open_trained(
    path: Path,
    config_file: str | None = None,
    options: tuple[str, ...] = (),
    size: int | None = None,
) -> Trained:
    """Build the model that a path names and load its weights.

    Args:
        path: a run folder, a checkpoint, or, with ``config_file``, weights alone.
        config_file: is run; without it no config file is, and no ``plugins`` that a checkpoint names.
        options: overrides of the config.
        size: side to which images are brought; as the run's transforms and data say unless given.

    Raises:
        PegboardError: something is missing, or does not fit.
    """
    folder, at = None, (0, 0)
    if config_file is None:
        config, state, beside = of_run(path, list(options))
        weights, known = state["model"], dict(state.get("known") or {})
        at = (int(state.get("epoch", 0)) + bool(state.get("position")), int(state.get("iteration", 0)))
        folder = beside if (beside / "checkpoints").is_dir() else None
    else:
        config, known = Config.load(config_file, options), {}
        if config.problems:
            raise ConfigError(config.problems)
        for plugin in config.values.get("plugins") or ():
            load_plugin(plugin, Path(config_file).parent)
        weights = read_weights(path) if path.is_dir() or path.suffix == ".safetensors" else _bare(path)
    builder = Builder(config)
    builder.known = known
    split = next((name for name in ("val", "test", "train") if builder.values[name]), None)
    if split is None:
        raise ConfigError("the config says nothing of val or test data, whose transforms the images need")
    if not known:
        for name in ("val", "test", "train"):
            if builder.values[name]:
                part = builder.values[name]
                dataset = DATASETS.build(part["dataset"], f"{name}.dataset")
                builder.learn_from(_meant(dataset), part.get("target_transform"))
                break
    model = builder.model(fresh=False)
    load_weights(model, weights)
    transforms = _transforms(builder, split if split != "train" else "")
    sides = (size, size) if size else _size(builder, transforms)
    count = builder.known.get("num_classes")
    names = [str(name) for name in builder.known.get("classes") or range(int(count or 0))]
    return Trained(model.eval(), names, transforms, sides, builder.device, folder, *at)


def _meant(dataset: Any) -> Any:
    """What weights that say nothing of themselves were trained on: no stand-in, but what it stands in for.

    Its class knows the names of its classes, their mean and standard deviation; else there is only the stand-in.
    """
    real = type(dataset)
    if not getattr(dataset, "stand_in", False) or not getattr(real, "classes", None):
        return dataset
    logger.info("the weights are taken to be of %s, not of its stand-in: %s", real.__name__, ", ".join(real.classes))
    return real


def read_image(path: Path) -> Image.Image:
    """An image file in RGB, turned upright as its camera noted.

    Raises:
        DataError: there is none, or it is damaged.
    """
    if not path.is_file():
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"there is no image {path}{did_you_mean(path.name, beside)}")
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode in ("F", "I") or image.mode.startswith("I;"):  # more than 8 bits: Pillow would cut them off
                image = _eight_bits(image)
            return image.convert("RGB")
    except UnidentifiedImageError as error:
        raise DataError(f"{path} is no image that Pillow can read") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} cannot be read as an image: {error}") from error


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float64)
    if image.mode == "F":
        low, high = float(values.min()), float(values.max())
    else:
        low, high = 0.0, 65535.0
    levels = np.clip((values - low) * (255 / ((high - low) or 1.0)), 0, 255)
    return Image.fromarray(np.rint(levels).astype(np.uint8))


def _bare(path: Path) -> dict[str, Tensor]:
    loaded = load(path)
    return dict(loaded["model"]) if "config" in loaded and "model" in loaded else read_weights(path)


def _transforms(builder: Builder, split: str) -> Pipeline:
    """Those of a split that look at one sample at a time; ToFloat alone where there is none."""
    parts = (builder.values[split] or {}).get("transforms", ()) if split else ({"type": "ToFloat"},)
    listed = parts if isinstance(parts, list | tuple) else [parts]
    built = [TRANSFORMS.build(p, f"{split}.transforms.{i}", builder.known) for i, p in enumerate(listed)]
    return Pipeline(built, builder.values["seed"]).split_at_mixing()[0]


def _size(builder: Builder, transforms: Pipeline) -> tuple[int, int] | None:
    """The size that the network was trained with, where the transforms leave it to the data.

    What the training transforms make of any image says it, or else the data's first image.
    """
    if _fixed(transforms):
        return None
    trains = _transforms(builder, "train") if builder.values["train"] else None
    if trains and (fixed := _fixed(trains)):
        return fixed
    for split in ("val", "test", "train"):
        if not builder.values[split]:
            continue
        try:
            image: Any = DATASETS.build(builder.values[split]["dataset"], f"{split}.dataset")[0][0]
        except (PegboardError, OSError):
            continue  # the data is not here; the other splits, or --size, may say it
        height, width = image.shape[-2:] if isinstance(image, Tensor) else image.size[::-1]
        return int(height), int(width)
    return None


def _fixed(transforms: Pipeline) -> tuple[int, int] | None:
    """The size that comes out whatever goes in; None if it depends."""
    found = set()
    nothing = torch.zeros(1, dtype=torch.int64)
    for height, width in PROBES:
        image, zero = torch.zeros(1, 3, height, width, dtype=torch.uint8), np.zeros(1, np.int64)
        try:
            found.add(tuple(transforms(image, nothing, zero, 0, zero)[0].shape[-2:]))
        except PegboardError:
            return None
    [height, width], *others = found
    return None if others else (int(height), int(width))


def _middle(
    window: tuple[float, float, float, float], before: tuple[int, ...], after: tuple[int, ...]
) -> tuple[float, float, float, float]:
    """What is left of a window, or added around it, when its middle is cut or padded from one size to another."""
    left, top, right, bottom = window
    more_x = (after[1] - before[1]) / 2 * (right - left) / before[1]
    more_y = (after[0] - before[0]) / 2 * (bottom - top) / before[0]
    return left - more_x, top - more_y, right + more_x, bottom + more_y
