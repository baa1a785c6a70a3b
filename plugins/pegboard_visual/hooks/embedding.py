"""How the classes come apart while a network learns."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pegboard import PegboardError, PeriodicHook
from pegboard_visual.drawn import now
from pegboard_visual.hooks.arguments import check_arguments
from pegboard_visual.pictures.embedding import Method, embedding_shown

if TYPE_CHECKING:
    from pegboard import Batch, Duration, Runner
    from pegboard_visual.features import FeatureWatcher


class Embedding(PeriodicHook):
    """Draw validation images as points, by what the network knows of them before its last layer, coloured by class.

    The chosen images go through the network once more: in the validation, or at the end of a run that was stopped.
    Shown as ``Embedding_valid``, with a CSV table beside it.

    Args:
        samples: how many images, spread evenly over the validation data.
        every: how often.
        method: ``"pca"``, or ``"tsne"``, which takes some ten seconds for a thousand images.
        layer: whose output stands for an image, a name as in ``model.named_modules()``; the input of the Linear layer
            that the forward pass comes through last unless given.
    """

    ranks = "first"
    needs_inputs = True
    reads_model = True

    def __init__(
        self,
        samples: int = 1000,
        every: "Duration | str" = "5 epochs",
        method: Method = "pca",
        layer: str | None = None,
    ) -> None:
        super().__init__(every)
        check_arguments(self, "Embedding", samples=samples, method=method)
        self.samples = samples
        self.method: Method = method
        self.layer = layer
        self.watcher: FeatureWatcher | None = None  # while a validation goes on that is drawn

    def before_train(self, run: "Runner") -> None:
        """What cannot work is said now, and not after five epochs."""
        from pegboard_visual.features import known_layer

        if self.layer is not None:
            known_layer(run.model, self.layer)
        if run.val_loader is None:
            raise PegboardError("Embedding: the config has no val data to look at")

    def before_val(self, run: "Runner") -> None:
        from pegboard_visual.features import FeatureWatcher

        self.watcher = None
        if self.is_due(run) and run.val_loader is not None:
            self.watcher = FeatureWatcher(run.val_loader.order(0), self.samples, self.layer)

    def after_val_iter(self, run: "Runner", batch: "Batch", outputs: Any) -> None:
        if self.watcher is not None:
            self.watcher.add(run.model, batch, outputs)

    def after_val(self, run: "Runner", metrics: Mapping[str, float]) -> None:
        watcher, self.watcher = self.watcher, None
        if watcher is not None:
            self.done(run)
            self._draw(run, watcher)

    def at_end(self, run: "Runner") -> None:
        """Of a run that was stopped: the images are read once more, since no validation may follow."""
        if run.val_loader is None:
            return
        from pegboard_visual.cam import predict
        from pegboard_visual.features import FeatureWatcher

        watcher = FeatureWatcher(run.val_loader.order(0), self.samples, self.layer)
        for batch in run.val_loader.batches_with(sorted(watcher.wanted)):
            watcher.add(run.model, batch, predict(run.model, batch.inputs))
        self._draw(run, watcher)

    def _draw(self, run: "Runner", watcher: "FeatureWatcher") -> None:
        from pegboard_visual.outcomes import class_names

        features = watcher.read()
        embedding_shown(features, class_names(run, features.classes), "val", self.method, now(run)).show(run)
