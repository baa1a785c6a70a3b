"""A hook that shows a picture of every kind that the report knows, from what the run really computes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from pegboard import Batch, Hook, Runner
from pegboard.registry import BOARDS
from tests import runs
from tests.conftest import restored_boards


@contextmanager
def hung() -> Iterator[None]:
    """The tiny parts and the hook on their boards; what the fixture ``boards`` does, for a whole module."""
    with restored_boards():
        runs.hang_up()
        BOARDS["hooks"].register(Pictured)
        yield


class Pictured(Hook):
    """After each validation, one picture a kind; ``names`` of classes as the data has them.

    Args:
        size: side of the pictures, pixels.
        classes: instead of the data's own.
    """

    def __init__(self, size: int = 48, classes: "list[str] | None" = None) -> None:
        self.size = size
        self.classes = classes
        self.outputs: list[torch.Tensor] = []
        self.targets: list[torch.Tensor] = []
        self.samples: list[int] = []
        self.gradients: dict[str, torch.Tensor] = {}

    def before_optimizer_step(self, run: Runner) -> None:
        if run.position + 1 == run.per_epoch:
            self.gradients = {n: p.grad.detach().clone() for n, p in run.model.named_parameters() if p.grad is not None}

    def before_val(self, run: Runner) -> None:
        self.outputs, self.targets, self.samples = [], [], []

    def before_val_iter(self, run: Runner, batch: Batch) -> None:
        if not self.samples:
            self.pixels = batch.inputs[:16].detach().cpu()
        self.targets.append(batch.targets)
        self.samples += batch.index.tolist()

    def after_val_iter(self, run: Runner, batch: Batch, outputs: Any) -> None:
        self.outputs.append(outputs.detach())

    def after_val(self, run: Runner, metrics: Mapping[str, float]) -> None:
        classes = self.classes or [str(name) for name in run.facts["classes"]]
        outputs, targets = torch.cat(self.outputs).float().clone(), torch.cat(self.targets)
        predicted, shares = outputs.argmax(1), outputs.softmax(1)
        counts = torch.zeros(len(classes), len(classes), dtype=torch.int64)
        counts.index_put_((targets, predicted), torch.ones_like(targets), accumulate=True)
        grid = self.picture()
        matrix = {"kind": "confusion", "split": "valid", "classes": classes, "counts": counts.tolist()}
        run.show("Confusion_Matrix_valid", grid, "valid", matrix)
        wrong = [i for i in shares.max(1).values.argsort(descending=True).tolist() if predicted[i] != targets[i]][:4]
        worst = [
            {"sample": self.samples[i], "truth": classes[int(targets[i])], "predicted": classes[int(predicted[i])],
             "probability": float(shares[i].max()), "truth_probability": float(shares[i, targets[i]])}
            for i in wrong
        ]  # fmt: skip
        run.show(
            "Mistakes_valid", grid, f"the {len(worst)} worst", {"kind": "mistakes", "split": "valid", "worst": worst}
        )
        centred = outputs - outputs.mean(0)
        points = (centred @ torch.linalg.svd(centred, full_matrices=False)[2][:2].T).tolist()
        data = {
            "kind": "embedding", "split": "valid", "points": points, "targets": targets.tolist(), "classes": classes,
            "method": "PCA",
        }  # fmt: skip
        run.show("Embedding_valid", grid, "", data)
        run.show("Histograms", grid, "", self.histograms(run))
        for kind in ("cam", "feature_maps", "kernels", "samples"):
            run.show(f"{kind}_of_conv1", grid, f"{kind} drawn <b>here</b>", {"kind": kind})
        run.show("something else", grid)

    def picture(self) -> np.ndarray[Any, Any]:
        """Sixteen validation images in a square."""
        one = self.pixels - self.pixels.amin((1, 2, 3), keepdim=True)
        one = one / one.amax((1, 2, 3), keepdim=True).clamp_min(1e-6)
        rows = [torch.cat(list(one[i : i + 4]), 2) for i in range(0, len(one) // 4 * 4, 4)]
        small = torch.nn.functional.interpolate(torch.cat(rows, 1)[None], (self.size, self.size), mode="nearest")[0]
        return small.permute(1, 2, 0).numpy()

    def histograms(self, run: Runner) -> dict[str, Any]:
        tensors: dict[str, Any] = {}
        for name, weight in run.model.named_parameters():
            for suffix, values in (("data", weight.detach()), ("grad", self.gradients.get(name))):
                if values is not None:
                    counts, edges = np.histogram(values.flatten().numpy(), 24)
                    quantiles = {str(q): float(values.flatten().quantile(q)) for q in (0.05, 0.5, 0.95)}
                    tensors[f"{name}_{suffix}"] = {
                        "edges": edges.tolist(), "counts": counts.tolist(), "quantiles": quantiles
                    }  # fmt: skip
        ratios = {name: 1e-3 * (i + 1) for i, (name, _) in enumerate(run.model.named_parameters())}
        return {"kind": "histograms", "tensors": tensors, "update_ratio": ratios, "notes": ["fc1 has <dead> units"]}
