"""A run repeated from what its folder records, and its records compared with the original's as they come."""

import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pegboard.config import Config
from pegboard.differences import ABSENT, differences, first_difference, place
from pegboard.errors import PegboardError
from pegboard.hooks.hook import Hook
from pegboard.recorded import Recorded
from pegboard.runner.environment import plugin_files, sha256
from pegboard.runner.loop import Runner

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger("pegboard")

ENDED = ("finished", "stopped")

# Of environment.json: what the figures may depend on, and differs from machine to machine or day to day.
CONDITIONS = (
    "versions", "platform", "cpu_capability", "variables", "git", "pegboard_git", "device", "gpu", "deterministic",
    "threads", "engine",
)  # fmt: skip


class Comparison(Hook):
    """Compares each record of a run with that of another, and remembers the first that differs.

    Args:
        original: the other run.
        tolerance: largest relative difference of two numbers that counts as none.
        anyway: go on where the data is not that of the original.

    Attributes:
        differs: in words, where the first difference is; empty where there is none so far.
        compared: how many records were.
    """

    essential = True

    def __init__(self, original: Recorded, tolerance: float = 0.0, anyway: bool = False) -> None:
        self.original = original
        self.tolerance = tolerance
        self.anyway = anyway
        self.differs = ""
        self.compared = 0

    def look_at(self, environment: Mapping[str, Any]) -> None:
        """Warn of conditions that are not those of the original.

        Raises:
            PegboardError: the data is not.
        """
        original = self.original.folder
        then, now = self.original.environment, json.loads(json.dumps(environment, default=str))
        for path, before, after in differences(_picked(then, CONDITIONS), _picked(now, CONDITIONS)):
            logger.warning("not as it was: %s is %s, it was %s", path, after, before)
        data = ("data", "data_fingerprint", "data_contents")
        differ = list(differences(_picked(then, data), _picked(now, data)))
        changed = [found.path for found in differ if not found.path.endswith(".times")]
        if not changed and any(ABSENT not in (found.one, found.other) for found in differ):
            logger.warning("files of the data were written to since %s was made, and have kept their sizes", original)
        if changed and not self.anyway:
            raise PegboardError(f"the data is not that of {original}: {', '.join(changed)} differ; --anyway goes on")
        if changed:
            logger.warning("the data is not that of the original: %s differ", ", ".join(changed))

    def on_log(self, run: Runner, values: Mapping[str, Any]) -> None:
        records = self.original.records
        if self.compared < len(records):
            before, after = records[self.compared], json.loads(json.dumps(_strict(values)))
            self.compared += 1
            what = first_difference(before, after, self.tolerance)
            self._note(f"at {place(before)}: {what}" if what else "")
            if self.compared == len(records) and not self._has_ended():
                run.stop(f"the records of {self.original.folder} end here")
        elif self._has_ended():
            self._note(f"at {place(values)}: the original has no such record")

    def after_run(self, run: Runner) -> None:
        if self.compared < len(self.original.records):
            self._note(f"at {place(self.original.records[self.compared])}: the repeated run ended before")

    def _has_ended(self) -> bool:
        """Whether the original came to its own end; one that was cut short is compared as far as it came."""
        return self.original.summary.get("exit") in ENDED

    def _note(self, where: str) -> None:
        if where and not self.differs:
            self.differs = where
            logger.warning("the runs first differ %s", where)


class Repetition(Runner):
    """A run with the comparison among its hooks, which sees it and changes nothing."""

    comparison: Comparison

    def begins_in(self, environment: Mapping[str, Any]) -> None:
        self.comparison.look_at(environment)

    def use_hooks(self, hooks: dict[str, Hook]) -> None:
        super().use_hooks({**hooks, "comparison": self.comparison})


def prepare(original: Recorded, started_in: Path, options: "Sequence[str]", anyway: bool) -> Config:
    """The config of a run, as data, once it is sure that what it needs is there and is what it was.

    Args:
        started_in: what stands for the folder in which the run was started.
        options: changes to it, as ``--cfg-options`` has them.
        anyway: say what has changed since, and go on.

    Raises:
        PegboardError: the folder does not say enough, or a file has changed or is gone.
    """
    environment = original.environment
    if not original.records:
        raise PegboardError(f"{original.folder} has no records in its metrics.jsonl; there is nothing to compare with")
    if "working_directory" not in environment:
        raise PegboardError(
            f"{original.folder} does not say where it was started: an older pegboard wrote it; train it again"
        )
    config = Config.from_values(original.config, str(original.folder / "config.py"))
    if environment.get("config_file"):
        file, before = Path(environment["config_file"]), Path(environment["working_directory"])
        # Plugin files are looked up beside it; it is not run.
        config.path = started_in / file.relative_to(before) if file.is_relative_to(before) else file
    config.override(list(options))
    changed = [*_changed_plugins(environment, config), *_changed_weights(environment)]
    for what in changed if anyway else ():
        logger.warning("%s", what)
    if changed and not anyway:
        raise PegboardError(f"{'; '.join(changed)}; --anyway goes on with what is there")
    return config


def _changed_plugins(environment: Mapping[str, Any], config: Config) -> Iterator[str]:
    folder = config.path.parent if config.path else Path(environment["working_directory"])
    now = {plugin["name"]: plugin for plugin in plugin_files(config.values.get("plugins") or (), folder)}
    for then in environment.get("plugins") or ():
        found = now.get(then["name"])
        if found is None or then["sha256"] is None:
            continue
        if found["sha256"] is None:
            yield f"plugin {then['name']!r} of the run is gone: there is no {found['file'] or then['file']}"
        elif found["sha256"] != then["sha256"]:
            yield f"plugin {then['name']!r} has changed since: {found['file']}"


def _changed_weights(environment: Mapping[str, Any]) -> Iterator[str]:
    weights = environment.get("pretrained")
    if weights and weights["sha256"] is not None:
        now = sha256(Path(weights["path"]))
        if now != weights["sha256"]:
            yield f"the weights that it began with {'are gone' if now is None else 'have changed'}: {weights['path']}"


def repeat(original: Recorded, config: Config, folder: Path, comparison: Comparison) -> dict[str, Any]:
    """Train as the original did, in ``folder``; its summary. What ``comparison`` refuses leaves no folder behind."""
    environment = original.environment
    with _as_then(environment.get("threads")):
        run = Repetition(config, folder, try_iterations=environment.get("try_iterations"))
        run.comparison = comparison
        try:
            return run.train()
        except PegboardError:
            if not comparison.compared and folder.exists():
                shutil.rmtree(folder, ignore_errors=True)
                logger.info("nothing was trained, and %s is removed again", folder)
            raise


@contextmanager
def _as_then(threads: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if threads:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """The process's working directory is ``folder`` while it is open.

    Raises:
        PegboardError: there is none, or it cannot be entered.
    """
    before = Path.cwd()
    try:
        os.chdir(folder)
    except OSError as error:
        raise PegboardError(
            f"the run was started in {folder}, where it looked for its files: {error.strerror}; "
            "--started-in says where they are now"
        ) from error
    try:
        yield
    finally:
        os.chdir(before)


def _picked(values: Mapping[str, Any], names: "Sequence[str]") -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _strict(values: Mapping[str, Any]) -> dict[str, Any]:
    """As ``metrics.jsonl`` holds them: nan and infinity as text."""
    finite = float("-inf"), float("inf")
    return {name: value if finite[0] < value < finite[1] else str(value) for name, value in values.items()}
