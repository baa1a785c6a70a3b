"""What a network looks at while it learns.

Dimension letters: B images, N classes.
"""

from typing import TYPE_CHECKING, Any, Literal

from pegboard import Kept, PegboardError, SampleHook
from pegboard.errors import did_you_mean

if TYPE_CHECKING:
    from pegboard import Runner

Method = Literal["gradcam", "gradcam++", "cam", "eigencam", "guided_backprop", "guided_gradcam"]


class GradCAM(SampleHook):
    """Draw where fixed validation images speak for their predicted classes.

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

    def __init__(
        self,
        images: int = 8,
        every: str = "5 epochs",
        layer: str | None = None,
        method: Method = "gradcam",
    ) -> None:
        super().__init__(images, every)
        known = ("gradcam", "gradcam++", "cam", "eigencam", "guided_backprop", "guided_gradcam")
        if method not in known:
            hint = did_you_mean(method, known, otherwise=f"; there are {', '.join(known)}")
            raise PegboardError(f"GradCAM: there is no method {method!r}{hint}")
        if method == "guided_backprop" and layer is not None:
            raise PegboardError("GradCAM: guided_backprop goes back to the pixels and reads no layer; leave layer out")
        self.layer = layer
        self.method = method

    def before_train(self, run: "Runner") -> None:
        """A layer that does not exist is said now, and not after five epochs."""
        names = [name for name, _ in run.model.named_modules(remove_duplicate=False) if name]
        if self.layer is not None and self.layer not in names:
            hint = did_you_mean(self.layer, names, otherwise=f"; there are {', '.join(names[:10])}")
            raise PegboardError(f"GradCAM: the model has no layer {self.layer!r}{hint}")

    def draw(self, run: "Runner", kept: list[Kept]) -> None:
        """One sheet."""
        import torch

        from pegboard_visual.cam import METHODS, cells_of, default_layer, is_flat, predict
        from pegboard_visual.commands.cam import METHODS as TITLES
        from pegboard_visual.draw import Row, as_picture, overlay, placed, sheet

        inputs = torch.stack([one.inputs for one in kept])
        probabilities = predict(run.model, inputs).softmax(1).cpu()
        targets = probabilities.argmax(1)
        guided = self.method == "guided_backprop"
        arguments = {} if guided else {"layer": self.layer}
        function: Any = METHODS[self.method]
        given = function(run.model, inputs, targets, **arguments).cpu()
        layer = "" if guided else f", layer {self.layer or default_layer(run.model, inputs)}"
        cells = cells_of(run.model, inputs, self.layer) if given.ndim == 3 else None
        rows = []
        for one, values, target, shares, flat in zip(
            kept, given, targets.tolist(), probabilities, is_flat(given).tolist(), strict=True
        ):
            image = as_picture(one.inputs)
            middle, bright = placed(values, inputs.shape[-2:], cells)
            note = "flat map: no evidence here" if flat else ""
            name = f"validation sample {one.sample}"
            rows.append(Row(image, middle, overlay(image, bright), name, target, shares.tolist(), note, one.truth))
        classes = [str(name) for name in run.builder.known.get("classes") or range(probabilities.shape[1])]
        heading = f"{TITLES[self.method]}{layer}, epoch {run.epoch_in_progress}, iteration {run.iteration}"
        column = "gradient" if given.ndim == 4 else "map"
        run.show(TITLES[self.method], sheet(rows, classes, heading, column), heading)
