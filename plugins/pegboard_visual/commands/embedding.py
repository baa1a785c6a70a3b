"""``pegboard embedding RUN``."""

import argparse
from typing import TYPE_CHECKING, Any

from pegboard import Hook
from pegboard.console import say, show_log
from pegboard.errors import PegboardError

if TYPE_CHECKING:
    from pegboard import Batch, Runner

HELP = "draw images as points, by what the network knows of them before its last layer"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pegboard_visual import evaluated
    from pegboard_visual.embedding import METHODS

    evaluated.add_arguments(parser)
    parser.add_argument("--method", default="pca", choices=METHODS, help="pca unless given")
    parser.add_argument(
        "--layer",
        metavar="NAME",
        help="whose output stands for an image; unless given, the input of the last Linear layer of the forward pass",
    )
    parser.add_argument(
        "--samples", type=int, default=2000, metavar="N", help="how many, spread over the split; 2000 unless given"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the picture, the table and the numbers."""
    from pegboard_visual.embedding_hook import MOST, embedding_shown
    from pegboard_visual.evaluated import evaluate
    from pegboard_visual.outcomes import class_names

    show_log()
    if not 4 <= arguments.samples <= MOST:
        raise PegboardError(f"--samples must be from 4 to {MOST:,}, got {arguments.samples}")
    watching = WatchingFeatures(arguments.split, arguments.samples, arguments.layer)
    found = evaluate(arguments, watching)
    features = watching.watcher.read()
    names = class_names(found.run, features.classes)
    drawn = embedding_shown(features, names, found.split, arguments.method, found.when)
    say(drawn.caption)
    found.keep(drawn, arguments.out)
    return 0


class WatchingFeatures(Hook):
    """Keeps the features of some samples of an evaluation: the command must not go on without."""

    essential = True

    def __init__(self, split: str, count: int, layer: str | None) -> None:
        self.split, self.count, self.layer = split, count, layer

    def before_test(self, run: "Runner") -> None:
        import numpy as np

        from pegboard_visual.features import FeatureWatcher, known_layer

        if self.layer is not None:
            known_layer(run.model, self.layer)
        self.watcher = FeatureWatcher(np.arange(len(run.builder.datasets[self.split])), self.count, self.layer)

    def after_test_iter(self, run: "Runner", batch: "Batch", outputs: Any) -> None:
        self.watcher.add(run.model, batch, outputs)
