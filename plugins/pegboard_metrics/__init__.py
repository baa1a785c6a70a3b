"""Metrics: top-k accuracy, and a bridge to every torchmetrics metric."""

from pegboard import Boards, Bridge, hookimpl, source


def torchmetrics_names() -> dict[str, str]:
    """Every metric class that ``torchmetrics`` exports, and those of its packages that are about a model's outputs."""
    names = {}
    for package in ("torchmetrics.classification", "torchmetrics.regression", "torchmetrics"):
        module = source.read(package)
        for name in module.exported if module else []:
            if name[0].isupper():
                names[name] = f"{package}:{name}"
    return names


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.metrics.add_lazy("Accuracy", "pegboard_metrics.accuracy:Accuracy")
    boards.metrics.add_bridge(
        Bridge(
            "torchmetrics",
            "torchmetrics",
            "metrics",
            torchmetrics_names,
            supplied=("num_classes", "task", "ignore_index"),
            via="pegboard_metrics.bridged:build",
        )
    )
