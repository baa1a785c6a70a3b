"""What is computed in a step: the model's outputs, the loss, and the gradients."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pegboard.data.batch import Batch
from pegboard.errors import PegboardError


class Step(nn.Module):
    """Model and loss as one module, so that what compiles or distributes it wraps all of it.

    A model that defines ``training_step(batch, criterion) -> (loss, outputs)`` takes over while it trains.
    """

    def __init__(
        self,
        model: nn.Module,
        criterion: Callable[..., Tensor] | None,
        device: torch.device,
        precision: str,
        channels_last: bool,
    ) -> None:
        super().__init__()
        self.model = model
        self.criterion = criterion
        self.training_step = getattr(model, "training_step", None)
        self.channels_last = channels_last
        self._parts = (model, criterion)  # past torch's attribute look-up, which takes a microsecond each time
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
        self.autocast = torch.autocast(device.type, half) if half else None

    def forward(self, batch: Batch) -> tuple[Tensor | None, Any]:
        """The loss, a scalar (None where there is no criterion), and the model's outputs for the batch."""
        if self.autocast is None:
            return self.compute(batch)
        with self.autocast:
            return self.compute(batch)

    def compute(self, batch: Batch) -> tuple[Tensor | None, Any]:
        """The same, in the number format that holds here."""
        model, criterion = self._parts
        if self.training and self.training_step is not None:
            loss, outputs = self.training_step(batch, criterion)
            return loss, outputs
        inputs = batch.inputs
        if self.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        outputs = model(inputs)
        return (None if criterion is None else criterion(outputs, batch.targets)), outputs


def gradients(step: Step, batch: Batch, pieces: int, scaler: "torch.amp.GradScaler | None") -> tuple[Tensor, Any]:
    """Run a batch forward and backward, in ``pieces`` micro-batches if memory is short.

    The pieces' losses count by their share of the batch, so that a loss that averages over samples gives the
    gradients of the whole batch, a short last piece included.

    Returns:
        the loss of the whole batch, detached, and the outputs, detached.
    """
    if pieces == 1:
        loss, outputs = step(batch)
        _backward(loss, scaler)
        return loss.detach(), _detached(outputs)
    size = len(batch.inputs)
    total, kept = None, []
    for part in (slice(i * size // pieces, (i + 1) * size // pieces) for i in range(pieces)):
        inputs, targets, index = batch
        piece = Batch(inputs[part], targets[part], index[part])
        if not len(piece.inputs):
            continue
        loss, outputs = step(piece)
        loss = loss * (len(piece.inputs) / size)
        _backward(loss, scaler)
        total = loss.detach() if total is None else total + loss.detach()
        kept.append(_detached(outputs))
    if total is None:
        raise PegboardError("a batch without samples cannot be trained on")
    return total, torch.cat(kept) if isinstance(kept[0], Tensor) else kept


def _backward(loss: Tensor, scaler: "torch.amp.GradScaler | None") -> None:
    (loss if scaler is None else scaler.scale(loss)).backward()  # type: ignore[no-untyped-call]


def _detached(outputs: Any) -> Any:
    return outputs.detach() if isinstance(outputs, Tensor) else outputs
