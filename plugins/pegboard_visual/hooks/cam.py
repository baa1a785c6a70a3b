"""What a network looks at while it learns.

Dimension letters: B images, N classes.
"""

from typing import TYPE_CHECKING, Any

from pegboard import Kept, PegboardError, SampleHook
from pegboard.errors import did_you_mean
from pegboard_visual.cam_methods import TITLES, Method
from pegboard_visual.drawn import Drawn, now
from pegboard_visual.hooks.arguments import NO_LAYER, check_arguments, reshape_misfit

if TYPE_CHECKING:
    from pegboard import Duration, Runner


class GradCAM(SampleHook):
    """Draw where fixed validation images speak for their predicted classes.

    Drawn at the end of the first validation after each ``every``, and at the end of the run: the images as the network
    gets them, their maps, and the likeliest classes with the true one. It only looks: training is bit for bit the same
    without it. It costs a few forwards and a backward of these images, and their sheet:
    about two seconds for eight images on one CPU core.

    Args:
        images: how many, spread evenly over the validation data.
        every: how often.
        layer: a name as in ``model.named_modules()``; the last layer that gives maps unless given.
        method: as `pegboard cam --method` has it.
        reshape: ``"module:function"`` that makes maps (B, K, h, w) of what the layer gives, e.g. tokens (B, T, D);
            found for torchvision's ViT.

    Source: Selvaraju et al. 2017, arXiv:1610.02391.
    """

    reads_model = True

    def __init__(
        self,
        images: int = 8,
        every: "Duration | str" = "5 epochs",
        layer: str | None = None,
        method: Method = "gradcam",
        reshape: str | None = None,
    ) -> None:
        super().__init__(images, every)
        check_arguments(self, "GradCAM", method=method)
        if method == "guided_backprop" and layer is not None:
            raise PegboardError(f"GradCAM: {NO_LAYER}")
        if reshape is not None and (wrong := reshape_misfit(method, layer, reshape)):
            raise PegboardError(f"GradCAM: reshape {wrong}")
        self.layer = layer
        self.method = method
        self.reshape = reshape

    def before_train(self, run: "Runner") -> None:
        """A layer that does not exist is said now, and not after five epochs."""
        names = [name for name, _ in run.model.named_modules(remove_duplicate=False) if name]
        if self.layer is not None and self.layer not in names:
            hint = did_you_mean(self.layer, names, otherwise=f"; there are {', '.join(names[:10])}")
            raise PegboardError(f"GradCAM: the model has no layer {self.layer!r}{hint}")

    def draw(self, run: "Runner", kept: list[Kept]) -> None:
        """One sheet."""
        import torch

        from pegboard.address import resolve
        from pegboard_visual.cam import METHODS, cells_of, default_layer, predict
        from pegboard_visual.outcomes import class_names
        from pegboard_visual.pictures.cam import explained, sheet
        from pegboard_visual.seen import as_pictures, transforms_of

        inputs = torch.stack([one.inputs for one in kept])
        probabilities = predict(run.model, inputs).softmax(1).cpu()
        targets = probabilities.argmax(1)
        guided = self.method == "guided_backprop"
        reshape = resolve(self.reshape) if self.reshape is not None else None
        arguments: dict[str, Any] = {} if guided else {"layer": self.layer}
        if reshape is not None:
            arguments["reshape"] = reshape
        function: Any = METHODS[self.method]
        given = function(run.model, inputs, targets, **arguments).cpu()
        layer = "" if guided else self.layer or default_layer(run.model, inputs)
        cells = cells_of(run.model, inputs, self.layer, reshape) if given.ndim == 3 else None
        images = as_pictures(inputs, transforms_of(run.val_loader))
        rows = []
        for one, image, values, target, shares in zip(
            kept, images, given, targets.tolist(), probabilities.tolist(), strict=True
        ):
            name = f"validation sample {one.sample}"
            rows.append(explained(image, values, inputs.shape[-2:], cells, name, target, shares, one.truth))
        title = TITLES[self.method]
        heading = f"{title}{f', layer {layer}' if layer else ''}, {now(run)}"
        classes = class_names(run, probabilities.shape[1])
        picture = sheet(rows, classes, heading, "gradient" if given.ndim == 4 else "map")
        data = {"kind": "cam", "method": self.method, "layer": layer, "samples": [one.sample for one in kept]}
        Drawn(title, picture, heading, data | {"predicted": [classes[target] for target in targets.tolist()]}).show(run)
