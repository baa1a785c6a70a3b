"""``pegboard predict RUN IMAGE_OR_FOLDER...``."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pegboard.cli import opened
from pegboard.console import say_error, show_log, table
from pegboard.errors import DataError, PegboardError, did_you_mean

if TYPE_CHECKING:
    from PIL.Image import Image

    from pegboard.runner.inference import Classifier

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    opened.add_arguments(parser)
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE_OR_FOLDER", help="image files; of a folder all in and below it"
    )
    parser.add_argument("--top", type=int, default=5, metavar="K", help="how many classes to name; 5 unless given")
    parser.add_argument("--json", action="store_true", help="print a list of objects instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Print the likeliest classes of each image; 2 if one of them could not be read."""
    show_log()
    if arguments.top < 1:
        raise PegboardError(f"--top must be at least 1, got {arguments.top}")
    files = list(find_images(arguments.images))
    classifier = load(arguments)
    results, unreadable = [], 0
    from pegboard.runner.inference import AT_ONCE

    for begin in range(0, len(files), AT_ONCE):
        readable = []
        for file in files[begin : begin + AT_ONCE]:
            try:
                readable.append((file, read_image(file)))
            except DataError as error:
                say_error(error)
                unreadable += 1
        if readable:
            results += predict(classifier, readable, arguments.top)
    if arguments.json:
        print(json.dumps(results, indent=2))
    elif results:
        rows = [[r["image"], r["label"], f"{r['probability']:.4f}", _others(r["top"][1:])] for r in results]
        table(("image", "label", "probability", "next"), rows, file=sys.stdout)
    return 2 if unreadable else 0


def load(arguments: argparse.Namespace) -> "Classifier":
    """The classifier that a command's arguments name; no config file is run."""
    from pegboard.runner.inference import Classifier

    opened.load_plugins(arguments)
    found = opened.open_run(opened.named(Path(arguments.path), arguments.checkpoint))
    return Classifier(found.state, arguments.device or "auto")


def predict(classifier: "Classifier", images: "Sequence[tuple[Path, Image]]", top: int) -> list[dict[str, Any]]:
    """``{"image": path, "label": name, "probability": 0.93, "top": [{"label": ..., "probability": ...}]}`` of each."""
    chances = classifier.classify([image for _, image in images])
    values, numbers = chances.topk(min(top, chances.shape[1]))
    results = []
    for (file, _), row, which in zip(images, values.tolist(), numbers.tolist(), strict=True):
        ranked = [
            {"label": classifier.name_of(number), "probability": value}
            for number, value in zip(which, row, strict=True)
        ]
        results.append({"image": str(file), **ranked[0], "top": ranked})
    return results


def find_images(paths: Sequence[str]) -> Iterator[Path]:
    """The files that the paths name; of a folder every image in and below it, by name.

    Raises:
        DataError: there is no such path, or no image in a folder.
    """
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            if not inside:
                raise DataError(f"{path}: no image in this folder; expected files {', '.join(sorted(SUFFIXES))}")
            yield from inside
        elif path.is_file():
            yield path
        else:
            siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            raise DataError(f"there is no {path}{did_you_mean(path.name, siblings)}")


def read_image(path: Path) -> "Image":
    """An image file as RGB, turned as its camera says.

    Raises:
        DataError: it is none that can be read.
    """
    from PIL import Image

    from pegboard.rgb import FORMATS, to_rgb

    try:
        with Image.open(path, formats=FORMATS) as image:
            return to_rgb(image)
    except Exception as error:  # a damaged file makes Pillow raise anything
        raise DataError(f"{path}: cannot be read as an image: {error or type(error).__name__}") from error


def _others(ranked: Sequence[dict[str, Any]]) -> str:
    return ", ".join(f"{one['label']} {one['probability']:.4f}" for one in ranked)
