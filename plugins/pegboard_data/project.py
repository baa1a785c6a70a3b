"""A starter project for somebody's own images: how they are split, what they measure, and the config that follows."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import compress
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
        left_out: what is wrong with each image that cannot be read.
    """

    name: str
    classes: list[str]
    parts: Listed
    side: int
    measured: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    note: str
    left_out: list[str]

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
        DataError: there is no image or a single class, or none of a class can be read, or there are too few to be
            split.
    """
    found, left_out = [], []
    for part in read_source(source):
        kept, problems = readable(part)
        found.append(kept)
        left_out += problems
    if len(found[0].classes) < 2:
        raise DataError(
            f"{source} has one class, {found[0].classes[0]!r}, and there is nothing to tell it from; expected a folder "
            "for each of at least two classes"
        )
    parts, note = _parts(found, seed, stratify)
    train = [path for path, _ in parts["train"]]
    side = best_side(train)
    mean, std, count = measure(train, side, seed)
    measured = f"{'the' if count == len(train) else f'{count:,} of the'} {len(train):,} training images"
    return Project(name, found[0].classes, parts, side, measured, mean, std, note, left_out)


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


def readable(part: Part) -> tuple[Part, list[str]]:
    """The part without the images that cannot be read, and what is wrong with each of those.

    Raises:
        DataError: of a class none can be read.
    """
    with ThreadPoolExecutor() as pool:  # decoding leaves other threads alone
        problems = list(pool.map(_problem, map(part.path, range(len(part.listed)))))
    good = np.array([not problem for problem in problems], dtype=bool)
    kept = replace(part, listed=list(compress(part.listed, good)), targets=part.targets[good])
    for number in np.setdiff1d(part.targets, kept.targets).tolist():
        raise DataError(
            f"no image of class {part.classes[number]!r} in {part.place} can be read; `pegboard verify` says why"
        )
    return kept, [problem for problem in problems if problem]


def _problem(path: Path) -> str:
    try:
        read_image(path)
    except DataError as error:
        return str(error)
    return ""


def _parts(found: list[Part], seed: int, stratify: bool) -> tuple[Listed, str]:
    """The three parts: those that are there stay, one that is missing is cut from the training images."""
    if len(found) == 1:
        cut, rare = _cut(found[0], RATIO, ("train", "valid", "test"), seed, stratify)
        return cut, f"70 % to train, 15 % to validate, 15 % to test, drawn by the seed{rare}"
    by_name = {"valid" if part.name == "val" else part.name: part for part in found}
    if "train" not in by_name:
        raise DataError(f"{found[0].place.parent} has the parts {', '.join(by_name)}, and no train among them")
    listed = {name: _listed(part, range(len(part.listed))) for name, part in by_name.items()}
    note = "the parts as they are"
    for missing in ("valid", "test"):
        if missing not in listed:
            cut, rare = _cut(by_name["train"], (1 - SECOND, SECOND), ("train", missing), seed, stratify)
            listed |= cut
            note = f"the parts as they are, but for {missing}: {SECOND:.0%} of train, drawn by the seed{rare}"
    return {name: listed[name] for name in ("train", "valid", "test")}, note


def _cut(part: Part, ratio: Sequence[float], names: Sequence[str], seed: int, stratify: bool) -> tuple[Listed, str]:
    """Shares of every class; a class too small for that is said, and one image of it goes to each part while it lasts.

    Raises:
        DataError: a part would be empty.
    """
    counts = np.bincount(part.targets, minlength=len(part.classes))
    rare = np.flatnonzero((counts > 0) & (counts * min(ratio) < 1)) if stratify else np.array([], dtype=int)
    common = np.flatnonzero(~np.isin(part.targets, rare))
    chosen: dict[str, list[int]] = {name: [] for name in names}
    if len(common):
        samples = Samples(part.targets[common], part.classes, None, stratify, str(part.place))
        for name, indices in zip(names, holdout(samples, ratio, seed).values(), strict=True):
            chosen[name] += common[indices].tolist()
    for number in rare.tolist():
        order = np.random.default_rng((seed, number)).permutation(np.flatnonzero(part.targets == number)).tolist()
        for name in names[1:]:
            chosen[name] += [order.pop()] if len(order) > 1 else []
        chosen[names[0]] += order
    for name, members in chosen.items():
        if not members:
            raise DataError(
                f"{part.place}: the {name} part would be empty; expected a class with at least {len(names)} images"
            )
    listed = {name: _listed(part, sorted(members)) for name, members in chosen.items()}
    small = ", ".join(f"{part.classes[number]!r} ({counts[number]})" for number in rare.tolist())
    return listed, f";\ntoo few images to be shared out so, one to each part while they last: {small}" if small else ""


def _listed(part: Part, indices: Sequence[int]) -> list[tuple[Path, int]]:
    return [(part.path(index), int(part.targets[index])) for index in indices]
