"""How the weights, gradients and updates of a network are distributed, and what is wrong with them, in words.

An update is what one step of the optimizer adds to the weights. Its size over that of the weights is about 1e-3 where
training goes well (Karpathy, CS231n notes, "Ratio of weights:updates").
"""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

BINS = 40
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SAMPLED = 200_000  # values of a tensor, evenly spread, from which quantiles are taken where it has more
MANY_TIMES = 1000.0  # the median of all layers' gradients: an exploding one; or a thousandth of it: a vanishing one
EXPLODED = 1e3  # root mean square of a gradient that is large whatever the others are
VANISHED = 1e-12  # and of one that is small
FAST = 0.1  # an update-to-weight ratio that is worth a word


class Summary(NamedTuple):
    """What is kept of one tensor.

    Args:
        record: ``edges`` (n + 1) and ``counts`` (n) of equal bins, ``quantiles`` by their share, ``mean``, ``std``.
        rms: root mean square of the finite values; nan where there are none.
        not_finite: how many values are nan or infinite; the histogram leaves them out.
    """

    record: dict[str, Any]
    rms: float
    not_finite: int


def summary(tensor: Tensor, scale: float = 1.0) -> Summary:
    """The histogram of a tensor's values.

    Args:
        scale: the values are divided by it first, as a gradient scaler asks.
    """
    values = tensor.detach().float().flatten().cpu().numpy()
    values = values / np.float32(scale) if scale != 1.0 else values
    is_finite = np.isfinite(values)
    finite = values if is_finite.all() else values[is_finite]
    missing = len(values) - len(finite)
    if not len(finite):
        empty = {"edges": [0.0, 1.0], "counts": [0], "quantiles": {}, "mean": 0.0, "std": 0.0}
        return Summary(empty, math.nan, missing)
    low, high = float(finite.min()), float(finite.max())
    if not high > low:
        room = max(abs(low) * 1e-3, 1e-12)  # one value: bins around it
        low, high = low - room, high + room
    counts, edges = np.histogram(finite, BINS, (low, high))
    some = np.sort(finite[:: math.ceil(len(finite) / SAMPLED)])
    quantiles = {str(share): _short(some[round(share * (len(some) - 1))]) for share in QUANTILES}
    wide = finite.astype(np.float64)
    mean, square = float(wide.mean()), float(np.square(wide).mean())
    record = {
        "edges": [_short(edge) for edge in edges],
        "counts": counts.tolist(),
        "quantiles": quantiles,
        "mean": _short(mean),
        "std": _short(math.sqrt(max(0.0, square - mean * mean))),
    }
    return Summary(record, math.sqrt(square), missing)


def _short(value: float) -> float:
    """Seven digits: what float32 holds, and half the file."""
    return float(f"{value:.7g}")


def without_gradient(gradient: Tensor) -> tuple[int, int]:
    """How many output units of a weight (O, ...) got none at all from a batch, and how many there are."""
    reached = gradient.detach().flatten(1).count_nonzero(1)
    return int((reached == 0).sum()), len(reached)


class Read(NamedTuple):
    """What one optimizer step says of one parameter.

    Args:
        weight: after the step. gradient: before clipping; None where there is none.
        ratio: root mean square of the update over that of the weights; None where it is not known.
        dead: output units without any gradient, and how many units there are; None where that says nothing.
    """

    weight: Summary
    gradient: Summary | None = None
    ratio: float | None = None
    dead: tuple[int, int] | None = None


def data_of(read: Mapping[str, Read], notes: Sequence[str]) -> dict[str, Any]:
    """All that is known, as JSON has it: ``tensors`` named ``<parameter>_data`` and ``<parameter>_grad``."""
    tensors: dict[str, Any] = {}
    for name, one in read.items():
        tensors[f"{name}_data"] = one.weight.record
        if one.gradient is not None:
            tensors[f"{name}_grad"] = one.gradient.record
    ratios = {name: _short(one.ratio) for name, one in read.items() if one.ratio is not None}
    return {"kind": "histograms", "tensors": tensors, "update_ratio": ratios, "notes": list(notes)}


def notes_of(read: Mapping[str, Read], gradients_expected: bool = True) -> list[str]:
    """What a reader should know: values that are no numbers, gradients that vanish or explode, and dead units."""
    lines = [
        f"{name}: {one.weight.not_finite} weights are nan or infinite"
        for name, one in read.items()
        if one.weight.not_finite
    ]
    if not gradients_expected:
        return lines
    if none := [name for name, one in read.items() if one.gradient is None]:
        lines.append(f"no gradient, skipped: {_some(none)}")
    sizes = {name: one.gradient.rms for name, one in read.items() if one.gradient is not None and _is_matrix(one)}
    usual = median(sizes.values()) if sizes and not any(map(math.isnan, sizes.values())) else math.nan
    paces = [one.ratio for one in read.values() if one.ratio is not None and _is_matrix(one)]
    pace = median(paces) if paces else 0.0
    for name, one in read.items():
        if one.gradient is None:
            continue
        rms, missing = one.gradient.rms, one.gradient.not_finite
        if missing:
            lines.append(f"{name}: the gradient explodes: {missing} of its values are nan or infinite")
        elif rms == 0:
            lines.append(f"{name}: the gradient is 0 everywhere: nothing of the loss reaches it")
        elif rms > EXPLODED or (name in sizes and rms > MANY_TIMES * usual):
            lines.append(f"{name}: the gradient explodes: its size is {rms:.2g}, {_compared(rms, usual)}")
        elif rms < VANISHED or (name in sizes and rms * MANY_TIMES < usual):
            lines.append(f"{name}: the gradient vanishes: its size is {rms:.2g}, {_compared(rms, usual)}")
        if one.ratio is not None and one.ratio > FAST and _is_matrix(one):
            lines.append(
                f"{name}: a step changes the weights by {100 * one.ratio:.0f} %; is the learning rate too high?"
            )
        elif one.ratio is not None and 0 < one.ratio * MANY_TIMES < pace and _is_matrix(one):
            lines.append(f"{name}: a step changes the weights by {one.ratio:.0e}, those of other layers by {pace:.0e}")
        if one.dead is not None and one.dead[0] and rms != 0:
            dead, units = one.dead
            lines.append(f"{name}: {dead} of {units} units got no gradient from the whole batch: they may be dead")
    return lines


def _is_matrix(one: Read) -> bool:
    return one.dead is not None


def _compared(rms: float, usual: float) -> str:
    if not usual > 0:
        return "and no other layer's is a number to compare with"
    return f"the median of the layers {usual:.2g}"


def _some(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def update_ratio(before: Tensor, after: Tensor) -> float | None:
    """The size of an update over that of the weights before it; None where these are all 0."""
    size = float(torch.linalg.vector_norm(before.detach().float()))
    return float(torch.linalg.vector_norm((after - before).detach().float())) / size if size else None
