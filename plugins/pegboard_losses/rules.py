"""Arguments of losses that are of another time, or that leave the step without the one number that it needs."""

import ast
import inspect
import logging
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pegboard import LOSSES, MODELS, Config, Problem, source
from pegboard.errors import did_you_mean

logger = logging.getLogger("pegboard")

WEIGHED_BY_CLASS = ("CrossEntropyLoss", "NLLLoss", "MultiMarginLoss")


def problems(config: Config) -> Iterator[Problem]:
    """What is wrong with torch's losses in a config that is otherwise sound."""
    loss = config.values.get("loss") or {}
    parts = {"loss": loss} if "type" in loss else {f"loss.{name}": part for name, part in loss.items()}
    for path, part in parts.items():
        entry = LOSSES.find(part["type"]) if part else None
        if entry is not None and entry.package == "torch":
            yield from _loss(config, entry.name, part, path)


def _loss(config: Config, name: str, loss: Mapping[str, Any], path: str) -> Iterator[Problem]:
    yield from _inputs(config, name, loss, path)
    old = {"size_average": "sum", "reduce": "none"}  # what each meant where it was False
    for argument, otherwise in old.items():
        if loss.get(argument) is not None:
            today = "mean" if loss[argument] else otherwise
            yield config.problem(f"{path}.{argument}", f"{argument} is of the torch of 2018; write reduction={today!r}")
    yield from _reduction(config, name, loss.get("reduction", "mean"), f"{path}.reduction")
    if name == "KLDivLoss" and loss.get("reduction", "mean") == "mean":
        message = (
            "KLDivLoss with reduction='mean' is not the divergence, for it divides by the number of classes too; "
            "write reduction='batchmean'"
        )
        warn(str(config.problem(path, message)))
    if loss.get("weight") == "balanced" and name not in WEIGHED_BY_CLASS:
        yield config.problem(
            f"{path}.weight",
            f"{name} has no weight a class, so none can be balanced; {', '.join(WEIGHED_BY_CLASS)} have",
        )


@cache
def warn(message: str) -> None:
    """Once: a config is checked when it is read, and again by the run."""
    logger.warning("%s", message)


def _inputs(config: Config, name: str, loss: Mapping[str, Any], path: str) -> Iterator[Problem]:
    entry = LOSSES.find(loss["type"])
    if "in_features" in entry.signature().parameters:
        yield config.problem(
            path,
            f"{name} has weights of its own, which no optimizer would train; let the model hold one and call it in its "
            "training_step",
        )
        return
    needed = _inputs_of(entry.address)
    if len(needed) > 2 and not _may_have_training_step(config.values["model"]):
        yield config.problem(
            path,
            f"{name} takes {', '.join(needed[:-1])} and {needed[-1]}, and the step has only outputs and targets; give "
            "the model a training_step(batch, criterion) that calls it",
        )


def _inputs_of(address: str) -> list[str]:
    """What a loss is called with; read from its source."""
    found = source.find(address)
    for node in found[1].body if found else []:
        if isinstance(node, ast.FunctionDef) and node.name == "forward":
            needed = node.args.args[1 : len(node.args.args) - len(node.args.defaults)]
            return [argument.arg for argument in needed]
    return []


def _reduction(config: Config, name: str, reduction: Any, path: str) -> Iterator[Problem]:
    known = ["mean", "sum", *(["batchmean"] if name == "KLDivLoss" else [])]
    if reduction == "elementwise_mean":
        yield config.problem(path, "'elementwise_mean' is of the torch of 2018; write 'mean'")
    elif reduction == "none":
        if not _may_have_training_step(config.values["model"]):
            yield config.problem(
                path,
                "'none' gives a number for each sample and the step needs one; write 'mean', or give the model a "
                "training_step that makes one of them",
            )
    elif reduction not in known:
        hint = did_you_mean(reduction, known, otherwise=f"; there are {', '.join(known)}")
        yield config.problem(path, f"{name} has no reduction {reduction!r}{hint}")
    elif reduction == "sum" and (config.values.get("accumulate") or 1) > 1:
        yield config.problem(path, "'sum' cannot be accumulated, for the pieces of a batch are averaged; write 'mean'")


def _may_have_training_step(model: Mapping[str, Any]) -> bool:
    """Whether the model makes its own loss of what the criterion gives; True where that cannot be told.

    It is read from the source of a class that is not imported yet. No library behind a bridge knows of such a step.
    """
    entry = MODELS.find(model["type"])
    if entry.is_bridge:
        return False
    if not isinstance(entry.target, str):
        return not inspect.isclass(entry.target) or hasattr(entry.target, "training_step")
    found = source.find(entry.target)
    if found is None or not isinstance(found[1], ast.ClassDef):
        return True
    own = any(isinstance(node, ast.FunctionDef) and node.name == "training_step" for node in found[1].body)
    bases = [ast.unparse(base) for base in found[1].bases]
    return own or not all(base == "Module" or base.startswith(("nn.", "torch.nn.")) for base in bases)
