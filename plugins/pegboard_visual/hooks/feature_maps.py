"""What layers give for fixed images, while they learn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pegboard import Kept, SampleHook
from pegboard_visual.drawn import now
from pegboard_visual.hooks.arguments import check_arguments

if TYPE_CHECKING:
    from pegboard import Duration, Runner


class FeatureMaps(SampleHook):
    """Draw what layers give for fixed validation images, before and after the activation that follows.

    Drawn at the end of the first validation after each ``every``, and at the end of the run; a picture a layer,
    ``Feature_Maps_<layer>``. It only looks: training is bit for bit the same without it.

    Args:
        images: how many, spread evenly over the validation data.
        every: how often.
        layers: names or patterns, e.g. ``"layer1.*"``; every convolution unless given.
        maps: of a layer that are drawn; of more, so many evenly spread.
        most_layers: how many layers are drawn; of more, so many evenly spread.
    """

    reads_model = True

    def __init__(
        self,
        images: int = 2,
        every: "Duration | str" = "10 epochs",
        layers: str | Sequence[str] = (),
        maps: int = 64,
        most_layers: int = 6,
    ) -> None:
        super().__init__(images, every)
        check_arguments(self, "FeatureMaps", maps=maps, most_layers=most_layers)
        self.layers = [layers] if isinstance(layers, str) else list(layers)
        self.maps = maps
        self.most_layers = most_layers

    def before_train(self, run: "Runner") -> None:
        """A pattern that means no layer is said now, and not after ten epochs."""
        from pegboard_visual.cam.session import unwrapped
        from pegboard_visual.named import matching
        from pegboard_visual.pictures.feature_maps import default_layers

        model = unwrapped(run.model)
        if self.layers:
            matching(self.layers, [name for name, _ in model.named_modules() if name])
        else:
            default_layers(model)

    def draw(self, run: "Runner", kept: list[Kept]) -> None:
        """A page a layer."""
        import torch

        from pegboard_visual.drawing.compose import spread
        from pegboard_visual.drawing.lettering import printable
        from pegboard_visual.pictures.feature_maps import feature_maps, maps_shown
        from pegboard_visual.seen import as_pictures, name_of_class, transforms_of

        inputs = torch.stack([one.inputs for one in kept])
        images = as_pictures(inputs, transforms_of(run.val_loader))
        classes = printable([str(name) for name in run.facts.get("classes") or ()])
        titles = [f"{one.sample}: {name_of_class(one.truth, classes)}" for one in kept]
        given = feature_maps(run.model, inputs, self.layers)
        for layer in (given[place] for place in spread(len(given), self.most_layers)):
            maps_shown(layer, images, titles, now(run), self.maps).show(run)
