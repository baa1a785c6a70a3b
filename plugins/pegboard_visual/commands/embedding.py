"""``pegboard embedding RUN``."""

import argparse
from typing import TYPE_CHECKING, Any

from pegboard import Hook
from pegboard.console import say, show_log
from pegboard_visual.commands.arguments import whole
from pegboard_visual.commands.evaluated import add_arguments as add_evaluated

if TYPE_CHECKING:
    from pegboard import Batch, Runner

HELP = "draw images as points, by what the network knows of them before its last layer"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pegboard_visual.hooks.arguments import MOST_POINTS
    from pegboard_visual.pictures.embedding import METHODS

    add_evaluated(parser)
    parser.add_argument("--method", default="pca", choices=METHODS, help="pca unless given")
    parser.add_argument(
        "--layer",
        metavar="NAME",
        help="whose output stands for an image; unless given, the input of the last Linear layer of the forward pass",
    )
    parser.add_argument(
        "--samples",
        type=whole(4, MOST_POINTS),
        default=2000,
        metavar="N",
        help="how many, spread over the split; 2000 unless given",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the picture, the table and the numbers."""
    from pegboard_visual.commands.evaluated import evaluate
    from pegboard_visual.pictures.embedding import embedding_shown

    show_log()
    watching = _Watching(arguments.split, arguments.samples, arguments.layer)
    found = evaluate(arguments, watching)
    features = watching.watcher.read()
    names = found.names(features.classes)
    drawn = embedding_shown(features, names, found.split, arguments.method, found.output.when)
    say(drawn.caption)
    found.output.add(drawn)
    return 0


class _Watching(Hook):
    """Keeps the features of some samples of an evaluation: the command must not go on without."""

    essential = True

    def __init__(self, split: str, count: int, layer: str | None) -> None:
        self.split, self.count, self.layer = split, count, layer

    def before_test(self, run: "Runner") -> None:
        import numpy as np

        from pegboard_visual.features import FeatureWatcher, known_layer

        if self.layer is not None:
            known_layer(run.model, self.layer)
        self.watcher = FeatureWatcher(np.arange(len(run.datasets[self.split])), self.count, self.layer)

    def after_test_iter(self, run: "Runner", batch: "Batch", outputs: Any) -> None:
        self.watcher.add(run.model, batch, outputs)
