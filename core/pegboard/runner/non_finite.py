"""A loss or gradients that are nan or infinite: what the run key ``non_finite`` asks for.

Weights that are not finite are never validated, and no checkpoint holds them, whatever the policy is.
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
from pegboard.runner.figures import Spoiled

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner

logger = logging.getLogger("pegboard")

FILE = "non_finite.pt"
SHOWN = 16  # sample numbers in a message; all are in the file


class Stop:
    """End the run at the first loss, or norm of all gradients, that is not finite.

    On the CPU both are read before the step, which is not taken: the weights remain those that gave the loss. Elsewhere
    reading would wait for the device, so that it is done where the run waits anyway: at a log step, an epoch's end, a
    validation or a checkpoint. Only ``clip_grad`` takes the norm; without it gradients that are not finite spoil the
    weights, and the next loss shows it.
    """

    def __init__(self, run: "Runner") -> None:
        self.at_once = run.device.type == "cpu"
        self.norms: list[tuple[Tensor, Tensor]] = []  # not read yet, of one iteration after the other; and its samples

    def before_forward(self) -> None: ...

    def refuses(self, run: "Runner", batch: Batch, loss: Tensor, norm: Tensor | None) -> bool:
        """Never; it raises PegboardError instead.

        Args:
            loss: a scalar. norm: of all gradients, where it is known.
        """
        if self.at_once:
            if not math.isfinite(loss.item()) or (norm is not None and not math.isfinite(norm.item())):
                raise _before_the_step(run, run.ranks.whole(batch).index.tolist(), loss.item())
        elif norm is not None:
            self.norms.append((norm, run.ranks.whole(batch).index))
        return False

    def read(self) -> Spoiled | None:
        """The first norm since the last reading that is not finite; waits for the device."""
        waiting, self.norms = self.norms, []
        norms = torch.stack([norm for norm, _ in waiting]).tolist() if waiting else []
        for number, norm in enumerate(norms):
            if not math.isfinite(norm):
                before = waiting[number - 1][1].tolist() if number else []
                return Spoiled(norm, len(norms) - 1 - number, waiting[number][1].tolist(), before)
        return None


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

    def read(self) -> Spoiled | None:
        """Nothing is left to be read: each iteration was."""
        return None

    def refuses(self, run: "Runner", batch: Batch, loss: Tensor, norm: Tensor | None) -> bool:
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
    """End the run where a loss or norm that was read was not finite, with all that is known of it.

    Raises:
        PegboardError: there was one.
    """
    norm, spoiled = run.guard.read(), run.figures.spoiled
    if norm is not None and (spoiled is None or spoiled.behind < norm.behind):
        iteration = run.iteration - norm.behind
        message = f"the gradients are not finite at iteration {iteration}, {_samples(norm.samples)}"
        raise _error(run, message, iteration, None, norm.samples, norm.before)
    if spoiled is None:
        return
    loss, behind, samples, before = spoiled
    iteration = run.iteration - behind
    message = f"the training loss is {loss} at iteration {iteration}, {_samples(samples)}"
    if before and norm is None and _bad_weights(run):  # a step with such gradients shows in the next loss
        message += f", or the step of iteration {iteration - 1}, {_samples(before)}, spoiled the weights"
    raise _error(run, message, iteration, loss, samples, before)


def refuse_weights(run: "Runner") -> None:
    """A checkpoint of weights that are not finite would push out those that a resume can use.

    Raises:
        PegboardError: some are not. The step before has spoiled them, for its loss was finite.
    """
    if not (bad := _bad_weights(run)):
        return
    samples = run.figures.last_samples
    whose = f", {_samples(samples)}" if samples else ""
    message = f"the weights are not finite after iteration {run.iteration}{whose}, though its loss was ({_some(bad)})"
    raise _error(run, message, run.iteration, None, samples, [])


def look(run: "Runner") -> None:
    """Read what was not read yet, and look at the weights: nothing comes of a validation of spoiled ones.

    Raises:
        PegboardError: something is not finite.
    """
    run.figures.read()
    stop(run)
    refuse_weights(run)


def _before_the_step(run: "Runner", samples: list[int], loss: float) -> PegboardError:
    """Of an iteration that has not changed the weights."""
    iteration, before = run.iteration + 1, run.figures.last_samples
    if math.isfinite(loss):
        message = f"the gradients are not finite at iteration {iteration}, {_samples(samples)}; its step was not taken"
        return _error(run, message, iteration, loss, samples, before)
    message = f"the training loss is {loss} at iteration {iteration}, {_samples(samples)}"
    bad = _bad_weights(run)
    if bad and before:
        message = (
            f"the step of iteration {iteration - 1}, {_samples(before)}, spoiled the weights ({_some(bad)}): {message}"
        )
    else:
        message += f"; the weights were not finite before it ({_some(bad)})" if bad else "; its step was not taken"
    return _error(run, message, iteration, loss, samples, before)


def _error(
    run: "Runner", message: str, iteration: int, loss: float | None, samples: list[int], before: list[int]
) -> PegboardError:
    """The message with the gradients as they are, and where the state is; it is saved here."""
    norms = gradient_norms(run)
    contents = {
        "iteration": iteration, "loss": loss, "samples": samples, "samples_before": before, "gradient_norms": norms,
    }  # fmt: skip
    last = max(iteration, run.iteration)
    whose = f" of iteration {last}" if last != iteration else ""
    return PegboardError(
        f"{message}; gradient norms{whose}: {_largest(norms)}. {_save(run, contents)}"
        "Lower the learning rate or set clip_grad; non_finite=dict(policy='skip') leaves such steps out"
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


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


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
    before = "; --resume goes on from the checkpoint before" if run.checkpoints.listed() else ""
    return f"The state is in {path}{before}. "
