"""How the classes come apart while a network learns."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pegboard import PegboardError, PeriodicHook
from pegboard.errors import did_you_mean
from pegboard_visual.drawn import Drawn
from pegboard_visual.embedding import METHODS, Method

if TYPE_CHECKING:
    from pegboard import Batch, Runner
    from pegboard_visual.features import Features, FeatureWatcher

MOST = 20_000  # samples: t-SNE takes minutes for more


class Embedding(PeriodicHook):
    """Draw validation images as points, by what the network knows of them before its last layer, coloured by class.

    The chosen images go through the network once more, in the validation. Shown as ``Embedding_valid``, with a CSV
    table beside it.

    Args:
        samples: how many images, spread evenly over the validation data.
        every: how often.
        method: ``"pca"``, or ``"tsne"``, which takes some ten seconds for a thousand images.
        layer: whose output stands for an image, a name as in ``model.named_modules()``; the input of the Linear layer
            that the forward pass comes through last unless given.
    """

    ranks = "first"
    needs_inputs = True

    def __init__(
        self, samples: int = 1000, every: str = "5 epochs", method: Method = "pca", layer: str | None = None
    ) -> None:
        super().__init__(every)
        if isinstance(samples, bool) or not isinstance(samples, int) or not 4 <= samples <= MOST:
            raise PegboardError(f"Embedding: samples must be an integer from 4 to {MOST:,}, got {samples!r}")
        if method not in METHODS:
            hint = did_you_mean(str(method), METHODS, otherwise="; there are pca, tsne")
            raise PegboardError(f"Embedding: there is no method {method!r}{hint}")
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
        if watcher is None:
            return
        from pegboard_visual.outcomes import class_names

        self.done(run)
        features = watcher.read()
        when = f"epoch {run.epoch_in_progress}, iteration {run.iteration}"
        embedding_shown(features, class_names(run, features.classes), "val", self.method, when).show(run)


def embedding_shown(features: "Features", names: list[str], split: str, method: Method, when: str) -> Drawn:
    """The picture, with its table."""
    from pegboard_visual.embedding import draw_embedding, embedded, embedding_csv, embedding_data
    from pegboard_visual.outcomes import SPLITS

    points, axes_names = embedded(features, method)
    name = f"Embedding_{SPLITS[split]}"
    count, width = features.values.shape
    caption = f"{METHODS[method]} of {features.source} ({width:,} numbers), {count:,} samples, {when}"
    picture = draw_embedding(points, features.target, names, name, caption, axes_names)
    data = embedding_data(features, points, names, SPLITS[split], method)
    return Drawn(name, picture, caption, data, embedding_csv(features, points, names))
