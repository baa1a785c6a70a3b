"""What a model is made of, layer by layer, as ``pegboard model`` prints it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pegboard.runner.dry_run import shapes


@dataclass
class Layer:
    """One row.

    Args:
        name: as in the state dict, ``conv1``; empty for the whole model.
        shape: of its output, for a batch of one; empty where it was not computed.
        parameters: numbers in it, those of layers inside among them; a tied one counts once.
        flops: for one input, a multiplication and an addition counting as two; only what torch's counter knows
            (convolutions, matrix products, attention).
        trainable: of the parameters, how many are trained in the phase that is shown.
        groups: the optimizer's groups that its parameters are in, as (name, learning rate).
    """

    name: str
    type: str
    shape: str
    parameters: int
    flops: int
    trainable: int
    groups: Sequence[tuple[str, float]]


def layers(
    model: nn.Module, inputs: Any, frozen: set[str], groups: Sequence[Mapping[str, Any]], depth: int | None = None
) -> list[Layer]:
    """The whole model first, then each layer inside down to ``depth`` names deep.

    Args:
        inputs: a batch, on the model's device.
        frozen: names of parameters that stand still.
        groups: an optimizer's, each with ``name``, ``lr`` and ``params``.
    """
    outputs: dict[str, str] = {}
    counted, of_one = _computed(model, inputs, outputs), len(inputs) if isinstance(inputs, torch.Tensor) else 1
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    group_of = {id(p): (group.get("name", ""), group["lr"]) for group in groups for p in group["params"]}
    rows = []
    for name, module in model.named_modules():
        if depth is not None and name and name.count(".") >= depth:
            continue
        parameters = list(module.parameters())
        trained = [p for p in parameters if p.requires_grad and names.get(id(p)) not in frozen]
        rows.append(
            Layer(
                name,
                type(module).__name__,
                outputs.get(name, ""),
                sum(p.numel() for p in parameters),
                counted.get(name, 0) // of_one,
                sum(p.numel() for p in trained),
                list(dict.fromkeys(group_of[id(p)] for p in trained if id(p) in group_of)),
            )
        )
    return rows


def _computed(model: nn.Module, inputs: Any, outputs: dict[str, str]) -> dict[str, int]:
    """Floating-point operations of each layer by name; fills ``outputs`` with the shapes of what they give."""
    handles = []
    for name, module in model.named_modules():

        def keep(module: nn.Module, given: Any, output: Any, name: str = name) -> None:
            outputs[name] = _of_one(output)

        handles.append(module.register_forward_hook(keep))
    counter = FlopCounterMode(display=False)
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.no_grad(), counter:
            model.eval()(inputs)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
    root = type(model).__name__
    counts = {name: sum(by_operation.values()) for name, by_operation in counter.get_flop_counts().items()}
    named = {name.removeprefix(f"{root}."): count for name, count in counts.items() if name.startswith(f"{root}.")}
    return {**named, "": counts.get("Global", 0)}


def _of_one(output: Any) -> str:
    """The shape of an output without its batch dimension."""
    if isinstance(output, torch.Tensor):
        return " x ".join(map(str, output.shape[1:])) or "1"
    return shapes(output)
