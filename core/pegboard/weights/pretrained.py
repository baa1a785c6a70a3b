"""Somebody's weights for a model of ours: matched by name and shape, and never loaded silently in part."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from pegboard import checkpoint
from pegboard.errors import CheckpointError
from pegboard.weights.names import matches, some

WRAPPERS = ("module.", "_orig_mod.")  # of DistributedDataParallel and torch.compile
HOLDERS = ("model", "state_dict", "model_state_dict", "model_state", "net", "weights")  # keys that others save under


@dataclass
class Fit:
    """How the tensors of a file fit a model; names are the model's, after prefixes and ``rename``.

    Args:
        loaded: of the model's name and shape.
        missing: the model's, not in the file.
        unexpected: the file's, not in the model.
        mismatched: in both, with (the file's shape, the model's shape).
        skipped: the model's that ``skip`` names.
    """

    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Tensors loaded, of those of the model that were wanted."""
        wanted = len(self.loaded) + len(self.missing) + len(self.mismatched)
        return len(self.loaded) / wanted if wanted else 0.0

    def table(self) -> list[str]:
        """One line a kind; those that did not fit by name."""
        wanted = len(self.loaded) + len(self.missing) + len(self.mismatched)
        lines = [f"loaded      {len(self.loaded)} of {wanted} tensors"]
        if self.missing:
            lines.append(f"missing     {some(self.missing)}: not in the file, they stay fresh")
        if self.mismatched:
            shapes = [f"{name} {theirs}, the model's {own}" for name, (theirs, own) in self.mismatched.items()]
            lines.append(f"mismatched  {some(shapes)}: of another shape, they stay fresh")
        if self.unexpected:
            lines.append(f"unexpected  {some(self.unexpected)}: not in the model, they are left out")
        if self.skipped:
            lines.append(f"skipped     {some(self.skipped)}: as the config asks, they stay fresh")
        return lines


def load_pretrained(
    model: nn.Module,
    path: str,
    rename: Mapping[str, str] | None = None,
    skip: Sequence[str] = (),
    min_match: float = 0.5,
) -> Fit:
    """Fill a model from a file as far as names and shapes agree.

    Args:
        path: a torch file (only tensors and plain values are read), a .safetensors file, a checkpoint, or a run folder.
        rename: regular expression -> replacement, applied in order to each name of the file.
        skip: patterns over the model's names that stay fresh.
        min_match: smallest share of the model's tensors, those skipped left out, that must be loaded.

    Raises:
        CheckpointError: the file cannot be read safely, or fits too little of the model.
    """
    weights = rename_all(read_weights(Path(path)), rename or {})
    own = model.state_dict()
    fit = Fit(skipped=[name for name in own if any(matches(pattern, name) for pattern in skip)])
    if unused := [pattern for pattern in skip if not any(matches(pattern, name) for name in own)]:
        raise CheckpointError(f"pretrained: skip {unused[0]!r} matches nothing in the model")
    for name, tensor in own.items():
        if name in fit.skipped:
            continue
        if name not in weights:
            fit.missing.append(name)
        elif weights[name].shape != tensor.shape:
            fit.mismatched[name] = (tuple(weights[name].shape), tuple(tensor.shape))
        else:
            fit.loaded.append(name)
    fit.unexpected = [name for name in weights if name not in own]
    if fit.share < min_match or not fit.loaded:
        raise CheckpointError(
            f"{path} fits {fit.share:.0%} of the model, less than min_match={min_match:g}{_rename_hint(fit)}",
            *(f"  {line}" for line in fit.table()),
        )
    model.load_state_dict({name: weights[name] for name in fit.loaded}, strict=False)
    return fit


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, whatever they were wrapped in.

    Raises:
        CheckpointError: there is none, or reading it would run code.
    """
    if path.is_dir():
        from pegboard.recorded import find_run

        path = checkpoint.Checkpoints(find_run(path) / "checkpoints").newest()[0]
    loaded = _safetensors(path) if path.suffix == ".safetensors" else checkpoint.load(path)
    for holder in HOLDERS:
        inner = loaded.get(holder)
        if isinstance(inner, Mapping) and any(isinstance(value, Tensor) for value in inner.values()):
            loaded = dict(inner)
            break
    weights = {_unwrapped(str(name)): value for name, value in loaded.items() if isinstance(value, Tensor)}
    if not weights:
        raise CheckpointError(f"{path} holds no tensors by name, but {', '.join(map(str, loaded)) or 'nothing'}")
    return weights


def rename_all(weights: Mapping[str, Tensor], rename: Mapping[str, str]) -> dict[str, Tensor]:
    """The same tensors under their new names.

    Raises:
        CheckpointError: two of them would get one name, or an expression changes none.
    """
    renamed: dict[str, Tensor] = {}
    used: set[str] = set()
    for old, tensor in weights.items():
        name = old
        for expression, replacement in rename.items():
            after = re.sub(expression, replacement, name)
            if after != name:
                used.add(expression)
            name = after
        if name in renamed:
            raise CheckpointError(f"pretrained.rename gives two tensors the name {name!r}, {old!r} among them")
        renamed[name] = tensor
    for expression in rename:
        if expression not in used:
            raise CheckpointError(
                f"pretrained.rename: {expression!r} changes no name of the file; they are {some(list(weights))}"
            )
    return renamed


def _safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise CheckpointError(f"there is no file {path}")
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise CheckpointError(f"{path} cannot be read as safetensors: {error}") from error


def _unwrapped(name: str) -> str:
    for wrapper in WRAPPERS:
        name = name.replace(f".{wrapper}", ".")
    while name.startswith(WRAPPERS):
        name = name.partition(".")[2]
    return name


def _rename_hint(fit: Fit) -> str:
    """What to write where the file's names are the model's with something before them, or the other way round."""
    for name in fit.missing:
        for theirs in fit.unexpected:
            if theirs.endswith(f".{name}"):
                prefix = theirs.removesuffix(name)
                return f"; its names begin with {prefix!r}: try rename={{{'^' + re.escape(prefix)!r}: ''}}"
            if name.endswith(f".{theirs}"):
                prefix = name.removesuffix(theirs)
                return f"; the model's names begin with {prefix!r}: try rename={{'^': {prefix!r}}}"
    return ""
