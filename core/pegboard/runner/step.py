"""What is computed in a step: the model's outputs, the loss, and the gradients."""

import logging
from collections.abc import Callable, Mapping
from textwrap import shorten
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pegboard.data.batch import Batch
from pegboard.errors import PegboardError

logger = logging.getLogger("pegboard")


SAMPLES = "samples"  # what most losses average over
NOTHING: Mapping[str, Any] = MappingProxyType({})
NO_LOSS = "the training step gave no loss; expected a scalar tensor, from loss=dict(type=...) or from training_step"


class Computed(NamedTuple):
    """What a step gives.

    Args:
        loss: a scalar; None where there is no criterion.
        outputs: the model's.
        parts: the summands of a loss that has several, by name, as they were added.
        logged: further numbers for the next record, by name.
    """

    loss: Tensor | None
    outputs: Any
    parts: Mapping[str, Tensor] = NOTHING
    logged: Mapping[str, float | Tensor] = NOTHING


class WeightedLosses(nn.Module):
    """Several losses of the same outputs and targets; the step adds what it returns, and logs each by its name.

    Args:
        losses: by name. weights: a factor for each.
    """

    def __init__(self, losses: Mapping[str, Callable[..., Tensor]], weights: Mapping[str, float]) -> None:
        super().__init__()
        self.losses = dict(losses)
        self.weights = dict(weights)
        self.modules_among_them = nn.ModuleList(loss for loss in losses.values() if isinstance(loss, nn.Module))

    def forward(self, outputs: Any, targets: Any) -> dict[str, Tensor]:
        return {name: loss(outputs, targets) * self.weights[name] for name, loss in self.losses.items()}


class Step(nn.Module):
    """Model and loss as one module, so that what compiles or distributes it wraps all of it.

    A criterion gives a scalar, or a dict of scalars by name, which are added. A model that defines
    ``training_step(batch, criterion) -> (loss, outputs)`` takes over while it trains; a third thing that it returns is
    a dict of numbers for the next record, as ``run.log`` takes them from a hook. One that takes a third argument,
    ``training_step(batch, criterion, optimizers)``, computes the gradients and steps the optimizers itself.
    """

    def __init__(
        self,
        model: nn.Module,
        criterion: Callable[..., Any] | None,
        device: torch.device,
        precision: str,
        channels_last: bool,
    ) -> None:
        super().__init__()
        self.model = model
        self.criterion = criterion
        self.device = device
        self.training_step: Callable[..., Any] | None = getattr(model, "training_step", None)
        self.channels_last = channels_last
        self._parts = (model, criterion)  # past torch's attribute look-up, which takes a microsecond each time
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
        self.autocast = torch.autocast(device.type, half) if half else None

    def __call__(self, batch: Batch) -> Computed:
        """Past torch's own call, which looks for hooks that nobody hangs on a step; a compiled step keeps it."""
        computed: Computed = super().__call__(batch) if self._compiled_call_impl is not None else self.forward(batch)
        return computed

    def forward(self, batch: Batch) -> Computed:
        """The loss and the model's outputs for a batch."""
        if self.autocast is None:
            return self.compute(batch)
        with self.autocast:
            return self.compute(batch)

    def compute(self, batch: Batch) -> Computed:
        """The same, in the number format that holds here."""
        model, criterion = self._parts
        if self.training and self.training_step is not None:
            loss, outputs, *more = self.training_step(batch, criterion)
            logged = more[0] if more else NOTHING
        else:
            inputs, logged = batch.inputs, NOTHING
            if self.channels_last:
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            outputs = model(inputs)
            loss = None if criterion is None else criterion(outputs, batch.targets)
        if not isinstance(loss, Tensor) and isinstance(loss, Mapping):
            return Computed(torch.stack(list(loss.values())).sum(), outputs, loss, logged)
        return Computed(loss, outputs, NOTHING, logged)

    def stops_compiling(self, error: Exception) -> bool:
        """Go on without compiling if that is what failed; False if the error has another cause."""
        compilers = ("torch._dynamo", "torch._inductor", "torch._functorch")
        if self._compiled_call_impl is None or not type(error).__module__.startswith(compilers):
            return False
        self._compiled_call_impl = None
        reason = shorten(str(error), 160)
        logger.warning("the model cannot be compiled here (%s: %s); going on without", type(error).__name__, reason)
        return True


def gradients(step: Step, batch: Batch, pieces: int, scaler: "torch.amp.GradScaler | None") -> Computed:
    """Run a batch forward and backward, in ``pieces`` micro-batches if memory is short.

    The pieces' losses count by their share of the batch, so that a loss that averages over samples, or over what its
    ``mass(targets)`` says, gives the gradients of the whole batch, a short last piece included.

    Returns:
        what the whole batch gives, detached.
    """
    try:
        return _whole(step, batch, scaler) if pieces == 1 else _in_pieces(step, batch, pieces, scaler)
    except Exception as error:
        if not step.stops_compiling(error):
            raise
    step.zero_grad()
    return gradients(step, batch, pieces, scaler)


def _whole(step: Step, batch: Batch, scaler: "torch.amp.GradScaler | None") -> Computed:
    loss, outputs, parts, logged = step(batch)
    if loss is None:
        raise PegboardError(NO_LOSS)
    backward(loss, scaler)
    apart = {name: part.detach() for name, part in parts.items()} if parts else parts
    return Computed(loss.detach(), _detached(outputs), apart, logged)


def taken_by_hand(step: Step, batch: Batch) -> Computed:
    """Let a model that steps its optimizers itself do so.

    Returns:
        what it gives, detached.
    """
    loss, outputs, parts, logged = step(batch)
    if loss is None:
        raise PegboardError(NO_LOSS)
    apart = {name: part.detach() for name, part in parts.items()}
    return Computed(loss.detach(), _detached(outputs), apart, logged)


def _in_pieces(step: Step, batch: Batch, pieces: int, scaler: "torch.amp.GradScaler | None") -> Computed:
    size = len(batch.inputs)
    all_of_it = masses(step, batch)
    total: dict[str, Tensor] = {}
    kept = []
    for chosen in (slice(i * size // pieces, (i + 1) * size // pieces) for i in range(pieces)):
        piece = Batch(batch.inputs[chosen], batch.targets[chosen], batch.index[chosen])
        if not len(piece.inputs):
            continue
        loss, outputs, parts, logged = step(piece)
        if loss is None:
            raise PegboardError(NO_LOSS)
        mine = masses(step, piece)
        parts = {name: share_of(name, part, mine, all_of_it) for name, part in parts.items()}
        loss = torch.stack(list(parts.values())).sum() if parts else share_of("", loss, mine, all_of_it)
        backward(loss, scaler)
        for name, value in {"": loss, **parts}.items():
            total[name] = total[name] + value.detach() if name in total else value.detach()
        kept.append(_detached(outputs))
    if not total:
        raise PegboardError("a batch without samples cannot be trained on")
    return Computed(total.pop(""), torch.cat(kept) if isinstance(kept[0], Tensor) else kept, total, logged)


def masses(step: Step, batch: Batch) -> dict[str, float | Tensor]:
    """Over how much each loss averages: its number of samples, under ``SAMPLES``, for all that do not say otherwise.

    A criterion that averages over something else says over how much: ``mass(targets)``, a scalar tensor; it stands
    under its name among several losses, "" if it is the only one.
    """
    found: dict[str, float | Tensor] = {SAMPLES: float(len(batch.index))}
    if step.training and step.training_step is not None:
        return found
    several = isinstance(step.criterion, WeightedLosses)
    criteria = step.criterion.losses if several else {"": step.criterion}  # type: ignore[union-attr]
    for name, criterion in criteria.items():
        if (mass := getattr(criterion, "mass", None)) is not None:
            found[name] = mass(batch.targets)
    return found


def share_of(name: str, loss: Tensor, mine: Mapping[str, Any], whole: Mapping[str, Any]) -> Tensor:
    """What the loss of a part of a batch adds to that of the batch.

    Args:
        name: of the loss. mine, whole: the ``masses`` of the part, and of the batch.
    """
    if name not in whole:
        name = SAMPLES
    if not isinstance(mine[name], Tensor):
        part: Tensor = loss * (mine[name] / whole[name])
        return part
    share = mine[name].to(loss.dtype) / whole[name].to(loss.dtype)
    return torch.where(share > 0, loss * share, torch.zeros_like(loss))  # the mean over nothing is nan


def backward(loss: Tensor, scaler: "torch.amp.GradScaler | None") -> None:
    (loss if scaler is None else scaler.scale(loss)).backward()  # type: ignore[no-untyped-call]


def _detached(outputs: Any) -> Any:
    return outputs.detach() if isinstance(outputs, Tensor) else outputs
