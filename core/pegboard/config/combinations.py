"""Run keys that contradict each other, each of them sound by itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from pegboard.config.duration import Duration
from pegboard.config.keys import OPTIMIZER_KEYS, optimizer_parts
from pegboard.config.load import Config
from pegboard.errors import Problem


def contradictions(config: Config) -> Iterator[Problem]:
    """What cannot hold together in a config whose every value has passed its own check."""
    values = config.values
    for split in ("train", "val", "test"):
        yield from _loader(config, split, values.get(split) or {})
    non_finite = values.get("non_finite") or {}
    if non_finite.get("limit") is not None and non_finite.get("policy") != "skip":
        yield config.problem("non_finite.limit", "nothing is left out unless policy='skip'; add it, or leave limit out")
    yield from _phases(config, values.get("phases") or ())
    optimizers = optimizer_parts(values.get("optimizer"))
    for path, part in optimizers.items():
        for index, rule in enumerate(part.get("groups") or ()):
            yield from _group(config, rule, f"{path}.groups.{index}")
    for path in list(optimizers)[:-1]:
        if not OPTIMIZER_KEYS.keys() & optimizers[path].keys():
            yield config.problem(
                path, "takes every parameter that is left, and those after it get none; give it a match, or put it last"
            )


def _loader(config: Config, split: str, loader: Mapping[str, Any]) -> Iterator[Problem]:
    if loader.get("sampler") is not None and loader.get("shuffle"):
        yield config.problem(f"{split}.shuffle", "the sampler gives the order; leave shuffle out")
    if loader.get("mode") == "memory":
        for key in ("collate", "cache", "workers"):
            if loader.get(key):
                yield config.problem(
                    f"{split}.{key}", f"{key} is of the worker engine; write mode='workers', or leave it out"
                )


def _phases(config: Config, phases: Any) -> Iterator[Problem]:
    if not phases:
        return
    missing = [number for number, phase in enumerate(phases) if phase.get("train_for") is None]
    for number in missing:
        yield config.problem(f"phases.{number}", "needs train_for, how long the phase lasts")
    if not missing and config.values.get("train_for") is not None:
        lengths = [Duration.parse(phase["train_for"]) for phase in phases]
        whole = Duration.parse(config.values["train_for"])
        together = sum(length.count for length in lengths)
        if {length.unit for length in lengths} != {whole.unit} or together != whole.count:
            said = " and ".join(str(length) for length in lengths)
            yield config.problem(
                "train_for", f"{whole} is not what the phases last together ({said}); change them, or leave it out"
            )
    if config.values.get("scheduler"):
        for number, phase in enumerate(phases):
            for key in ("lr", "scheduler"):
                if phase.get(key) is not None:
                    yield config.problem(
                        f"phases.{number}.{key}",
                        "the run's scheduler goes on across its phases and sets the rate; give each phase a scheduler "
                        "of its own, or none",
                    )


def _group(config: Config, rule: Mapping[str, Any], path: str) -> Iterator[Problem]:
    if "match" not in rule and "kind" not in rule:
        yield config.problem(path, "needs match= (a pattern such as 'fc3.*') or kind='norm'")
    if "lr" in rule and "lr_mult" in rule:
        yield config.problem(f"{path}.lr_mult", "the group has a rate of its own; give lr or lr_mult")
