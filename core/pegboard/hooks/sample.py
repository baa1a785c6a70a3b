"""The base of hooks that draw the same few validation images again and again.

Dimension letters: B images, C channels, H x W an image as the network gets it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from pegboard.errors import PegboardError
from pegboard.hooks.periodic import PeriodicHook

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from pegboard.config.duration import Duration
    from pegboard.data.batch import Batch
    from pegboard.runner import Runner

GOLDEN = (5**0.5 - 1) / 2


class Kept(NamedTuple):
    """One validation image.

    Args:
        sample: its place in the dataset.
        inputs: (C, H, W), as the network gets it, on the run's device.
        truth: its class; None where its target is no class number.
        target: what the network should give, as the batch has it: a class () or a mask (H, W), int64; on the run's
            device. None where the batch's targets are no tensor.
    """

    sample: int
    inputs: "Tensor"
    truth: int | None
    target: "Tensor | None" = None


class SampleHook(PeriodicHook):
    """Calls ``draw(run, kept)`` at the end of the first validation after each ``every``, and at the end of the run.

    The images are those of the validation data, one out of each of as many equal stretches of it, the same each time;
    they are kept on their way to the network, so that nothing is read a second time. While ``draw`` is called the model
    is in evaluation mode, and the images are on its device; work under ``torch.no_grad()`` unless gradients are wanted.
    ``run.val_loader.denormalised(inputs)`` gives images their colours back, ``run.classes`` names the classes, and
    ``run.show`` takes the picture. A constructor of your own calls ``super().__init__(images, every)``. A run that is
    over is drawn by ``pegboard draw RUN HOOK``.

    Args:
        images: how many, from 1 to 64.
        every: a duration.
    """

    ranks = "first"
    needs_inputs = True

    def __init__(self, images: int, every: "Duration | str") -> None:
        super().__init__(every)
        if isinstance(images, bool) or not isinstance(images, int) or not 1 <= images <= 64:
            raise PegboardError(f"{type(self).__name__}: images must be an integer from 1 to 64, got {images!r}")
        self.images = images
        self.kept: dict[int, Kept] = {}
        self.wanted: set[int] = set()  # samples, while a validation goes on that is drawn

    def draw(self, run: "Runner", kept: list[Kept]) -> None:
        """What the subclass does with the images, in the order of the dataset, e.g. with
        ``torch.stack([one.inputs for one in kept])``."""
        raise NotImplementedError

    def before_val(self, run: "Runner") -> None:
        self.kept, self.wanted = {}, self._chosen(run) if self.is_due(run) else set()

    def _chosen(self, run: "Runner") -> set[int]:
        order = () if run.val_loader is None else run.val_loader.order(0)
        return {int(order[place]) for place in spread(len(order), self.images)}

    def after_val_iter(self, run: "Runner", batch: "Batch", outputs: Any) -> None:
        if self.wanted:
            self._keep(batch)

    def _keep(self, batch: "Batch") -> None:
        for place, sample in enumerate(batch.index.tolist()):
            if sample in self.wanted and sample not in self.kept:
                inputs = batch.inputs[place].detach().clone()
                self.kept[sample] = Kept(sample, inputs, class_of(batch.targets, place), _kept(batch.targets, place))

    def after_val(self, run: "Runner", metrics: Mapping[str, float]) -> None:
        if not self.is_due(run):
            return
        self.done(run)
        self._draw(run)

    def _draw(self, run: "Runner") -> None:
        kept, self.kept, self.wanted = self.kept, {}, set()
        if kept:
            self.draw(run, [kept[sample] for sample in sorted(kept)])

    def at_end(self, run: "Runner") -> None:
        """Of a run that was stopped: its images are read once more, since no validation may follow."""
        self.wanted = self._chosen(run)
        if run.val_loader is None or not self.wanted:
            return
        for batch in run.val_loader.batches_with(sorted(self.wanted)):
            self._keep(batch)
        with evaluating(run.model):
            self._draw(run)


def spread(count: int, most: int) -> list[int]:
    """``most`` of the numbers below ``count``, one out of each of as many equal stretches; all if there are no more.

    Where in its stretch a number lies moves on by the golden ratio: at even distances all would be of the same few
    classes in data whose classes take turns.
    """
    edges = [place * count // most for place in range(most + 1)]
    stretches = [(low, high) for low, high in pairwise(edges) if low < high]
    return [low + int(place * GOLDEN % 1 * (high - low)) for place, (low, high) in enumerate(stretches)]


@contextmanager
def evaluating(model: "Module") -> Iterator[None]:
    """Inside, the model is in evaluation mode; afterwards each part of it is in the mode in which it was."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training


def _kept(targets: Any, place: int) -> "Tensor | None":
    return targets[place].detach().clone() if hasattr(targets, "detach") else None


def class_of(targets: Any, place: int) -> int | None:
    """The true class of a sample in a batch; None where a target is no class number."""
    target = targets[place] if hasattr(targets, "__getitem__") and not isinstance(targets, Mapping) else None
    is_class = getattr(target, "ndim", None) == 0 and not target.is_floating_point()  # type: ignore[union-attr]
    return int(target) if is_class else None  # type: ignore[arg-type]
