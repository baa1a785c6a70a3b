"""What a network looks at while it learns.

Dimension letters: B images, N classes.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pegboard import Duration, Hook, PegboardError
from pegboard.errors import did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

    from pegboard import Batch, Runner

logger = logging.getLogger("pegboard")

Method = Literal["gradcam", "gradcam++", "cam", "eigencam", "guided_backprop", "guided_gradcam"]


class GradCAM(Hook):
    """Draw where fixed validation images speak for their predicted classes, in ``figures/`` and in TensorBoard.

    Drawn at the end of the first validation after each ``every``, and of the run's last one: the images as the network
    gets them, their maps, and the likeliest classes with the true one. It only looks: training is bit for bit the same
    without it. It costs a few forwards and a backward of these images, and their sheet:
    about two seconds for eight images on one CPU core.

    Args:
        images: how many, spread evenly over the validation data.
        every: how often.
        layer: a name as in ``model.named_modules()``; the last layer that gives maps unless given.
        method: as `pegboard cam --method` has it.

    Source: Selvaraju et al. 2017, arXiv:1610.02391.
    """

    state = ("drawn",)

    def __init__(
        self,
        images: int = 8,
        every: str = "5 epochs",
        layer: str | None = None,
        method: Method = "gradcam",
    ) -> None:
        if isinstance(images, bool) or not isinstance(images, int) or not 1 <= images <= 64:
            raise PegboardError(f"GradCAM: images must be an integer from 1 to 64, got {images!r}")
        known = ("gradcam", "gradcam++", "cam", "eigencam", "guided_backprop", "guided_gradcam")
        if method not in known:
            hint = did_you_mean(method, known, otherwise=f"; there are {', '.join(known)}")
            raise PegboardError(f"GradCAM: there is no method {method!r}{hint}")
        if method == "guided_backprop" and layer is not None:
            raise PegboardError("GradCAM: guided_backprop goes back to the pixels and reads no layer; leave layer out")
        try:
            self.every = Duration.parse(every)
        except ValueError as error:
            raise PegboardError(f"GradCAM: every: {error}") from None
        self.images = images
        self.layer = layer
        self.method = method
        self.drawn = 0  # how often ``every`` had passed when it was last drawn
        self.kept: dict[int, tuple[Tensor, int | None]] = {}  # sample -> input (C, H, W), true class
        self.wanted: set[int] = set()  # samples, while a validation goes on that is drawn

    def before_train(self, run: "Runner") -> None:
        """A layer that does not exist is said now, and not after five epochs."""
        names = [name for name, _ in run.model.named_modules(remove_duplicate=False) if name]
        if self.layer is not None and self.layer not in names:
            hint = did_you_mean(self.layer, names, otherwise=f"; there are {', '.join(names[:10])}")
            raise PegboardError(f"GradCAM: the model has no layer {self.layer!r}{hint}")

    def before_val(self, run: "Runner") -> None:
        self.kept, self.wanted = {}, set()
        if self._is_due(run) and run.val_loader is not None:
            order = run.val_loader.order(0)
            self.wanted = {int(order[place * len(order) // self.images]) for place in range(self.images)}

    def before_val_iter(self, run: "Runner", batch: "Batch") -> None:
        """Keep the inputs that are wanted, as the network gets them; nothing is read a second time."""
        if not self.wanted:
            return
        for place, sample in enumerate(batch.index.tolist()):
            if sample in self.wanted and sample not in self.kept:
                self.kept[sample] = batch.inputs[place].detach().clone(), _class_of(batch.targets, place)

    def after_val(self, run: "Runner", metrics: Mapping[str, float]) -> None:
        if not self._is_due(run):
            return
        kept, self.kept, self.wanted = self.kept, {}, set()
        self.drawn = self._periods(run)
        if kept:
            self._draw(run, kept)

    def _periods(self, run: "Runner") -> int:
        return run.iteration // self.every.iterations(run.per_epoch)

    def _is_due(self, run: "Runner") -> bool:
        return self._periods(run) > self.drawn or run.iteration >= run.total_iterations

    def _draw(self, run: "Runner", kept: "dict[int, tuple[Tensor, int | None]]") -> None:
        """One sheet, named by the iteration."""
        import torch

        from pegboard_visual.cam import METHODS, default_layer, is_flat, predict, scaled
        from pegboard_visual.commands.cam import METHODS as TITLES
        from pegboard_visual.draw import Row, as_picture, coloured, gradient_picture, overlay, sheet
        from pegboard_visual.tensorboard import TensorBoard

        samples = sorted(kept)
        inputs = torch.stack([kept[sample][0] for sample in samples])
        probabilities = predict(run.model, inputs).softmax(1).cpu()
        targets = probabilities.argmax(1)
        guided = self.method == "guided_backprop"
        arguments = {} if guided else {"layer": self.layer}
        function: Any = METHODS[self.method]
        given = function(run.model, inputs, targets, **arguments).cpu()
        layer = "" if guided else f", layer {self.layer or default_layer(run.model, inputs)}"
        rows = []
        for sample, values, pixels, target, shares, flat in zip(
            samples, given, inputs, targets.tolist(), probabilities, is_flat(given).tolist(), strict=True
        ):
            image = as_picture(pixels)
            strength = values.abs().amax(0) if values.ndim == 3 else values
            bright = scaled(strength[None])[0].numpy()
            middle = gradient_picture(values.numpy()) if values.ndim == 3 else coloured(bright)
            note = "flat map: no evidence here" if flat else ""
            truth = kept[sample][1]
            name = f"validation sample {sample}"
            rows.append(Row(image, middle, overlay(image, bright), name, target, shares.tolist(), note, truth))
        classes = [str(name) for name in run.builder.known.get("classes") or range(probabilities.shape[1])]
        heading = f"{TITLES[self.method]}{layer}, epoch {run.epoch}, iteration {run.iteration}"
        path = run.folder / "figures" / f"{self.method}_iteration_{run.iteration:08}.png"
        column = "gradient" if given.ndim == 4 else "map"
        picture = sheet(rows, classes, heading, path, column)
        for hook in run.hooks.values():
            if isinstance(hook, TensorBoard):
                hook.picture(run, TITLES[self.method], picture)


def _class_of(targets: Any, place: int) -> int | None:
    """The true class of a sample; None where a target is no class."""
    target = targets[place] if hasattr(targets, "__getitem__") and not isinstance(targets, Mapping) else None
    is_class = getattr(target, "ndim", None) == 0 and not target.is_floating_point()  # type: ignore[union-attr]
    return int(target) if is_class else None  # type: ignore[arg-type]
