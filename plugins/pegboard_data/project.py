"""A starter project for somebody's own images: how they are split, what they measure, and the config that follows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from string import Template

import numpy as np
from PIL.Image import Resampling

from pegboard.errors import DataError
from pegboard_data.images import opened, read_image
from pegboard_data.sources import Part, read_source
from pegboard_data.splits import Samples, holdout
from pegboard_data.statistics import Tally

TEMPLATE = Path(__file__).parent / "templates" / "config.py.template"
RATIO = (0.7, 0.15, 0.15)
SECOND = 0.15  # share of the training images that becomes a part which is missing
SIDES = (32, 64, 128)  # pixels: what a small network trains on in minutes
LOOKED_AT = 200  # images whose size is read
MEASURED = 2000  # images whose mean and deviation are taken

Listed = dict[str, list[tuple[Path, int]]]  # part -> (file, class number)


@dataclass
class Project:
    """All that is written, nothing of it yet.

    Args:
        name: of the runs.
        parts: train, valid and test.
        side: pixels that every image is resized to, height and width.
        measured: of which images mean and std are.
        mean, std: of the red, green and blue of the training images, resized, in 0..1.
        note: how the parts came about.
    """

    name: str
    classes: list[str]
    parts: Listed
    side: int
    measured: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    note: str

    def config(self) -> str:
        """The text of the config."""
        return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
            name=self.name,
            side=self.side,
            padding=self.side // 8,
            measured=self.measured,
            mean=self.mean,
            std=self.std,
            batch_size=batch_size(len(self.parts["train"])),
        )


def plan(source: str, name: str, seed: int, stratify: bool) -> Project:
    """Look at the images, and decide.

    Args:
        source: a folder of class folders, or one that holds train/ and test/ of them.
        seed: what the split, and the images that are measured, are drawn from.
        stratify: keep the share of every class in every part.

    Raises:
        DataError: there is no image, or an image cannot be read, or a class is too small to be split.
    """
    found = read_source(source)
    parts, note = _parts(found, seed, stratify)
    train = [path for path, _ in parts["train"]]
    side = best_side(train)
    mean, std, count = measure(train, side, seed)
    measured = f"{'the' if count == len(train) else f'{count:,} of the'} {len(train):,} training images"
    return Project(name, found[0].classes, parts, side, measured, mean, std, note)


def batch_size(count: int) -> int:
    """64; less where there are few images, so that an epoch has about ten steps; at least 4."""
    return max(4, min(64, 1 << (count // 10).bit_length() >> 1))


def best_side(paths: Sequence[Path]) -> int:
    """The largest of 32, 64 and 128 pixels to which the middle one of the images need hardly be enlarged."""
    shorter = []
    for path in paths[:: max(1, len(paths) // LOOKED_AT)]:
        with opened(path) as image:
            shorter.append(min(image.size))
    return max([side for side in SIDES if side <= 1.25 * median(shorter)], default=SIDES[0])


def measure(paths: Sequence[Path], side: int, seed: int) -> tuple[tuple[float, ...], tuple[float, ...], int]:
    """Mean and standard deviation of the images resized, and of how many; a deviation of 0 counts as 1."""
    chosen: Sequence[int] = range(len(paths))
    if len(paths) > MEASURED:
        chosen = np.random.default_rng(seed).choice(len(paths), MEASURED, replace=False).tolist()
    tally = Tally()
    for index in chosen:
        tally.add(read_image(paths[index]).resize((side, side), Resampling.BILINEAR))
    mean = tuple(round(value, 4) for value in tally.mean())
    std = tuple(round(value, 4) or 1.0 for value in tally.std())
    return mean, std, len(chosen)


def _parts(found: list[Part], seed: int, stratify: bool) -> tuple[Listed, str]:
    """The three parts: those that are there stay, one that is missing is cut from the training images."""
    if len(found) == 1:
        cut = _cut(found[0], RATIO, ("train", "valid", "test"), seed, stratify)
        return cut, "70 % to train, 15 % to validate, 15 % to test, drawn by the seed"
    by_name = {"valid" if part.name == "val" else part.name: part for part in found}
    if "train" not in by_name:
        raise DataError(f"{found[0].place.parent} has the parts {', '.join(by_name)}, and no train among them")
    listed = {name: _listed(part, range(len(part.listed))) for name, part in by_name.items()}
    note = "the parts as they are"
    for missing in ("valid", "test"):
        if missing not in listed:
            cut = _cut(by_name["train"], (1 - SECOND, SECOND), ("train", missing), seed, stratify)
            listed |= cut
            note = f"the parts as they are, but for {missing}: {SECOND:.0%} of train, drawn by the seed"
    return {name: listed[name] for name in ("train", "valid", "test")}, note


def _cut(part: Part, ratio: Sequence[float], names: Sequence[str], seed: int, stratify: bool) -> Listed:
    samples = Samples(part.targets, part.classes, None, stratify, str(part.place))
    cut = holdout(samples, ratio, seed)
    return {name: _listed(part, indices.tolist()) for name, indices in zip(names, cut.values(), strict=True)}


def _listed(part: Part, indices: Sequence[int]) -> list[tuple[Path, int]]:
    return [(part.path(index), int(part.targets[index])) for index in indices]
