"""A run that is over, or a checkpoint, for those who write a command about it."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pegboard.cli import opened
from pegboard.cli.common import add_overrides
from pegboard.config import Config, check
from pegboard.errors import ConfigError, DataError, Problem

if TYPE_CHECKING:
    from pegboard.hooks import Hook
    from pegboard.runner import Runner

Split = Literal["train", "val", "test"]


class SavedRun(NamedTuple):
    """A run folder or a checkpoint, opened by a command. No config is run for it, and no ``plugins`` that it names.

    Args:
        file: the checkpoint. folder: of the run, or of a checkpoint that lies alone.
        config: what the run was made of.
        state: the checkpoint's contents; ``state["model"]`` are the weights.
    """

    file: Path
    folder: Path
    config: Config
    state: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path | str, options: Sequence[str] = ()) -> "SavedRun":
        """The newest checkpoint of a run folder, or the checkpoint that is given.

        Args:
            options: changes of the config, such as ``"device='cpu'"``.

        Raises:
            CheckpointError: there is none, or it is damaged, or none of pegboard's.
            ConfigError: an option matches nothing.
        """
        file, state, folder = opened.open_run(Path(path))
        config = Config.from_values(state["config"], str(file))
        config.override(options)
        config.values["plugins"] = []  # a checkpoint runs nobody's code by itself
        return cls(file, folder, config, state)

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """RUN_OR_CHECKPOINT, --checkpoint, --device, --plugins and --cfg-options, as other commands have them."""
        opened.add_arguments(parser)
        add_overrides(parser)

    @classmethod
    def named_by(cls, arguments: argparse.Namespace) -> "SavedRun":
        """What the arguments of ``add_arguments`` name; the plugins that they name are loaded.

        Raises:
            PegboardError: as ``open``; or a plugin cannot be loaded.
        """
        opened.load_plugins(arguments)
        device = [f"device={arguments.device!r}"] if arguments.device else []
        return cls.open(opened.named(Path(arguments.path), arguments.checkpoint), arguments.cfg_options + device)

    def check(self, split: Split) -> None:
        """Refuse what cannot be evaluated on a split of its data.

        Raises:
            DataError: it has no such data. ConfigError: a part is not installed, or an argument is wrong.
        """
        values = self.config.values
        if values.get(split) is None:
            there = [name for name in ("train", "val", "test") if values.get(name) is not None]
            raise DataError(f"{self.folder} has no {split!r} data; it has {' and '.join(there)}")
        if problems := check(self.config, "test", split):
            if used := self.state["config"].get("plugins"):
                problems.append(Problem(f"the run used plugins; repeat them: --plugins {' '.join(used)}", "plugins"))
            raise ConfigError(problems)

    def tested(
        self, split: Split = "val", hooks: "Mapping[str, Hook] | None" = None
    ) -> "tuple[Runner, dict[str, float]]":
        """Evaluate it on a split of its data. Nothing is written.

        Args:
            hooks: by name; their ``before_test``, ``after_test_iter`` and ``after_test`` are called for any split.

        Returns:
            the run, with its ``model``, ``classes`` and ``metrics``, and the figures by name: ``{"val/top1": 0.71}``.

        Raises:
            PegboardError: it has no such data, or a part is not installed.
        """
        self.check(split)
        from pegboard.runner import Runner

        run = Runner(self.config)
        run.use_hooks(dict(hooks or {}))
        figures = run.test(split, self.state)
        return run, figures
