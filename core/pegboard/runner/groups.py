"""Parameter groups: which parameters an optimizer treats in its own way."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import Optimizer

from pegboard.errors import CheckpointError, ConfigError, Problem
from pegboard.weights.names import matches, nearest_name, some

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
    pool = _Pool(model, frozen)
    return pool.grouped(pool.waiting, groups, "optimizer", "rest" if groups else "all")


def groups_of_each(
    model: nn.Module, optimizers: Mapping[str, Mapping[str, Any]], frozen: set[str]
) -> list[list[dict[str, Any]]]:
    """The groups of each of several optimizers: the first whose ``match`` and ``kind`` fit a parameter takes it.

    Args:
        optimizers: config path -> its part.

    Raises:
        ConfigError: one finds no parameter, or a parameter finds none.
    """
    pool, groups = _Pool(model, frozen), []
    for path, part in optimizers.items():
        limited = "match" in part or "kind" in part
        mine = pool.take(part, pool.waiting, path) if limited else pool.waiting
        if not mine:
            raise ConfigError([Problem("is left no parameter to train: those before it take all", path)])
        name = _label(part) if limited else "rest"
        own = pool.grouped(mine, part.get("groups") or (), path, name)
        groups.append([{**group, "name": f"{part['type']}: {group['name']}"} for group in own])
        pool.remove(mine)
    if pool.waiting:
        unheld = some([pool.names[id(parameter)][0] for parameter in pool.waiting])
        raise ConfigError([Problem(f"no optimizer takes {unheld}; give the last one no match", "optimizer")])
    return groups


class _Pool:
    """The trainable parameters of a model that no optimizer or group has taken yet.

    Args:
        frozen: names that stand still for the whole run.

    Raises:
        ConfigError: there is none at all.
    """

    def __init__(self, model: nn.Module, frozen: set[str]) -> None:
        self.names: dict[int, list[str]] = {}  # a tied parameter has several names and counts once
        for name, parameter in model.named_parameters(remove_duplicate=False):
            self.names.setdefault(id(parameter), []).append(name)
        norms = (module for module in model.modules() if isinstance(module, NORMS))
        self.of_norms = {id(parameter) for module in norms for parameter in module.parameters(False)}
        trainable = (parameter for parameter in model.parameters() if parameter.requires_grad)
        self.waiting = [p for p in trainable if not frozen.intersection(self.names[id(p)])]
        if not self.waiting:
            raise ConfigError([Problem("has no parameter that can be trained", "model")])

    def remove(self, taken: Sequence[nn.Parameter]) -> None:
        gone = {id(parameter) for parameter in taken}
        self.waiting = [parameter for parameter in self.waiting if id(parameter) not in gone]

    def take(self, rule: Mapping[str, Any], among: Sequence[nn.Parameter], path: str) -> list[nn.Parameter]:
        """Those that a rule means.

        Raises:
            ConfigError: there is none; the message says why, or the nearest name.
        """
        pattern, kind = rule.get("match"), rule.get("kind")
        chosen = [
            p
            for p in among
            if (pattern is None or any(matches(pattern, name) for name in self.names[id(p)]))
            and (kind is None or id(p) in self.of_norms)
        ]
        if not chosen:
            what = f"match={pattern!r}" if pattern is not None else f"kind={kind!r}"
            everything = [name for known in self.names.values() for name in known]
            taken = pattern is None or any(matches(pattern, name) for name in everything)
            why = (
                "; what it means is frozen, or in a group before it"
                if taken
                else nearest_name(str(pattern), everything)
            )
            raise ConfigError([Problem(f"{what} finds no parameter to train{why}", path)])
        return chosen

    def grouped(
        self, among: Sequence[nn.Parameter], rules: Sequence[Mapping[str, Any]], path: str, rest: str
    ) -> list[dict[str, Any]]:
        """Parameters by rule.

        Args:
            path: config path of the optimizer.
            rest: name of the group of those that no rule means.
        """
        built = []
        left = list(among)
        for index, rule in enumerate(rules):
            chosen = self.take(rule, left, f"{path}.groups.{index}")
            options = {key: value for key, value in rule.items() if key not in ("match", "kind")}
            factor = None if "lr" in options else 1.0  # a rate of its own does not follow the others
            built.append({"params": chosen, "name": _label(rule), "lr_mult": factor, **options})
            taken = {id(parameter) for parameter in chosen}
            left = [parameter for parameter in left if id(parameter) not in taken]
        if left:
            built.append({"params": left, "name": rest, "lr_mult": 1.0})
        return built


def _label(rule: Mapping[str, Any]) -> str:
    return str(rule["match"]) if rule.get("match") is not None else f"kind={rule.get('kind')}"


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
