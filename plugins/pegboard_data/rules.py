"""Orders of transforms that cannot work, or that silently mean something else than they say."""

from collections.abc import Iterator, Mapping
from typing import Any

from pegboard import Config, Problem, address
from pegboard.registry import DATASETS, TRANSFORMS

LOADERS = ("train", "val", "test")
TO_FLOAT = ("ToFloat", "ToTensor")
MIXING = ("MixUp", "CutMix")
# Torchvision's that hold others, and those of them that run theirs one after the other.
HOLDERS = ("Compose", "RandomApply", "RandomChoice", "RandomOrder")
IN_ORDER = ("Compose", "RandomApply")
# What reads a pixel's numbers as amounts of light.
COLOURS = {
    "AugMix", "AutoAugment", "ColorJitter", "Grayscale", "RandAugment", "RandomAdjustSharpness", "RandomAutocontrast",
    "RandomEqualize", "RandomGrayscale", "RandomInvert", "RandomPhotometricDistort", "RandomPosterize",
    "RandomSolarize", "TrivialAugmentWide",
}  # fmt: skip

Step = tuple[str, str, Mapping[str, Any]]  # config path, bare name, the part


def problems(config: Config) -> Iterator[Problem]:
    """What is wrong with the order of transforms in any loader of a config that is otherwise sound."""
    for loader in LOADERS:
        values = config.values.get(loader) or {}
        yield from _held(config, values.get("transforms"), f"{loader}.transforms", None)
        steps = list(_steps(values.get("transforms"), f"{loader}.transforms"))
        yield from _of_bytes(config, values.get("dataset"), steps)
        for i, step in enumerate(steps):
            yield from _problems_of(config, step, steps[:i], steps[i + 1 :])


def _listed(parts: Any, path: str) -> Iterator[Step]:
    """The parts of a list, or the only one."""
    for index, part in enumerate(parts if isinstance(parts, list | tuple) else [parts] if parts else []):
        where = f"{path}.{index}" if isinstance(parts, list | tuple) else path
        yield where, str(part.get("type")).rpartition(":")[2], part


def _held(config: Config, parts: Any, path: str, holder: str | None) -> Iterator[Problem]:
    """A batched transform inside one of torchvision's, which calls what it holds on one image."""
    for where, name, part in _listed(parts, path):
        if holder and TRANSFORMS.find(part["type"]).package == "pegboard_data":
            theirs = f"torchvision:{name}"
            hint = f"; write {theirs!r}" if theirs in TRANSFORMS else f"; put it outside {holder}"
            message = f"{holder} calls this on single images, pegboard's {name} takes batches{hint}"
            yield config.problem(f"{where}.type", message)
        if name in HOLDERS:
            yield from _held(config, part.get("transforms"), f"{where}.transforms", name)


def _steps(parts: Any, path: str) -> Iterator[Step]:
    """Every transform in the order in which it runs."""
    for where, name, part in _listed(parts, path):
        if name in IN_ORDER:
            yield from _steps(part.get("transforms"), f"{where}.transforms")
        else:
            yield where, name, part


def _of_bytes(config: Config, dataset: Any, steps: list[Step]) -> Iterator[Problem]:
    """A Normalize that is given the bytes of a dataset, since there is no ToFloat at all."""
    if any(name in TO_FLOAT for _, name, _ in steps) or not _gives_bytes(dataset):
        return
    for path, name, part in steps:
        if name == "Normalize":
            yield config.problem(path, "Normalize takes float images, and nothing makes them so; put ToFloat before it")
        if TRANSFORMS.find(part["type"]).package != "pegboard_data":
            return  # may make them float


def _gives_bytes(dataset: Any) -> bool:
    """Whether its images are certainly uint8: those of this package, and what is around nothing else."""
    if not isinstance(dataset, Mapping) or DATASETS.find(dataset["type"]).package != "pegboard_data":
        return False
    inner = [*(dataset.get("datasets") or ()), *filter(None, [dataset.get("dataset")])]
    return all(map(_gives_bytes, inner))


def _problems_of(config: Config, step: Step, before: list[Step], after: list[Step]) -> Iterator[Problem]:
    path, name, part = step
    if name == "Lambda" and isinstance(part.get("lambd"), str) and (wrong := address.misfit(part["lambd"])):
        yield config.problem(f"{path}.lambd", wrong)
    earlier, later = [other for _, other, _ in before], [other for _, other, _ in after]
    if name in TO_FLOAT and any(other in TO_FLOAT for other in earlier):
        yield config.problem(path, f"the images are float already, since an earlier step; leave this {name} out")
    float_comes = next((other for other in later if other in TO_FLOAT), None)
    if name == "Normalize" and float_comes and not any(other in TO_FLOAT for other in earlier):
        yield config.problem(path, f"Normalize takes float images; put it after {float_comes}")
    if "Normalize" in earlier and _adds_pixels(name, part):
        fill = part.get("fill", 0)
        yield config.problem(
            path, f"{name} fills its padding with {fill}, which after Normalize is no longer black; put it before"
        )
    if "Normalize" in earlier and name in COLOURS:
        yield config.problem(path, f"{name} reads the pixels as colours, which Normalize has changed; put it before")
    if name in MIXING and (late := next((other for other in later if other not in MIXING), None)):
        yield config.problem(
            path, f"{name} mixes the finished images of a batch; put it at the end of the list, after {late}"
        )


def _adds_pixels(name: str, part: Mapping[str, Any]) -> bool:
    """Whether it puts one colour around the image; mirrored and repeated pixels are normalised like the rest."""
    padding = part.get("padding") or 0
    any_side = any(padding) if isinstance(padding, list | tuple) else padding != 0
    return name in ("RandomCrop", "Pad") and any_side and part.get("padding_mode", "constant") == "constant"
