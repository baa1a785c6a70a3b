"""The kernels of convolutions, while they are learned."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pegboard import PeriodicHook
from pegboard_visual.hooks.arguments import check_arguments

if TYPE_CHECKING:
    from torch import Tensor

    from pegboard import Batch, Duration, Runner


class Kernels(PeriodicHook):
    """Draw the kernels of convolutions, each scaled by itself.

    ``<layer>_all``, one row per output map, before the first step, after each ``every`` and at the end;
    ``<layer>_split_in_channel``, one grid per output map, at the end. TensorBoard shows the latter grid by grid, the
    number of the output map as the step. It only looks: training is bit for bit the same without it.

    Args:
        layers: names or patterns, e.g. ``"layer1.*"``; every convolution with kernels of more than one pixel unless
            given.
        every: how often.
        maps: output maps of a layer, and input maps of each, that are drawn; of more, so many evenly spread.
        most_layers: how many layers are drawn; of more, so many evenly spread.
    """

    ranks = "first"
    reads_model = True

    def __init__(
        self,
        layers: str | Sequence[str] = (),
        every: "Duration | str" = "10 epochs",
        maps: int = 64,
        most_layers: int = 8,
    ) -> None:
        super().__init__(every)
        self.layers = [layers] if isinstance(layers, str) else list(layers)
        check_arguments(self, "Kernels", maps=maps, most_layers=most_layers)
        self.maps = maps
        self.most_layers = most_layers

    def before_train(self, run: "Runner") -> None:
        if run.iteration == 0:
            self._draw(run)

    def after_train_iter(self, run: "Runner", batch: "Batch", loss: "Tensor", outputs: Any) -> None:
        if self.every.unit == "iters":
            self._draw_if_due(run)

    def after_train_epoch(self, run: "Runner") -> None:
        if self.every.unit == "epochs":
            self._draw_if_due(run)

    def after_train(self, run: "Runner") -> None:
        if not run.interrupted:  # else it may go on, as if nothing had been
            self._draw(run, split=True, rows=run.iteration not in (0, self.done_at))

    def _draw_if_due(self, run: "Runner") -> None:
        if self.is_due(run):
            self.done(run)
            self._draw(run)

    def _draw(self, run: "Runner", rows: bool = True, split: bool = False) -> None:
        from pegboard_visual.cam.session import unwrapped
        from pegboard_visual.drawing.compose import spread
        from pegboard_visual.pictures.kernels import all_shown, kernels_of, split_shown

        found = kernels_of(unwrapped(run.model), self.layers)
        for kernels in (found[place] for place in spread(len(found), self.most_layers)):
            if rows:
                all_shown(kernels, self.maps).show(run)
            if split:
                split_shown(kernels, self.maps).show(run)
