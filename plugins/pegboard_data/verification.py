"""Look at every image of a data set: what cannot be read, what is odd, and what is in two parts."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from pathlib import Path

from PIL import Image

from pegboard.errors import DataError
from pegboard.rgb import to_rgb
from pegboard_data.images import opened
from pegboard_data.sources import Part


@dataclass(frozen=True)
class Look:
    """One image file.

    Args:
        digest: of its size and pixels as 8-bit RGB: equal for files that a network cannot tell apart.
        size: (width, height) in pixels.
        mode: Pillow's name of what a pixel is in the file.
        format: Pillow's name of what the file is, e.g. ``"JPEG"``.
    """

    digest: bytes
    size: tuple[int, int]
    mode: str
    format: str


def look_at(path: Path) -> Look:
    """Decode a file.

    Raises:
        DataError: it is not there, or cannot be read; names the file.
    """
    with opened(path) as image:
        mode, kind = image.mode, image.format or ""
        rgb = to_rgb(image)
    digest = blake2b(repr(rgb.size).encode() + rgb.tobytes(), digest_size=16)
    return Look(digest.digest(), rgb.size, mode, kind)


@dataclass
class Report:
    """What was found.

    Args:
        wrong: what must not be, by kind, a line each: ``"unreadable"`` and ``"in two parts"``.
        notes: what should be known, by kind.
        sizes: how many images have each (width, height); each file counts once.
        classes: of each part, how many of its samples have each class.
    """

    wrong: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    notes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    classes: dict[str, Counter[str]] = field(default_factory=dict)


def verify(parts: Sequence[Part]) -> Report:
    """Decode every image of all parts, each file once; parts are told apart by their place."""
    report = Report()
    looks: dict[str, Look | None] = {}  # by path; None where it cannot be read
    first_with: dict[bytes, dict[Path, str]] = defaultdict(dict)  # digest -> part -> its first image
    for part in parts:
        classes = report.classes[str(part.place)] = Counter(dict.fromkeys(part.classes, 0))
        class_of: dict[str, str] = {}
        repeated = 0
        for path, class_name in _samples(part, report):
            classes[class_name] += 1
            if path in class_of:
                repeated += 1
                if class_of[path] != class_name:
                    report.notes["of two classes"].append(f"{path}: {class_of[path]!r} and {class_name!r}")
                continue
            class_of[path] = class_name
            if path not in looks:
                looks[path] = _look(path, report)
            look = looks[path]
            if look is not None:
                _compare(path, look, part, first_with[look.digest], class_of, report)
        if repeated:
            report.notes["listed more than once"].append(f"{part.place}: {repeated} of {len(part.listed)} lines")
        if missing := part.missing_classes():
            report.notes["no image"].append(f"{part.place}: none of class {', '.join(map(repr, missing))}")
    return report


def _samples(part: Part, report: Report) -> Iterator[tuple[str, str]]:
    """(path, class name) of each sample that is there."""
    for index, target in enumerate(part.targets.tolist()):
        try:
            yield str(part.path(index)), part.classes[target]
        except DataError as error:
            report.classes[str(part.place)][part.classes[target]] += 1
            report.wrong["unreadable"].append(str(error))


def _look(path: str, report: Report) -> Look | None:
    """Decode a file, and note what is odd about it by itself."""
    try:
        look = look_at(Path(path))
    except DataError as error:
        report.wrong["unreadable"].append(str(error))
        return None
    report.sizes[look.size] += 1
    if look.mode != "RGB":
        report.notes[f"mode {look.mode}, read as RGB"].append(path)
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122  # a million paths
    said = _formats().get(suffix)
    if said and look.format and look.format != said and (said, look.format) != ("JPEG", "MPO"):
        report.notes["extension of another format"].append(f"{path}: {suffix} but {look.format}")
    return look


def _compare(
    path: str, look: Look, part: Part, alike: dict[Path, str], class_of: dict[str, str], report: Report
) -> None:
    """Find the image among those of equal content; ``alike`` is part -> the first of them in it."""
    if part.place in alike:
        twin = alike[part.place]
        words = "" if class_of[twin] == class_of[path] else f", of classes {class_of[path]!r} and {class_of[twin]!r}"
        report.notes["alike within a part"].append(f"{path} = {twin}{words}")
        return
    for place, twin in alike.items():
        report.wrong["in two parts"].append(f"{path} ({part.place}) = {twin} ({place})")
    alike[part.place] = path


@cache
def _formats() -> dict[str, str]:
    """Extension -> Pillow's name of the format."""
    formats = Image.registered_extensions()
    return formats | dict.fromkeys((".pbm", ".pgm", ".pnm", ".ppm"), "PPM")
