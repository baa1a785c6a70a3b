"""Parameter groups: which parameters an optimizer treats in its own way."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import Optimizer

from pegboard.errors import CheckpointError, ConfigError, Problem
from pegboard.weights.names import matches, nearest_name

NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def parameter_groups(model: nn.Module, groups: Sequence[Mapping[str, Any]], frozen: set[str]) -> list[dict[str, Any]]:
    """Every trainable parameter in exactly one group: the first rule that matches it, or the last group of the rest.

    Args:
        groups: rules; ``match`` is a pattern over names, ``kind="norm"`` means the parameters of normalisation layers;
            the other keys are options of the optimizer, ``lr_mult`` a factor on its learning rate.
        frozen: names that stand still for the whole run.

    Returns:
        torch's form, with ``name`` and ``lr_mult`` (None where the rule gives ``lr``) in each:
        ``[{"params": [...], "name": "fc3.*", "lr_mult": 10}]``.
    Raises:
        ConfigError: a rule matches no trainable parameter that is still to be had.
    """
    names: dict[int, list[str]] = {}  # a tied parameter has several names and counts once
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    of_norms = {id(p) for module in model.modules() if isinstance(module, NORMS) for p in module.parameters(False)}
    waiting = [p for p in model.parameters() if p.requires_grad and not frozen.intersection(names[id(p)])]
    if not waiting:
        raise ConfigError([Problem("has no parameter that can be trained", "model")])
    built = []
    for index, rule in enumerate(groups):
        pattern, kind = rule.get("match"), rule.get("kind")
        chosen = [
            p
            for p in waiting
            if (pattern is None or any(matches(pattern, name) for name in names[id(p)]))
            and (kind is None or id(p) in of_norms)
        ]
        if not chosen:
            what = f"match={pattern!r}" if pattern is not None else f"kind={kind!r}"
            everything = [name for known in names.values() for name in known]
            taken = pattern is None or any(matches(pattern, name) for name in everything)
            why = (
                "; what it means is frozen, or in a group before it"
                if taken
                else nearest_name(str(pattern), everything)
            )
            raise ConfigError([Problem(f"{what} finds no parameter to train{why}", f"optimizer.groups.{index}")])
        options = {key: value for key, value in rule.items() if key not in ("match", "kind")}
        label = pattern if pattern is not None else f"kind={kind}"
        factor = None if "lr" in options else 1.0  # a rate of its own does not follow the others
        built.append({"params": chosen, "name": label, "lr_mult": factor, **options})
        taken_ids = {id(p) for p in chosen}
        waiting = [p for p in waiting if id(p) not in taken_ids]
    if waiting:
        built.append({"params": waiting, "name": "rest" if groups else "all", "lr_mult": 1.0})
    return built


def take_in(optimizer: Optimizer, rates: list[float]) -> None:
    """Groups that a hook added in mid-run get the keys of the others; a phase leaves their rate alone.

    Args:
        rates: the rate of each group before any phase or schedule; those of the new ones are added.
    """
    for group in optimizer.param_groups[len(rates) :]:
        group.setdefault("name", "added")
        group.setdefault("lr_mult", None)
        rates.append(group.get("initial_lr", group["lr"]))


def added(model: nn.Module, optimizer: Optimizer, built: int, rates: Sequence[float]) -> list[dict[str, Any]]:
    """What a resume needs to add again the groups that a hook added: names, which of them learn, and the first rate.

    Args:
        built: how many groups the config gave.
        rates: of the groups that were there when the phase began.

    Raises:
        CheckpointError: one holds a parameter that is not the model's.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    described = []
    for number, group in enumerate(optimizer.param_groups[built:], built):
        alien = [parameter for parameter in group["params"] if id(parameter) not in names]
        if alien:
            shape = tuple(alien[0].shape)
            raise CheckpointError(
                f"parameter group {number}, which a hook added, holds a parameter {shape} that is not the model's; a "
                "resumed run could not find it again"
            )
        learn = [names[id(p)] for p in group["params"] if p.requires_grad]
        rate = rates[number] if number < len(rates) else None
        described.append({"params": [names[id(p)] for p in group["params"]], "learn": learn, "rate": rate})
    return described


def add_again(model: nn.Module, optimizer: Optimizer, groups: Sequence[Mapping[str, Any]]) -> None:
    """Add the groups that ``added`` described; the optimizer's state brings their options.

    Raises:
        CheckpointError: the model has no such parameter, or it is in a group already.
    """
    parameters = dict(model.named_parameters())
    for group in groups:
        try:
            optimizer.add_param_group({"params": [parameters[name] for name in group["params"]]})
        except (KeyError, ValueError) as error:
            raise CheckpointError(
                f"the checkpoint has a parameter group of {', '.join(group['params'])}, which a hook added; it cannot "
                f"be added to the optimizer of this config: {error}"
            ) from error
