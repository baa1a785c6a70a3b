"""Models put together by a config: layers one after the other, and blocks repeated."""

from collections.abc import Callable, Mapping, Sequence

from torch import nn

from pegboard import PegboardError


class Sequential(nn.Sequential):
    """Layers one after the other: ``layers=[dict(type="Conv2d", ...), dict(type="ReLU")]``, or a dict by name.

    Any layer of torch.nn, another ``Sequential``, a ``Repeat`` or any other model may stand among them. Where a number
    of classes is wanted, write ``out_features="num_classes"`` (or ``out_channels``): the run fills in that of the data.

    Args:
        layers: a list, whose names in a state dict are ``0.weight``, ``1.weight``, ...; or a dict, whose names are its
            keys. None takes out a layer of a base config.

    Shapes: what the first layer takes -> what the last one gives.
    Raises:
        PegboardError: there is no layer, or one has a name that a module cannot have.
    """

    def __init__(self, layers: Sequence[nn.Module | None] | Mapping[str, nn.Module | None]) -> None:
        super().__init__()
        named = layers if isinstance(layers, Mapping) else {str(place): layer for place, layer in enumerate(layers)}
        for name, layer in named.items():
            if layer is None:
                continue
            try:
                self.add_module(name, layer)
            except KeyError as error:  # a dot in it, or a method's name
                raise PegboardError(f"Sequential: no layer can be called {name!r}: {error.args[0]}") from error
        if not len(self):
            raise PegboardError("Sequential: needs at least one layer")


class Repeat(nn.Sequential):
    """The same block ``times`` times, one after the other, each with weights of its own.

    Its names in a state dict are ``0.``, ``1.``, ... before those of the block.

    Args:
        block: a layer or model whose output fits its own input.
        times: how many, at least 1.

    Shapes: what the block takes -> the same.
    Raises:
        PegboardError: ``times`` is below 1.
    """

    def __init__(self, block: Callable[[], nn.Module], times: int) -> None:
        if times < 1:
            raise PegboardError(f"Repeat: times must be at least 1, got {times}")
        super().__init__(*(block() for _ in range(times)))
