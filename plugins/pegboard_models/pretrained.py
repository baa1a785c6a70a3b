"""How models of torchvision and timm are built: with somebody's weights, a head for as many classes as asked for."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from torch import nn

from pegboard import PegboardError
from pegboard.errors import did_you_mean

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

logger = logging.getLogger("pegboard")


def torchvision_model(factory: Callable[..., nn.Module], arguments: dict[str, Any], supply: Mapping[str, Any]) -> Any:
    """A model of torchvision.

    With ``weights`` it is built for the classes of those; where others are wanted, a fresh head takes the place of
    theirs, and the log says so. Where a state is about to be loaded, the weights are not fetched.

    Raises:
        PegboardError: there are no such weights, or they cannot be fetched.
    """
    if arguments.get("weights") is None:
        return factory(**arguments)
    weights = find_weights(factory, arguments["weights"], bool(arguments.get("quantize")))
    theirs = len(weights.meta["categories"])
    wanted = arguments.get("num_classes", theirs)
    arguments = {**arguments, "weights": weights, "num_classes": theirs}
    if supply.get("fresh", True):
        model = _fetched(factory, arguments, weights)
        logger.info("weights from %s", weights.url)
    else:
        with nothing_fetched(weights):
            model = factory(**arguments)
    if wanted != theirs:
        replaced = replace_head(model, theirs, wanted)
        names = " and ".join(replaced)
        logger.info("%s: weights %s are for %d classes; %s is fresh, for %d", factory.__name__, weights.name, theirs,
                    names, wanted)  # fmt: skip
    return model


def find_weights(model: Callable[..., nn.Module], wanted: Any, quantize: bool = False) -> "WeightsEnum":
    """The weights of a model by their name, e.g. ``"DEFAULT"`` or ``"IMAGENET1K_V1"``.

    Args:
        quantize: a model that can be is to be quantized, and so are its weights; otherwise they are in floats.

    Raises:
        PegboardError: it has no such weights.
    """
    from torchvision.models import WeightsEnum, get_model_weights

    known = get_model_weights(model)
    if not quantize and (in_floats := next(iter(known)).meta.get("unquantized")) is not None:
        known = type(in_floats)
    if isinstance(wanted, WeightsEnum):
        return wanted
    name = str(wanted).removeprefix(f"{known.__name__}.")
    if name not in known.__members__:
        there_are = f"; there are {', '.join(known.__members__) or 'none'}"
        raise PegboardError(
            f"{model.__name__} has no weights {wanted!r}" + did_you_mean(name, known.__members__, otherwise=there_are)
        )
    found: WeightsEnum = known[name]
    return found


def _fetched(factory: Callable[..., nn.Module], arguments: dict[str, Any], weights: "WeightsEnum") -> nn.Module:
    from torch.hub import get_dir

    try:
        return factory(**arguments)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:  # no network, another checksum, damaged bytes
        file = Path(get_dir(), "checkpoints", weights.url.rpartition("/")[2])
        about, reason = f"{factory.__name__}: weights {weights.name}", shorten(str(error), 200)
        if file.is_file():
            raise PegboardError(f"{about} cannot be loaded: {reason}; if {file} is damaged, remove it") from error
        message = f"{about} cannot be fetched from {weights.url}: {reason}; a copy of it at {file} does as well"
        raise PegboardError(message) from error


@contextmanager
def nothing_fetched(weights: "WeightsEnum") -> Iterator[None]:
    """While it is open, torchvision builds a model as these weights ask for, but neither fetches nor loads them.

    To leave ``weights`` out would not do: some models differ with them in shape (ViT's image size) or in what they do
    (Inception's input scaling). torchvision offers no other place between building and loading: these weights give a
    mark instead of tensors, and whoever loads the mark loads nothing. Every other load is what it always is.
    """
    mark: dict[str, Any] = {}
    load = nn.Module.load_state_dict

    def load_all_but_the_mark(model: nn.Module, state_dict: Mapping[str, Any], *more: Any, **options: Any) -> Any:
        return None if state_dict is mark else load(model, state_dict, *more, **options)

    try:
        weights.get_state_dict = lambda *_, **__: mark  # of this member alone
        nn.Module.load_state_dict = load_all_but_the_mark  # type: ignore[assignment, method-assign]
        yield
    finally:
        nn.Module.load_state_dict = load  # type: ignore[method-assign]
        del weights.get_state_dict


def replace_head(model: nn.Module, theirs: int, wanted: int) -> list[str]:
    """Put fresh layers with ``wanted`` outputs in the place of those that give a model's ``theirs`` classes.

    That is its last Linear or Conv2d, and the last of each auxiliary classifier (GoogLeNet, Inception).

    Returns:
        the names of what was replaced.
    Raises:
        PegboardError: its last layer does not give as many outputs.
    """
    last: dict[str, str] = {}  # "" for the model, else an auxiliary classifier -> name of its last layer
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            top = name.split(".")[0]
            last[top if top.lower().startswith("aux") else ""] = name
    for name in last.values():
        old = model.get_submodule(name)
        has = old.out_features if isinstance(old, nn.Linear) else getattr(old, "out_channels", 0)
        if has != theirs:
            raise PegboardError(
                f"{type(model).__name__}: its last layer {name!r} has {has} outputs, its weights {theirs} classes; "
                f"its head cannot be replaced, so give num_classes={theirs}"
            )
        parent, _, own_name = name.rpartition(".")
        setattr(model.get_submodule(parent), own_name, _fresh(old, wanted))
    if getattr(model, "num_classes", None) == theirs:
        setattr(model, "num_classes", wanted)  # noqa: B010  # torch's stubs take attributes of a module for tensors
    return list(last.values())


def _fresh(old: nn.Module, outputs: int) -> nn.Module:
    """A layer like ``old``, with torch's own initial weights."""
    bias = old.bias is not None
    if isinstance(old, nn.Conv2d):
        padding: Any = old.padding
        return nn.Conv2d(
            old.in_channels, outputs, old.kernel_size, old.stride, padding, old.dilation, old.groups, bias  # type: ignore[arg-type]
        )  # fmt: skip
    if isinstance(old, nn.Linear):
        return nn.Linear(old.in_features, outputs, bias)
    raise TypeError(f"no head: {type(old).__name__}")


def timm_model(factory: Callable[..., nn.Module], arguments: dict[str, Any], supply: Mapping[str, Any]) -> Any:
    """A model of timm, which replaces a head itself.

    ``num_classes`` is the data's unless given: timm's functions take it behind ``**kwargs``, where nobody can see it.
    ``pretrained=True`` fetches nothing where a state is about to be loaded.

    Raises:
        PegboardError: an argument that the model does not take, or weights that cannot be fetched.
    """
    if "num_classes" in supply:
        arguments = {"num_classes": supply["num_classes"], **arguments}
    if not supply.get("fresh", True):
        arguments = {**arguments, "pretrained": False}
    try:
        return factory(**arguments)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise PegboardError(f"timm's {factory.__name__}: {error}") from error
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:  # no network, no hub package, damaged bytes
        if not arguments.get("pretrained"):
            raise
        about = f"timm's {factory.__name__}: its pretrained weights cannot be"
        reason = shorten(str(error) or type(error).__name__, 200)
        if file := (arguments.get("pretrained_cfg_overlay") or {}).get("file"):
            raise PegboardError(f"{about} loaded from {file}: {reason}") from error
        raise PegboardError(
            f"{about} fetched: {reason}; a file of them does as well: pretrained_cfg_overlay=dict(file=PATH); "
            "pretrained=False starts from fresh ones"
        ) from error
