"""A loss or gradients that are nan or infinite: what the run key ``non_finite`` asks for.

With ``policy="stop"`` nothing is looked at in between: losses are read where the run reads them anyway (a log step, an
epoch's end, a checkpoint), each still with the samples of its batch.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pegboard import checkpoint
from pegboard.data.batch import Batch
from pegboard.distributed import local
from pegboard.errors import ConfigError, PegboardError, Problem

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner

logger = logging.getLogger("pegboard")

FILE = "non_finite.pt"
SHOWN = 16  # sample numbers in a message; all are in the file


class Skip:
    """Leave out each step whose loss or gradients are not finite, as if its batch had not been there.

    Costs a wait for the device in each iteration, and a copy of the model's buffers, which a bad batch may spoil.

    Args:
        limit: steps that one run may leave out.
    """

    def __init__(self, run: "Runner", limit: int) -> None:
        if run.needs_closure:
            name = type(run.optimizer).__name__
            message = f"{name} asks for gradients amid its step, which cannot be taken back; leave it 'stop'"
            raise ConfigError([Problem(message, "non_finite.policy")])
        self.limit = limit
        self.buffers = [buffer for buffer in run.model.buffers() if buffer is not None]
        self.copies = [buffer.clone() for buffer in self.buffers]

    def before_forward(self) -> None:
        """Remember what a forward may change."""
        if self.buffers:
            torch._foreach_copy_(self.copies, self.buffers)

    def refuses(self, run: "Runner", batch: Batch, loss: Tensor) -> bool:
        """Is this step to be left out?

        Raises:
            PegboardError: it is one too many.
        """
        # Those of fp16 are scaled up, and the scaler itself leaves out what overflows.
        own = {name: local(gradient) for name, gradient in _gradients(run.model).items()}
        own = {name: gradient for name, gradient in own.items() if gradient.numel()}  # a rank may hold nothing of it
        largest = _norms(own, math.inf).values() if run.scaler is None else ()
        finite = torch.stack([loss, *(size.to(loss) for size in largest)]).isfinite().all()
        if bool(run.ranks.strategy.everywhere(finite)):
            return False
        if self.buffers:
            torch._foreach_copy_(self.buffers, self.copies)
        run.skipped += 1
        what = "gradients are" if math.isfinite(float(loss)) else "loss is"
        message = f"the {what} not finite at iteration {run.iteration + 1}, {_samples(batch.index.tolist())}"
        if run.skipped > self.limit:
            norms = gradient_norms(run)
            raise PegboardError(
                f"{message}: {run.skipped} steps were left out, more than non_finite.limit={self.limit}; "
                f"gradient norms: {_largest(norms)}"
            )
        logger.warning("%s: the step is left out (%d so far)", message, run.skipped)
        return True


def stop(run: "Runner") -> None:
    """End the run where a loss that was read was not finite, with all that is known of it.

    Raises:
        PegboardError: there was one.
    """
    if run.figures.spoiled is None:
        return
    loss, behind, samples, before = run.figures.spoiled
    iteration = run.iteration - behind
    norms = gradient_norms(run)
    contents = {
        "iteration": iteration, "loss": loss, "samples": samples, "samples_before": before, "gradient_norms": norms,
    }  # fmt: skip
    # A step with infinite gradients shows in the loss of the next one: the weights tell that it may have been so.
    other = f"; or the step of iteration {iteration - 1}, {_samples(before)}, spoiled the weights" if before else ""
    raise PegboardError(
        f"the training loss is {loss} at iteration {iteration}, {_samples(samples)}; gradient norms of iteration "
        f"{run.iteration}: {_largest(norms)}{other if _bad_weights(run) else ''}. {_save(run, contents)}"
        "Lower the learning rate or set clip_grad; non_finite=dict(policy='skip') leaves such steps out"
    )


def refuse_weights(run: "Runner") -> None:
    """A checkpoint of weights that are not finite would push out those that a resume can use.

    Raises:
        PegboardError: some are not.
    """
    if not (bad := _bad_weights(run)):
        return
    norms = gradient_norms(run)
    contents: dict[str, Any] = {"iteration": run.iteration, "loss": None, "samples": [], "gradient_norms": norms}
    raise PegboardError(
        f"the weights are not finite after iteration {run.iteration}, though its loss was ({', '.join(bad[:5])}); "
        f"gradient norms: {_largest(norms)}. {_save(run, contents)}Lower the learning rate or set clip_grad; "
        "non_finite=dict(policy='skip') leaves such steps out"
    )


def _bad_weights(run: "Runner") -> list[str]:
    """Names of the parameters that learn and are not finite."""
    named = run.model.named_parameters()
    learned = {n: local(p.detach()) for n, p in named if p.requires_grad and p.is_floating_point() and p.numel()}
    if not learned:
        return []
    sizes = [weight.abs().amax().double() if weight.numel() else weight.sum().double() for weight in learned.values()]
    finite = run.ranks.strategy.everywhere(torch.stack(sizes).isfinite())
    if bool(finite.all()):
        return []
    return [name for name, sound in zip(learned, finite.tolist(), strict=True) if not sound]


def gradient_norms(run: "Runner") -> dict[str, float]:
    """The Euclidean norm of each parameter's gradient, by name, as the last step left it; called on every rank."""
    return {name: float(norm) for name, norm in run.whole(_norms(_gradients(run.model), 2)).items()}


def _gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None and p.grad.numel()}


def _norms(gradients: Mapping[str, Tensor], order: float) -> dict[str, Tensor]:
    dense = [gradient.coalesce().values() if gradient.is_sparse else gradient for gradient in gradients.values()]
    return dict(zip(gradients, torch._foreach_norm(dense, order), strict=True)) if dense else {}


def _largest(norms: dict[str, float], count: int = 6) -> str:
    """Those that are not finite first, in the order of the model; then the largest."""
    order = sorted(norms.items(), key=lambda item: (math.isfinite(item[1]), -item[1] if math.isfinite(item[1]) else 0))
    more = f" and {len(order) - count} more" if len(order) > count else ""
    return ", ".join(f"{name} {norm:.3g}" for name, norm in order[:count]) + more if order else "none"


def _samples(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return f"samples {', '.join(map(str, numbers[:SHOWN]))}{more}"


def _save(run: "Runner", contents: dict[str, Any]) -> str:
    """The state as it is, for whoever looks for the cause; no resume takes it by itself."""
    from pegboard.runner.state import gather, gather_hooks

    path = run.folder / "checkpoints" / FILE
    try:
        state = run.whole({**gather(run), "hooks": gather_hooks(run)})
        if not run.writes:
            return ""
        checkpoint.write(path, {**state, "non_finite": contents})
    except (OSError, PegboardError) as error:
        return f"The state could not be saved: {error}. "
    return f"The state is in {path}; --resume goes on from the checkpoint before. "
