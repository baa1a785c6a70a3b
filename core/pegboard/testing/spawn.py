"""A part is the same in a process that is started afresh, as the worker engine and distributed training do."""

import pickle
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from itertools import product
from multiprocessing import get_context
from multiprocessing.util import Finalize
from typing import Any

import numpy as np
from torch import Tensor, nn

from pegboard import Transform
from pegboard.plugins import PluginFiles
from pegboard.testing.contract import ContractError, Part, expect
from pegboard.testing.tiny import same


def survives(part: Part) -> None:
    """It can be pickled, and does there what it does here."""
    built = part.build()
    try:
        sent = pickle.dumps((PluginFiles(), built))
    except Exception as error:  # whatever its own __reduce__ raises
        advice = "define what it holds at the top level of a module: no lambda, no open file"
        raise ContractError(f"{part.name} cannot be sent to another process: {error}; {advice}") from error
    try:
        there = pickle.loads(_other_process().submit(_portrait_of, sent).result())
    except BrokenProcessPool:
        _other_process.cache_clear()
        raise ContractError(
            f"{part.name} ended the process that it was sent to; or the script "
            "that tries it lacks `if __name__ == '__main__':`"
        ) from None
    except Exception as error:  # what the other process raised
        raise ContractError(f"{part.name} does not work in another process: {error}") from error
    here = portrait(built)
    where = _differing(here, there)
    expect(same(here, there), f"{part.name} is another one in a process that is started afresh{where}")


def _differing(here: Any, there: Any) -> str:
    """What is not the same of two portraits, where they have parts that can be named."""
    if isinstance(here, Mapping) and isinstance(there, Mapping):
        names = [name for name in sorted({*here, *there}) if not same(here.get(name), there.get(name))]
        return f": {', '.join(names)}"
    if isinstance(here, tuple) and isinstance(there, tuple) and len(here) == len(there) == 2:
        names = [name for name, *pair in zip(("image", "target"), here, there, strict=True) if not same(*pair)]
        return f": the {' and the '.join(names)}"
    return ""


@cache
def _other_process() -> ProcessPoolExecutor:
    """One process for all parts: starting one imports torch, which takes seconds."""
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    # where this process is itself one of multiprocessing's, it would wait for the other before that is told to end
    Finalize(None, pool.shutdown, exitpriority=100)
    return pool


def _portrait_of(sent: bytes) -> bytes:
    _, built = pickle.loads(sent)
    return pickle.dumps(portrait(built))  # bytes: tensors would be shared with this process, which may be gone


def portrait(built: Any) -> Any:
    """What can be compared of a part: samples, transformed images, or its state."""
    if isinstance(built, Transform):
        return _transformed(built)
    if hasattr(built, "__getitem__") and hasattr(built, "__len__") and not isinstance(built, nn.Module):
        image, target = built[len(built) - 1]
        return (image if isinstance(image, Tensor) else np.asarray(image).tolist(), target)
    if hasattr(built, "state_dict"):
        return _data(built.state_dict())
    return _data(vars(built)) if hasattr(built, "__dict__") else repr(built)


def _transformed(transform: Transform) -> Any:
    import torch

    from pegboard.data.transform import Pipeline
    from pegboard.testing.transforms import EPOCH, INDEX, WIDTHS, samples

    for width, kind, masks in product(WIDTHS, (torch.uint8, torch.float32), (False, True)):
        try:
            return Pipeline([transform], seed=1)(*samples(kind, masks, width), INDEX, EPOCH, np.arange(len(INDEX)))
        except Exception as error:  # noqa: BLE001  # it need take one of the kinds only
            refused = error
    return repr(refused)


def _data(value: Any) -> Any:
    """What is no data is told by its type alone: its address says nothing."""
    if isinstance(value, Mapping):
        return {str(key): _data(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_data(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float | str | Tensor):
        return value
    return type(value).__name__
