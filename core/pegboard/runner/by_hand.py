"""A model that steps its optimizers itself, such as the two networks of a GAN.

Its ``training_step(batch, criterion, optimizers)`` takes a third argument: the optimizers, under their names in the
config. It computes the gradients and calls ``zero_grad`` and ``step`` of each as it likes.
"""

import inspect
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn

from pegboard.config.combinations import steps_by_hand
from pegboard.errors import ConfigError, PegboardError, did_you_mean
from pegboard.runner.optimizers import Optimizers

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from pegboard.runner.loop import Runner


class ByHand(Mapping[str, "Optimizer"]):
    """The optimizers that such a model is given, by name; it knows whether one of them has stepped.

    Args:
        optimizer: that of the run, which schedulers and checkpoints see: it, or its members, are stepped.
        stepped: one has, in the run that this one goes on with.
    """

    def __init__(self, optimizer: "Optimizer", stepped: bool = False) -> None:
        self.optimizers = named(optimizer)
        self.stepped = stepped
        optimizer._opt_called = True  # type: ignore[attr-defined]  # torch's schedulers would warn of a step they miss

        def after_step(*_: Any) -> None:
            self.stepped = True

        for member in self.optimizers.values():
            member.register_step_post_hook(after_step)

    def __getitem__(self, name: str) -> "Optimizer":
        if name not in self.optimizers:
            known, hint = ", ".join(map(repr, self.optimizers)), did_you_mean(name, self.optimizers)
            raise PegboardError(f"training_step asks for the optimizer {name!r}; the config has {known}{hint}")
        return self.optimizers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.optimizers)

    def __len__(self) -> int:
        return len(self.optimizers)

    def refuse_standstill(self) -> None:
        """End here if no optimizer has stepped in a whole epoch.

        Raises:
            PegboardError: none has; the model would be trained for nothing.
        """
        if not self.stepped:
            known = " and ".join(f"optimizers[{name!r}].step()" for name in self.optimizers)
            raise PegboardError(f"training_step takes the optimizers and stepped none in an epoch; expected {known}")


def named(optimizer: "Optimizer") -> dict[str, "Optimizer"]:
    """The optimizers of a run by their names in the config; a single one is called ``"optimizer"``."""
    return dict(optimizer.members) if isinstance(optimizer, Optimizers) else {"optimizer": optimizer}


def take_over(run: "Runner") -> ByHand | None:
    """Let the model step the optimizers of a run, if its ``training_step`` takes them.

    Raises:
        ConfigError: the config asks for something that only the run's own step can do.
    """
    if not takes_optimizers(run.model):
        return None
    if problems := list(steps_by_hand(run.config, run.builder.values)):
        raise ConfigError(problems)
    if run.ranks.several:
        message = "its training_step steps the optimizers itself, so nothing joins the gradients of several processes"
        raise ConfigError([run.config.problem("model", f"{message}; run it in one")])
    optimizers = ByHand(run.optimizer, stepped=run.resume is not None)
    step: Any = run.model.training_step
    run.step.training_step = partial(step, optimizers=optimizers)
    return optimizers


def takes_optimizers(model: nn.Module) -> bool:
    """Has it a ``training_step`` with an argument of that name?"""
    step = getattr(model, "training_step", None)
    return step is not None and "optimizers" in inspect.signature(step).parameters
