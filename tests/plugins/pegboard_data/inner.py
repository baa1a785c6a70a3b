"""Datasets to put others around."""

from typing import Any


class Bare:
    """What a user must write at least."""

    def __init__(self, targets: list[Any]) -> None:
        self.labels = targets
        self.reads = 0

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[str, Any]:
        self.reads += 1
        return f"image {index}", self.labels[index]


class Told(Bare):
    """One that says what it is; its samples need not be read."""

    mean = (0.1, 0.2, 0.3)
    std = (0.4, 0.5, 0.6)
    label = "told"
    stand_in = True

    def __init__(self, targets: list[int], classes: tuple[str, ...] = ("a", "b", "c")) -> None:
        super().__init__(targets)
        self.targets, self.classes, self.num_classes = targets, list(classes), len(classes)
