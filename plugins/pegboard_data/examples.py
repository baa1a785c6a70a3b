"""From which arguments each part can be tried, for ``pegboard.testing``."""

from pathlib import Path
from typing import Any

SHAPES = {"type": "DrawnShapes", "count": 11}


def examples(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Board -> part -> arguments; two images and an index file of them are written to the folder."""
    from PIL import Image

    for number, name in enumerate(("circle", "square")):
        (folder / "images" / name).mkdir(parents=True)
        Image.new("RGB", (6, 5), (90 * number, 60, 30)).save(folder / "images" / name / "0.png")
    index = folder / "train.txt"
    index.write_text("images/circle/0.png 0\nimages/square/0.png 1\n", encoding="utf-8")
    return {
        "datasets": {
            "CIFAR10": {"root": "none", "split": "test", "on_missing": "stand-in", "download": False},
            "ClassBalanced": {"dataset": SHAPES},
            "Concat": {"datasets": [{**SHAPES, "count": 2}, {**SHAPES, "count": 3}]},
            "DrawnShapes": {"count": 2},  # to be quick; it needs none
            "ImageFolder": {"root": str(folder / "images")},
            "IndexFile": {"path": str(index)},
            "Repeat": {"dataset": {**SHAPES, "count": 2}, "times": 2},
            "Subset": {"dataset": {**SHAPES, "count": 2}, "fraction": 0.5},
        },
        "transforms": {
            "CenterCrop": {"size": 4},
            "GaussianBlur": {"kernel_size": 3},
            "Pad": {"padding": 2},
            "RandomAffine": {"degrees": 20},
            "RandomCrop": {"size": 4},
            "RandomResizedCrop": {"size": 4},
            "RandomRotation": {"degrees": 20},
            "Resize": {"size": 4},
        },
    }
