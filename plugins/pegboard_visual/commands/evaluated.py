"""A whole split of a finished run, evaluated once, for the commands that look at it."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pegboard import Config, ConfigError, Hook, PegboardError
from pegboard.cli import opened
from pegboard.config import check
from pegboard_visual.commands import arguments as shared
from pegboard_visual.commands.output import Output

if TYPE_CHECKING:
    from pegboard import Batch, Runner
    from pegboard.data.samples import Samples
    from pegboard_visual.outcomes import Outcome


class Evaluated(NamedTuple):
    """A run whose split has been evaluated.

    Args:
        split: as the config calls it. metrics: of that split.
        output: where its pictures go.
    """

    run: "Runner"
    split: str
    metrics: Mapping[str, float]
    output: Output

    @property
    def samples(self) -> "Samples":
        """The split's images, before any transform: ``[i]`` gives (tensor (C, H, W), target)."""
        from pegboard.data.samples import Samples

        return Samples(self.run.datasets[self.split])

    def names(self, classes: int) -> list[str]:
        """A name for each of so many classes."""
        from pegboard_visual.outcomes import class_names

        return class_names(self.run, classes)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """RUN_OR_CHECKPOINT with all that opens it, --split and --out."""
    shared.add_model(parser)
    parser.add_argument(
        "--split",
        default="val",
        choices=("train", "val", "test"),
        help="which data; val unless given. train is all training images with the transforms of val, not augmented",
    )
    shared.add_out(parser)


def outcome_of(arguments: argparse.Namespace) -> tuple[Evaluated, "Outcome"]:
    """What the model says of each sample of the split that the arguments name."""
    watching = _Watching()
    found = evaluate(arguments, watching)
    return found, watching.seen.read()


class _Watching(Hook):
    """Keeps what the model says in an evaluation: the command must not go on without."""

    essential = True

    def __init__(self) -> None:
        from pegboard_visual.outcomes import Outcomes

        self.seen = Outcomes()

    def after_test_iter(self, run: "Runner", batch: "Batch", outputs: Any) -> None:
        self.seen.add(outputs, batch.targets, batch.index)


def evaluate(arguments: argparse.Namespace, watching: Hook) -> Evaluated:
    """Evaluate the split that the arguments name, once, with a hook that watches; only ``--config`` runs a file.

    Raises:
        PegboardError: something is missing, or does not fit.
    """
    Output(None, arguments.out)  # an --out that cannot be is said before minutes are spent
    path = opened.named(Path(arguments.path), arguments.checkpoint)
    options = shared.options(arguments)
    if arguments.config:
        config, state, beside = opened.with_config(path, arguments.config, options)
    else:
        config, state, beside = opened.of_run(path, options)
        config.values["plugins"] = list(arguments.plugins or ())  # a checkpoint runs nobody's code by itself
    split = arguments.split
    if config.values.get(split) is None:
        there = [name for name in ("train", "val", "test") if config.values.get(name)]
        raise PegboardError(f"the run has no {split!r} data; try --split {' or '.join(there)}")
    if split == "train":
        _show_all(config)
    problems = check(config, "test", split)
    if problems:
        raise ConfigError(problems)
    from pegboard import Runner

    run = Runner(config)
    run.use_hooks({"watching": watching})
    metrics = run.test(split, state)
    position, epoch = state.get("position", 0), state.get("epoch", 0)
    folder = beside if not arguments.config and (beside / "checkpoints").is_dir() else None
    output = Output(folder, arguments.out, epoch + bool(position), state.get("iteration", 0))
    return Evaluated(run, split, metrics, output)


def _show_all(config: Config) -> None:
    """Each training image once, in the dataset's order, as the model sees images when it does not learn."""
    evaluation = config.values.get("val") or config.values.get("test") or config.values["train"]
    config.values["train"] = {
        **config.values["train"],
        "transforms": evaluation.get("transforms", ()),
        "shuffle": False,
        "sampler": None,
        "drop_last": False,
    }
