"""Fresh weights by rule: ``dict(type="xavier_normal", layer="Conv2d", bias=0)``."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from pegboard import address
from pegboard.config.init_rules import OWN_KEYS
from pegboard.errors import ConfigError, Problem
from pegboard.weights.names import matches, nearest_name


def initialise(model: nn.Module, rules: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Give a model fresh weights, rule after rule; a later one overwrites what it matches too.

    A rule's function fills the weights of each layer that it matches, by class (``layer``: a name or several, a base
    class counts), by name (``name``: a pattern over modules or parameters), or by both. Their biases get the constant
    ``bias``, 0 unless given; ``bias=None`` leaves them alone. Without any rule a model's own ``initialize_weights()``
    is called, if it has one.

    Returns:
        parameter name -> what filled it, of those that were filled.
    Raises:
        ConfigError: a rule matches nothing, or its function cannot fill what it matches.
    """
    filled: dict[str, str] = {}
    if not rules:
        own = getattr(model, "initialize_weights", None)
        if callable(own):
            own()
            filled = {name: "initialize_weights()" for name, _ in model.named_parameters()}
        return filled
    for index, rule in enumerate(rules):
        found = _apply(model, rule, f"init.{index}")
        if not found:
            wanted = " and ".join(f"{key}={rule[key]!r}" for key in ("layer", "name") if key in rule)
            classes = list(
                dict.fromkeys(type(m).__name__ for m in model.modules() if list(m.parameters(recurse=False)))
            )
            near = f"; its layers are {', '.join(classes)}" if "layer" in rule else ""
            near = near or nearest_name(str(rule.get("name")), [name for name, _ in model.named_parameters()])
            raise ConfigError([Problem(f"no parameter of the model matches {wanted}{near}", f"init.{index}")])
        filled |= found
    return filled


@torch.no_grad()
def _apply(model: nn.Module, rule: Mapping[str, Any], place: str) -> dict[str, str]:
    function = address.resolve(f"torch.nn.init:{rule['type']}_")
    arguments = {key: value for key, value in rule.items() if key not in OWN_KEYS}
    if "weight" in rule:  # dict(type="constant", layer="BatchNorm2d", weight=1): reads better than val
        arguments["val"] = rule["weight"]
    layers = rule.get("layer") or ()
    classes = {layers} if isinstance(layers, str) else set(layers)
    bias = rule.get("bias", 0)
    pattern = rule.get("name", "*")
    filled: dict[str, str] = {}
    for module_name, module in model.named_modules():
        if classes and not classes & {cls.__name__ for cls in type(module).__mro__}:
            continue
        prefix = f"{module_name}." if module_name else ""
        chosen = {f"{prefix}{name}": p for name, p in module.named_parameters(recurse=False)}
        chosen = {name: parameter for name, parameter in chosen.items() if matches(pattern, name)}
        has_weight = not all(map(_is_bias, chosen))  # name="*.bias" alone means the biases themselves
        for name, parameter in chosen.items():
            if not (has_weight and _is_bias(name)):
                try:
                    function(parameter, **arguments)
                except ValueError as error:
                    raise ConfigError([Problem(f"{rule['type']} cannot fill {name}: {error}", place)]) from error
                filled[name] = f"{place} ({rule['type']})"
            elif bias is not None:
                parameter.fill_(bias)
                filled[name] = f"{place} (constant {bias})"
    return filled


def _is_bias(name: str) -> bool:
    return "bias" in name.rpartition(".")[2]
