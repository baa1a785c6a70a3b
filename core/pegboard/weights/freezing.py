"""Which tensors of a model stand still while the others are trained."""

from collections.abc import Sequence
from types import MethodType

from torch import nn

from pegboard.weights.names import select


class Freezing:
    """Freezes parameters and buffers by name; what is frozen may change between the phases of a run.

    A frozen parameter gets no gradient, so that the optimizer passes it over: neither momentum nor weight decay moves
    it. A module with a frozen buffer, such as BatchNorm, stays in eval mode whoever calls ``train()``.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._own = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}

    def names(self, patterns: Sequence[str]) -> set[str]:
        """Parameters and buffers that the patterns mean.

        Raises:
            ValueError: a pattern means nothing, or they leave nothing to train.
        """
        parameters = dict(self.model.named_parameters(remove_duplicate=False))
        frozen = select(patterns, [*parameters, *dict(self.model.named_buffers(remove_duplicate=False))])
        still = {id(parameters[name]) for name in frozen if name in parameters}
        if frozen and not self._own - still:
            raise ValueError(f"{list(patterns)} leaves no parameter to train")
        return frozen

    def apply(self, patterns: Sequence[str]) -> set[str]:
        """Freeze what the patterns mean, and nothing else; returns its names."""
        frozen = self.names(patterns)
        parameters = dict(self.model.named_parameters(remove_duplicate=False))
        still = {id(parameters[name]) for name in frozen if name in parameters}  # a tied one by any of its names
        for parameter in self.model.parameters():
            parameter.requires_grad_(id(parameter) in self._own - still)
            if not parameter.requires_grad:
                parameter.grad = None
        for name, module in self.model.named_modules():
            prefix = f"{name}." if name else ""
            hold = any(f"{prefix}{buffer}" in frozen for buffer, _ in module.named_buffers(recurse=False))
            if hold:
                module.train = MethodType(_stay_in_eval, module)
                module.eval()
            elif "train" in vars(module):
                del module.train
                module.train(self.model.training)
        return frozen


def _stay_in_eval(module: nn.Module, mode: bool = True) -> nn.Module:
    return nn.Module.train(module, False)
