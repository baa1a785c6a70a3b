"""Saved half way and loaded into a new one, a metric, scheduler or optimizer goes on as if nothing had happened."""

import io
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from pegboard.errors import PegboardError
from pegboard.runner import horizon
from pegboard.runner.figures import as_number
from pegboard.runner.schedule import Schedule
from pegboard.testing.contract import SUPPLY, ContractError, Part, expect
from pegboard.testing.tiny import same

STEPS, HALF = 8, 3


def saved(part: Part, state: Any) -> Any:
    """The state as a checkpoint brings it back."""
    file = io.BytesIO()
    try:
        torch.save(state, file)
        file.seek(0)
        return torch.load(file, weights_only=True)
    except Exception as error:  # pickling or the safe load refuses
        raise ContractError(f"the state of {part.name} holds more than a checkpoint may: {error}") from error


# -- metrics ---------------------------------------------------------------------------------------------------------


def metric(part: Part) -> None:
    """With outputs and targets of each kind; it need take one of them."""
    taken, refused = False, ""
    for outputs, targets in _outputs_and_targets():
        try:
            part.build().update(outputs, targets)
        except Exception as error:  # noqa: BLE001  # one that takes none is told below
            refused = refused or f"{type(error).__name__}: {error}"
            continue
        taken = True
        _metric_goes_on(part, outputs, targets)
    what = "logits (B, K) with classes (B,), the same for pixels (B, H, W), or numbers with numbers, (B,) or (B, K)"
    expect(taken, f"{part.name} takes none of what it is tried with, {what}: {refused}")


def _outputs_and_targets() -> Iterator[tuple[Tensor, Tensor]]:
    """Of a classifier, a segmentation, and a regression of one number and of three."""
    generator = torch.Generator().manual_seed(0)
    for inner in ((), (4, 4)):
        outputs = torch.randn(30, 3, *inner, generator=generator)
        yield outputs, torch.randint(3, (30, *inner), generator=generator)
    for shape in ((30,), (30, 3)):
        yield torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)


def _metric_goes_on(part: Part, outputs: Tensor, targets: Tensor) -> None:
    whole, half, rest = part.build(), part.build(), part.build()
    for built in (whole, half, rest):
        if hasattr(built, "persistent"):  # torchmetrics keeps its state out of state_dict unless told, as the run does
            built.persistent(True)
    whole.update(outputs[:11], targets[:11])
    whole.update(outputs[11:], targets[11:])
    try:
        as_number(whole.compute(), part.name)
    except PegboardError as error:
        raise ContractError(str(error)) from None
    half.update(outputs[:11], targets[:11])
    rest.load_state_dict(saved(part, half.state_dict()))
    rest.update(outputs[11:], targets[11:])
    what = f"{part.name} resumed gives {rest.compute()}, and {whole.compute()} without a stop"
    expect(bool(rest.compute() == whole.compute()), f"{what}; let state_dict() hold all that update() changes")
    at_once = part.build()
    at_once.update(outputs, targets)
    what = f"{part.name} gives {whole.compute()} for two batches, and {at_once.compute()} for the same samples in one"
    near = abs(float(whole.compute()) - float(at_once.compute())) < 1e-5
    expect(near, f"{what}; let update() add up what compute() divides")
    rest.reset()
    rest.update(outputs[:11], targets[:11])
    what = f"{part.name} gives {rest.compute()} after reset(), and a new one {half.compute()}"
    expect(bool(rest.compute() == half.compute()), f"{what}; let reset() forget all samples")


# -- schedulers ------------------------------------------------------------------------------------------------------


def scheduler(part: Part) -> None:
    """The rates of all steps are those of an uninterrupted schedule."""
    whole = _schedule(part)
    rates = [_step(whole, number) for number in range(STEPS)]
    half = _schedule(part)
    first = [_step(half, number) for number in range(HALF)]
    rest = _schedule(part)
    optimizer = rest.scheduler.optimizer
    optimizer.load_state_dict(half.scheduler.optimizer.state_dict())
    rest.load_state_dict(saved(part, half.state_dict()))
    resumed = first + [_step(rest, number) for number in range(HALF, STEPS)]
    advice = "let state_dict() hold all that step() changes"
    expect(rates == resumed, f"{part.name} resumed after {HALF} steps gives {resumed}, and {rates} in one go; {advice}")


def _schedule(part: Part) -> Schedule:
    from pegboard.registry import SCHEDULERS

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9)
    supply = {**SUPPLY, **horizon.supply(STEPS + 1), "max_lr": [0.1]}
    return Schedule(SCHEDULERS.build(part.config, "here", supply, optimizer=optimizer), "iter")


def _step(schedule: Schedule, number: int) -> list[float]:
    schedule.scheduler.optimizer.step()
    if isinstance(schedule.scheduler, ReduceLROnPlateau):
        schedule.scheduler.step(1.0 + number)
    else:
        schedule.scheduler.step()
    return [float(group["lr"]) for group in schedule.scheduler.optimizer.param_groups]


# -- optimizers ------------------------------------------------------------------------------------------------------


def optimizer(part: Part) -> None:
    """The weights after all steps are those of an uninterrupted run."""
    whole, half, rest = part.build(), part.build(), part.build()
    before = _weights(whole).clone()
    for number in range(STEPS):
        _descend(whole, number)
    expect(not torch.equal(before, _weights(whole)), f"{part.name} changes no weight in {STEPS} steps")
    for number in range(HALF):
        _descend(half, number)
    rest.load_state_dict(saved(part, half.state_dict()))
    with torch.no_grad():
        _weights(rest).copy_(_weights(half))
    for number in range(HALF, STEPS):
        _descend(rest, number)
    advice = "keep all that step() needs in self.state[parameter]"
    equal = same(_weights(whole).detach(), _weights(rest).detach())
    expect(equal, f"{part.name} resumed after {HALF} steps ends in other weights than in one go; {advice}")


def _weights(optimizer: torch.optim.Optimizer) -> Tensor:
    weights: Tensor = optimizer.param_groups[0]["params"][0]
    return weights


def _descend(optimizer: torch.optim.Optimizer, number: int) -> None:
    def closure() -> float:
        optimizer.zero_grad()
        loss = (_weights(optimizer) - number).square().sum()
        torch.autograd.backward(loss)
        return loss.item()

    optimizer.step(closure)
