"""Learning rates that fall from the last layer of a network to its first."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from pegboard.runner.groups import NORMS

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def decayed(groups: Sequence[Mapping[str, Any]], model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Each group as several, one a layer, whose ``lr_mult`` falls by ``decay`` from each layer to the one before it.

    The last layer keeps its rate. A group with a rate of its own is left as it is: it follows no other.

    Source: Howard and Ruder 2018, arXiv:1801.06146, section 3.2 (discriminative fine-tuning); as in Bao et al. 2021,
        arXiv:2106.08254 (BEiT), whose embeddings are the first layer.
    """
    depths, names = depths_of(model)
    built: list[dict[str, Any]] = []
    for group in groups:
        if group["lr_mult"] is None:
            built.append({**group})
            continue
        by_depth: dict[int, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            by_depth.setdefault(depths[id(parameter)], []).append(parameter)
        for depth, parameters in sorted(by_depth.items()):
            factor = group["lr_mult"] * decay ** (len(names) - 1 - depth)
            built.append({**group, "params": parameters, "name": f"{group['name']}, {names[depth]}", "lr_mult": factor})
    return built


def depths_of(model: nn.Module) -> tuple[dict[int, int], list[str]]:
    """Which layer each parameter, by ``id``, belongs to, counted from 0 in the model's order; and the layers' names.

    A layer is a block of those that repeat (a residual block, an encoder block), or whatever stands beside them; a norm
    belongs to the layer before it, and what the model itself holds (a class token, position embeddings) to the first.
    A parameter that is tied belongs to the first of its layers.
    """
    depths: dict[int, int] = {}
    names: list[str] = []
    for name, layer in _layers(model, ""):
        if not names or not isinstance(layer, NORMS):
            names.append(name)
        for parameter in layer.parameters():
            depths.setdefault(id(parameter), len(names) - 1)
    names = names or ["model"]
    for parameter in model.parameters():  # those that no layer holds
        depths.setdefault(id(parameter), 0)
    return depths, names


def _layers(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """Layers with parameters, in order, with their names."""
    for own, child in module.named_children():
        full = f"{name}.{own}" if name else own
        if not any(True for _ in child.parameters()):
            continue
        if isinstance(child, CONTAINERS) or _repeats(child):
            yield from _layers(child, full)
        else:
            yield full, child


def _repeats(module: nn.Module) -> bool:
    """Does it hold a row of blocks of one kind, each of several layers, as the encoder of a transformer does?"""
    for inner in module.modules():
        if isinstance(inner, CONTAINERS):
            kinds = [type(block) for block in inner.children() if _is_block(block)]
            if len(kinds) > 1 and len(set(kinds)) == 1:
                return True
    return False


def _is_block(module: nn.Module) -> bool:
    """More than a convolution with its norm: at least three layers with parameters, joined by code of its own."""
    with_parameters = [inner for inner in module.modules() if any(True for _ in inner.parameters(recurse=False))]
    return not isinstance(module, CONTAINERS) and len(with_parameters) > 2
