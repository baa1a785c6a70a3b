"""A trained model that classifies images by itself: what a checkpoint holds, without the data it was trained on."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pegboard.config import Config
from pegboard.data.samples import as_tensor
from pegboard.data.transform import Pipeline
from pegboard.errors import CheckpointError, ConfigError, DataError
from pegboard.runner.build import Builder
from pegboard.runner.state import load_weights

logger = logging.getLogger("pegboard")

OF_THE_MODEL = ("model", "seed", "threads", "channels_last", "precision")  # run keys that say how outputs are computed
AT_ONCE = 64  # images that go through the model together


class Classifier:
    """The model of a checkpoint, with the preprocessing of its validation data and the names of its classes.

    Args:
        state: a checkpoint's contents. device: where it computes.

    Attributes:
        classes: their names; empty where the data had none.
        split: whose transforms these are, ``"val"`` or ``"test"``; empty where the run has neither.
        image_size: (height, width) of the training images, in pixels; None where they differed.
        input_shape: of one input of the model; None in checkpoints that do not say.

    Raises:
        CheckpointError: the checkpoint's model is built by a plugin that is not here, or is no classifier's state.
    """

    def __init__(self, state: Mapping[str, Any], device: str = "auto") -> None:
        self.config = state["config"]
        self.known = dict(state.get("known") or {})
        own = {name: self.config[name] for name in OF_THE_MODEL if self.config.get(name) is not None}
        self.builder = Builder(Config.from_values({**own, "device": device}, "the checkpoint"))
        self.builder.known = self.known
        self.split = next((name for name in ("val", "test") if self.config.get(name)), "")
        self.transforms = (self.config[self.split].get("transforms") or ()) if self.split else ()
        try:
            self.model: nn.Module = self.builder.model(fresh=False)
            self.pipeline = Pipeline(
                self.builder.transforms(self.transforms, f"{self.split}.transforms"), self.builder.values["seed"]
            )
        except ConfigError as error:
            plugins = self.config.get("plugins")
            hint = f"; the run used plugins: repeat them, --plugins {' '.join(plugins)}" if plugins else ""
            raise CheckpointError(f"{error}{hint}") from error
        load_weights(self.model, state["model"])
        self.step = self.builder.step(self.model, training=False).eval()
        self.classes = [str(name) for name in self.known.get("classes") or ()]
        size, shape = self.known.get("image_size"), self.known.get("input_shape")
        self.image_size: tuple[int, int] | None = (size[0], size[1]) if size else None
        self.input_shape: tuple[int, ...] | None = tuple(shape) if shape else None

    def name_of(self, number: int) -> str:
        """A class by its number."""
        return self.classes[number] if number < len(self.classes) else str(number)

    def prepare(self, image: Any) -> Tensor:
        """One image, PIL or uint8 (C, H, W), as an input of the model.

        An image that the transforms do not bring to the size that the model was trained on is first resized to that of
        the training images.

        Raises:
            DataError: a transform cannot take it.
        """
        pixels = as_tensor(image, 0)
        size = tuple(pixels.shape[-2:])
        resized = self.image_size is not None and size != self.image_size
        done = None
        if resized and self.input_shape is not None:
            try:
                done = self._transformed(pixels)
            except (DataError, RuntimeError, ValueError):  # too small for a crop, say; it is resized below
                done = None
            if done is not None and tuple(done.shape) == self.input_shape:
                return done
        if resized and self.image_size is not None:
            pixels = _resized(pixels, self.image_size)
        return self._transformed(pixels)

    def _transformed(self, pixels: Tensor) -> Tensor:
        """(C, H, W), on the CPU."""
        zero = np.zeros(1, dtype=np.int64)
        inputs, _ = self.pipeline(pixels[None], torch.zeros(1, dtype=torch.int64), zero, 0, zero)
        return inputs[0]

    @torch.inference_mode()
    def outputs(self, inputs: Tensor) -> Tensor:
        """What the model gives for inputs (B, ...), in the run's number format, as float32 on the CPU."""
        if self.builder.values["channels_last"] and inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        inputs = inputs.to(self.builder.device)
        if self.step.autocast is None:
            outputs = self.model(inputs)
        else:
            with self.step.autocast:
                outputs = self.model(inputs)
        if not isinstance(outputs, Tensor) or outputs.dim() != 2:
            shape = tuple(getattr(outputs, "shape", ())) or type(outputs).__name__
            raise CheckpointError(f"the model gives {shape}; expected (B, K), one number a class")
        return outputs.float().cpu()

    def classify(self, images: Sequence[Any]) -> Tensor:
        """Probabilities (B, K) of images."""
        inputs = [self.prepare(image) for image in images]
        for index, one in enumerate(inputs):
            if one.shape != inputs[0].shape:
                raise DataError(
                    f"image {index} is {tuple(one.shape)} after the transforms, the first {tuple(inputs[0].shape)}; "
                    "the run does not say to which size an image is brought"
                )
        return probabilities(self.outputs(torch.stack(inputs)))


def probabilities(outputs: Tensor) -> Tensor:
    """Probabilities (B, K) from what a classifier gives: logits, log-probabilities, or probabilities already."""
    outputs = outputs.detach().float()
    sums = outputs.sum(1)
    already = bool((outputs >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-4)
    return outputs if already else outputs.softmax(1)  # which leaves log-probabilities what they mean


def _resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    values = F.interpolate(pixels[None].float(), size, mode="bilinear", antialias=True)[0]
    return values if pixels.is_floating_point() else values.round().clamp(0, 255).to(torch.uint8)
