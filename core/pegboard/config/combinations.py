"""Run keys that contradict each other, each of them sound by itself."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pegboard import source
from pegboard.config.duration import Duration
from pegboard.config.keys import OPTIMIZER_KEYS, optimizer_parts
from pegboard.config.load import Config
from pegboard.errors import Problem
from pegboard.registry import MODELS, STRATEGIES

SAYS_NOTHING = "pegboard.strategies.strategy:Strategy"  # the base of all strategies refuses nothing


def contradictions(config: Config) -> Iterator[Problem]:
    """What cannot hold together in a config whose every value has passed its own check."""
    values = config.values
    for split in ("train", "val", "test"):
        yield from _loader(config, split, values.get(split) or {})
    non_finite = values.get("non_finite") or {}
    if non_finite.get("limit") is not None and non_finite.get("policy") != "skip":
        yield config.problem("non_finite.limit", "nothing is left out unless policy='skip'; add it, or leave limit out")
    yield from _phases(config, values.get("phases") or ())
    yield from _pretrained(config, values.get("pretrained") or {})
    if values.get("model") and _takes_optimizers(values["model"]):
        yield from steps_by_hand(config, values)
    if values.get("strategy"):
        yield from _strategy(config, values)
    optimizers = optimizer_parts(values.get("optimizer"))
    for path, part in optimizers.items():
        for index, rule in enumerate(part.get("groups") or ()):
            yield from _group(config, rule, f"{path}.groups.{index}")
    for path in list(optimizers)[:-1]:
        if not OPTIMIZER_KEYS.keys() & optimizers[path].keys():
            yield config.problem(
                path, "takes every parameter that is left, and those after it get none; give it a match, or put it last"
            )


def _strategy(config: Config, values: Mapping[str, Any]) -> Iterator[Problem]:
    """What the strategy says; one that says nothing of its own, as its source shows, is not imported for it."""
    entry = STRATEGIES.find(values["strategy"]["type"])
    if isinstance(entry.target, str) and source.homes(entry.target, "refuses") == {SAYS_NOTHING}:
        return
    factory: Any = entry.factory
    for path, message in factory.refuses(values):
        yield config.problem(path, message)


def _pretrained(config: Config, pretrained: Mapping[str, Any]) -> Iterator[Problem]:
    if (share := pretrained.get("min_match") or 0) > 1:
        yield config.problem("pretrained.min_match", f"is a share of the model's tensors, at most 1, got {share!r}")
    for expression, replacement in (pretrained.get("rename") or {}).items():
        try:
            re.sub(expression, replacement, "")
            continue
        except (re.error, TypeError, IndexError, OverflowError, RecursionError) as error:
            message = f"{expression!r}: {replacement!r} is no regular expression with its replacement: {error}"
        yield config.problem("pretrained.rename", message)


def steps_by_hand(config: Config, values: Mapping[str, Any]) -> Iterator[Problem]:
    """What only the run's own step can do, of a config whose model steps its optimizers itself.

    Args:
        values: those of the config, with or without the defaults.
    """
    own = "the model's training_step takes the optimizers and steps them itself"
    if values.get("precision") == "fp16":
        yield config.problem("precision", f"{own}, and nobody would scale its losses for fp16; write 'fp32' or 'bf16'")
    if (values.get("accumulate") or 1) > 1:
        yield config.problem("accumulate", f"{own}, once a batch; leave accumulate out")
    if values.get("clip_grad"):
        yield config.problem(
            "clip_grad", f"{own}; leave clip_grad out, and call torch.nn.utils.clip_grad_norm_ in training_step"
        )
    if (values.get("non_finite") or {}).get("policy") == "skip":
        yield config.problem(
            "non_finite.policy", f"{own}, and a step that is taken cannot be left out; leave it 'stop'"
        )
    if values.get("compile"):
        yield config.problem("compile", f"{own}, which cannot be compiled as one; compile its networks in the model")


def _takes_optimizers(model: Mapping[str, Any]) -> bool:
    """Whether the model steps the optimizers itself; False where only the built one can tell.

    It is read from the source of a class that is not imported yet.
    """
    entry = MODELS.find(model["type"])
    if entry.is_bridge:
        return False
    if not isinstance(entry.target, str):
        step = getattr(entry.target, "training_step", None)
        return callable(step) and "optimizers" in inspect.signature(step).parameters
    found = source.find(entry.target)
    body = found[1].body if found is not None and isinstance(found[1], ast.ClassDef) else []
    steps = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == "training_step"]
    return any(argument.arg == "optimizers" for step in steps for argument in (*step.args.args, *step.args.kwonlyargs))


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
