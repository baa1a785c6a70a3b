"""What the commands share that look at a whole split of a finished run: its evaluation, and where pictures go."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pegboard import Config, ConfigError, PegboardError, Pictures
from pegboard.cli import opened
from pegboard.cli.common import add_overrides
from pegboard.config import check
from pegboard.console import say
from pegboard.pictures import file_name
from pegboard_visual.drawn import Drawn

if TYPE_CHECKING:
    from pegboard import Hook, Runner
    from pegboard.data.samples import Samples


class Evaluated(NamedTuple):
    """A run whose split has been evaluated.

    Args:
        split: as the config calls it. metrics: of that split.
        folder: of the run; None for a checkpoint that lies in none.
        epoch, iteration: of the checkpoint.
    """

    run: "Runner"
    split: str
    metrics: Mapping[str, float]
    folder: Path | None
    epoch: int
    iteration: int

    @property
    def dataset(self) -> Any:
        """That of the split."""
        return self.run.builder.datasets[self.split]

    @property
    def samples(self) -> "Samples":
        """Its images, before any transform: ``[i]`` gives (tensor (C, H, W), target)."""
        from pegboard.data.samples import Samples

        return Samples(self.dataset)

    def keep(self, drawn: Drawn, out: str | None) -> None:
        """Write a picture, its numbers as JSON and its table: among the run's figures, or to ``out``; say where."""
        if out is None and self.folder is not None:
            pictures, epoch, iteration = Pictures(self.folder / "figures"), self.epoch, self.iteration
            path = pictures.add(
                drawn.name, drawn.picture, drawn.caption, epoch=epoch, iteration=iteration, data=drawn.data
            ).path
        else:
            path = self._keep_apart(drawn, Path(out or "figures"))
        drawn.put_table(path)
        say(f"{path}, and {'.csv and ' if drawn.table else ''}.json beside it")

    def _keep_apart(self, drawn: Drawn, folder: Path) -> Path:
        from pegboard_visual.draw import save

        path = folder / f"{file_name(drawn.name)}.png"
        save(drawn.picture, path)
        what = {"name": drawn.name, "caption": drawn.caption, "epoch": self.epoch, "iteration": self.iteration}
        path.with_suffix(".json").write_text(json.dumps({**what, "data": drawn.data}), encoding="utf-8")
        return path

    @property
    def when(self) -> str:
        """The moment of the checkpoint, for captions."""
        return f"epoch {self.epoch}, iteration {self.iteration}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """RUN_OR_CHECKPOINT, --config, --split, --out, --checkpoint, --device, --plugins and --cfg-options."""
    opened.add_arguments(parser, ", a checkpoint, or (with --config) a state dict")
    parser.add_argument(
        "--config", metavar="CONFIG", help="for a bare weights file: the config that says what it is; it is run"
    )
    parser.add_argument(
        "--split",
        default="val",
        choices=("train", "val", "test"),
        help="which data; val unless given. train is all training images with the transforms of val, not augmented",
    )
    parser.add_argument("--out", metavar="DIR", help="the run's figures/ unless given; ./figures for a lone checkpoint")
    add_overrides(parser)


def evaluate(arguments: argparse.Namespace, watching: "Hook") -> Evaluated:
    """Evaluate the split that the arguments name, once, with a hook that watches; only ``--config`` runs a file.

    Raises:
        PegboardError: something is missing, or does not fit.
    """
    out = Path(arguments.out) if arguments.out else None
    if out is not None and out.exists() and not out.is_dir():
        raise PegboardError(f"--out {out} is a file; expected a folder, which need not exist")
    path = opened.named(Path(arguments.path), arguments.checkpoint)
    options = arguments.cfg_options + ([f"device={arguments.device!r}"] if arguments.device else [])
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
    return Evaluated(run, split, metrics, folder, epoch + bool(position), state.get("iteration", 0))


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
