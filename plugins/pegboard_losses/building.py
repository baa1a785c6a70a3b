"""From the arguments of a config to one of torch's losses: lists become tensors, and the first batch is looked at."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pegboard_losses.first_batch import watch

PER_CLASS = (nn.CrossEntropyLoss, nn.NLLLoss, nn.MultiMarginLoss)  # whose weight has one number a class


def build(factory: Callable[..., nn.Module], arguments: dict[str, Any], supply: Mapping[str, Any]) -> nn.Module:
    """A loss; its tensors move to the device of the run with it.

    Raises:
        ValueError: a weight for another number of classes, or ``"balanced"`` without labels to count.
    """
    if arguments.get("weight") == "balanced":
        arguments["weight"] = balanced(supply.get("class_counts"), supply.get("classes"))
    for name in ("weight", "pos_weight"):
        if isinstance(arguments.get(name), list | tuple):
            arguments[name] = torch.tensor(arguments[name], dtype=torch.float32)
    loss = factory(**arguments)
    weight, classes = arguments.get("weight"), supply.get("num_classes")
    if isinstance(loss, PER_CLASS) and weight is not None and classes is not None and len(weight) != classes:
        raise ValueError(f"weight has {len(weight)} numbers, but the training data {classes} classes")
    if isinstance(loss, nn.CrossEntropyLoss | nn.NLLLoss) and loss.reduction == "mean":
        loss.mass = partial(_mass, loss)  # type: ignore[assignment]  # torch declares every attribute a tensor
    watch(loss)
    return loss


def _mass(loss: nn.CrossEntropyLoss | nn.NLLLoss, targets: Tensor) -> Tensor:
    """Over how much the loss averages: the weights of the targets that it does not ignore; a scalar.

    A batch that is run in pieces needs it. Targets that are probabilities count one a sample.
    """
    if targets.is_floating_point():
        return torch.tensor(len(targets), device=targets.device)
    counted = targets != loss.ignore_index
    if loss.weight is None:
        return counted.sum()
    weights = loss.weight[targets.where(counted, 0)]
    return (weights * counted).sum()


def balanced(counts: Sequence[int] | None, classes: Sequence[str] | None = None) -> Tensor:
    """``n / (K * count)`` for each of K classes with ``count`` of the n samples, as scikit-learn weighs them.

    Shapes: (K,) float32.
    Raises:
        ValueError: there are no counts, or a class has no sample.
    """
    if counts is None:
        raise ValueError(
            "weight='balanced' counts the labels of the training data, but its dataset has no attribute `targets` with "
            "a class number for each sample; give the dataset one, or a list of weights"
        )
    if 0 in counts:
        number = list(counts).index(0)
        name = f" ({classes[number]})" if classes else ""
        raise ValueError(f"weight='balanced' cannot weigh class {number}{name}: no training sample is of it")
    count = torch.tensor(counts, dtype=torch.float64)
    return (count.sum() / (len(count) * count)).float()
