"""What a part of any kind promises: it is documented, checked and built as its signature says."""

import inspect
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pegboard import Config, ConfigError, Problem
from pegboard.config import check
from pegboard.testing.contract import ContractError, Part, expect
from pegboard.testing.tiny import on_the_boards, values

SURPLUS = "surplus_argument"
WITH_SHAPES = ("models", "transforms", "losses")
_SHAPES = re.compile(r"shape|\([BNC], ", re.IGNORECASE)
_WHERE = {
    "datasets": "train.dataset", "samplers": "train.sampler", "transforms": "train.transforms.0", "models": "model",
    "losses": "loss", "optimizers": "optimizer", "schedulers": "scheduler", "hooks": "hooks.part",
    "metrics": "metrics.part", "strategies": "strategy",
}  # fmt: skip


def is_documented(part: Part) -> None:
    """A docstring of its own; where it has Args, all of them; where images go through it, their shapes."""
    factory = part.entry.factory
    own = vars(factory).get("__doc__") if inspect.isclass(factory) else factory.__doc__
    expect(bool(own and own.strip()), f"{part.name} has no docstring of its own; say in a sentence what it is")
    text = inspect.getdoc(factory) or ""
    for name, parameter in inspect.signature(factory).parameters.items():
        variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        said = variadic or "Args:" not in text or re.search(rf"\b{name}\b", text)
        expect(bool(said), f"the docstring of {part.name} has Args, and does not say what {name!r} is")
    if part.board in WITH_SHAPES:
        example = "e.g. 'Shapes: images (B, 3, H, W) float -> logits (B, K).'"
        expect(_SHAPES.search(text) is not None, f"the docstring of {part.name} does not say the shapes; {example}")


def is_sound(part: Part) -> None:
    """``pegboard check`` has nothing against it."""
    problems = _problems(part)
    needed = re.findall(rf"{part.name} needs '(\w+)'", " ".join(problem.message for problem in problems))
    arguments = ", ".join(f'"{name}": ...' for name in [*part.arguments, *needed])
    example = (
        f"\nsay in {part.entry.package} what it can be tried with:\n  @hookimpl\n  def pegboard_examples(folder):\n"
        f'      return {{"{part.board}": {{"{part.name}": {{{arguments}}}}}}}'
    )
    expect(not problems, f"pegboard check: {'; '.join(map(str, problems))}{example if needed else ''}")


def check_refuses_surplus(part: Part) -> None:
    """A typo in a config is found before the run."""
    where = f"{_WHERE[part.board]}.{SURPLUS}"
    found = [p for p in _problems(part, **{SURPLUS: 1}) if p.path == where and f"takes no '{SURPLUS}'" in p.message]
    expect(len(found) == 1, f"pegboard check does not see that {part.name} has no {SURPLUS!r}; name its arguments")


def is_built(part: Part) -> None:
    """From its example, into what its board holds, and without leaving a file."""
    with _empty_folder() as folder:
        built = part.build()
        left = sorted(path.name for path in folder.iterdir())
    expect(not left, f"building {part.name} left {left} in the working directory; write when the run begins")
    _KINDS.get(part.board, _anything)(part.name, built)


def build_refuses_surplus(part: Part) -> None:
    """A typo is an error, and not ignored."""
    try:
        part.build(**{SURPLUS: 1})
    except ConfigError as error:
        named = SURPLUS in str(error) and part.name in str(error)
        expect(named, f"the error for a surplus argument of {part.name} does not name it: {error}")
    else:
        raise ContractError(f"{part.name} swallowed {SURPLUS!r}; name its arguments instead of taking **kwargs")


def _problems(part: Part, **more: Any) -> list[Problem]:
    """What is wrong with a config that is sound but for the part."""
    config = values()
    own: dict[str, Any] = {**part.config, **more}
    if part.board == "schedulers":
        own.setdefault("unit", "epoch")
    if part.board in ("datasets", "samplers", "transforms"):
        key = part.board.removesuffix("s") if part.board != "transforms" else part.board
        config["train"][key] = [own] if part.board == "transforms" else own
        if part.board == "samplers":
            del config["train"]["shuffle"]
    elif part.board in ("hooks", "metrics"):
        config[part.board]["part"] = own
    else:
        config[_WHERE[part.board]] = own
    with on_the_boards():
        return check(Config.from_values(config))


@contextmanager
def _empty_folder() -> Iterator[Path]:
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(here)


# -- what each board holds -------------------------------------------------------------------------------------------


def _dataset(name: str, built: Any) -> None:
    from torch import Tensor

    expect(len(built) > 0, f"{name} is empty; let its example hold a few samples")
    last = len(built) - 1
    sample = built[last]
    expect(isinstance(sample, tuple) and len(sample) == 2, f"{name}[{last}] is no pair (image, target): {sample!r}")
    image, target = sample
    is_image = isinstance(image, Tensor) or hasattr(image, "convert")
    expect(is_image, f"{name}[{last}] gives a {type(image).__name__}; expected a PIL image or a tensor (C, H, W) uint8")
    if hasattr(built, "classes"):
        count = len(built.classes)
        fits = not isinstance(target, int) or 0 <= target < count == getattr(built, "num_classes", count)
        expect(fits, f"{name}[{last}] is of class {target!r}, and there are {count} classes")
    if hasattr(built, "targets"):
        agrees = len(built.targets) == len(built) and built.targets[last] == target
        expect(agrees, f"{name}.targets does not say what {name}[i] gives")
    both = hasattr(built, "mean") == hasattr(built, "std")
    expect(both, f"{name} has one of mean and std; Normalize needs both, or neither")


def _transform(name: str, built: Any) -> None:
    from pegboard import Transform

    expect(isinstance(built, Transform), f"{name} is no pegboard.Transform, but a {type(built).__name__}")


def _model(name: str, built: Any) -> None:
    from torch import nn

    expect(isinstance(built, nn.Module), f"{name} is no torch.nn.Module, but a {type(built).__name__}")


def _loss(name: str, built: Any) -> None:
    expect(callable(built), f"{name} cannot be called as loss(outputs, targets)")


def _optimizer(name: str, built: Any) -> None:
    from torch.optim import Optimizer

    expect(isinstance(built, Optimizer), f"{name} is no torch.optim.Optimizer, but a {type(built).__name__}")


def _scheduler(name: str, built: Any) -> None:
    from torch.optim.lr_scheduler import LRScheduler

    expect(isinstance(built, LRScheduler), f"{name} is no LRScheduler of torch, but a {type(built).__name__}")


def _hook(name: str, built: Any) -> None:
    from pegboard import Hook

    expect(isinstance(built, Hook), f"{name} is no pegboard.Hook, but a {type(built).__name__}")


def _metric(name: str, built: Any) -> None:
    missing = [verb for verb in ("reset", "update", "compute") if not callable(getattr(built, verb, None))]
    expect(not missing, f"{name} has no {' and no '.join(missing)}; a metric has reset(), update(outputs, targets) ...")
    says = hasattr(built, "higher_is_better")
    expect(says, f"{name} does not say which way is better; set higher_is_better = True, False, or None for neither")


def _anything(name: str, built: Any) -> None:
    """A board of no fixed kind."""


def _strategy(name: str, built: Any) -> None:
    from pegboard import Strategy

    expect(isinstance(built, Strategy), f"{name} builds a {type(built).__name__}, which is no pegboard.Strategy")


_KINDS = {
    "datasets": _dataset, "transforms": _transform, "models": _model, "losses": _loss, "optimizers": _optimizer,
    "schedulers": _scheduler, "hooks": _hook, "metrics": _metric, "strategies": _strategy,
}  # fmt: skip
