"""What a classifier said of every sample of a pass over data.

Dimension letters: B samples of a batch, N samples of the pass, K classes.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pegboard import PegboardError

if TYPE_CHECKING:
    from pegboard import Runner

SPLITS = {"train": "train", "val": "valid", "test": "test"}  # as the config calls them, and as figures do

Numbers = NDArray[np.int64]
Shares = NDArray[np.float32]


class Outcome(NamedTuple):
    """Each sample of a pass, in the order in which it came.

    Args:
        classes: how many, K.
        sample: (N,) its place in the dataset.
        truth: (N,) its class. predicted: (N,) the likeliest one.
        probability: (N,) of the predicted class. truth_probability: (N,) of its class; both from 0 to 1.
        left_out: samples whose target is none of the classes, such as -100; they are not among the N.
    """

    classes: int
    sample: Numbers
    truth: Numbers
    predicted: Numbers
    probability: Shares
    truth_probability: Shares
    left_out: int = 0

    def counts(self) -> Numbers:
        """(K, K), rows true, columns predicted."""
        pairs = np.bincount(self.truth * self.classes + self.predicted, minlength=self.classes**2)
        return pairs.reshape(self.classes, self.classes)


class Outcomes:
    """Takes a pass batch by batch; nothing waits for the device until it is read."""

    def __init__(self) -> None:
        self.classes = 0
        self._waiting: list[tuple[Tensor, ...]] = []  # what ``add`` keeps of each batch, on the device

    def add(self, outputs: Any, targets: Any, index: Tensor) -> None:
        """One batch.

        Args:
            outputs: (B, K) logits, log-probabilities or probabilities.
            targets: (B,) class numbers, or (B, K) shares of the classes, of which the largest counts as true.
            index: (B,) places in the dataset.

        Raises:
            PegboardError: they are no outputs of a classifier, or no classes.
        """
        self.classes = class_count(outputs, targets)
        scores = outputs.detach().float()
        truth = targets.argmax(1) if targets.ndim == 2 else targets
        predicted = outputs.argmax(1)  # as top-1 accuracy breaks ties
        inside = truth.clamp(0, self.classes - 1)  # one that is outside is left out when this is read
        of_truth = scores.gather(1, inside[:, None])[:, 0]
        # Whether these are probabilities already is decided when they are read: it takes waiting for the device.
        facts = scores.amax(1), of_truth, scores.logsumexp(1), scores.amin(1), scores.sum(1)
        self._waiting.append((index.to(scores.device), truth.detach().clone(), predicted, *facts))

    def read(self) -> Outcome:
        """Everything so far; waits for the device.

        Raises:
            PegboardError: there is nothing, or the model gave nan.
        """
        if not self._waiting:
            raise PegboardError("no sample has passed")
        self._waiting = [self._together()]
        whole = [part.cpu() for part in self._waiting[0]]
        sample, truth, predicted = (part.numpy() for part in whole[:3])
        top, score_of_truth, normaliser, least, total = whole[3:]
        if bool((least >= 0).all()) and bool(((total - 1).abs() < 1e-4).all()):  # probabilities already
            probability, of_truth = top.numpy(), score_of_truth.numpy()
        else:
            probability, of_truth = (
                (top - normaliser).exp().clamp(max=1).numpy(),
                (score_of_truth - normaliser).exp().numpy(),
            )
        if bad := int(np.isnan(probability).sum()):
            raise PegboardError(f"the model gives nan for {bad} of {len(sample)} samples")
        inside = (truth >= 0) & (truth < self.classes)
        return Outcome(
            self.classes, sample[inside], truth[inside], predicted[inside], probability[inside], of_truth[inside],
            int((~inside).sum()),
        )  # fmt: skip

    def _together(self) -> tuple[Tensor, ...]:
        return tuple(torch.cat(parts) for parts in zip(*self._waiting, strict=True))

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint in the middle of a pass."""
        return {"classes": self.classes, "waiting": [part.cpu() for part in self._together()]}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on where that checkpoint was written."""
        self.classes = state["classes"]
        self._waiting = [tuple(part.to(device) for part in state["waiting"])] if state["waiting"] else []


def class_count(outputs: Any, targets: Any) -> int:
    """Number of classes, K.

    Raises:
        PegboardError: these are no outputs (B, K) of a classifier, or no targets of one.
    """
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or outputs.shape[1] < 2:
        found = f"shape {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else f"a {type(outputs).__name__}"
        raise PegboardError(f"the model gives {found}; expected one number for each of at least two classes, (B, K)")
    numbers = isinstance(targets, Tensor) and targets.ndim == 1 and not targets.is_floating_point()
    shares = isinstance(targets, Tensor) and targets.shape == outputs.shape
    if not numbers and not shares:
        what = f"{targets.dtype} of shape {tuple(targets.shape)}" if isinstance(targets, Tensor) else type(targets)
        raise PegboardError(f"the targets are {what}; expected class numbers, (B,), or shares of the classes, (B, K)")
    return int(outputs.shape[1])


def class_names(run: "Runner", count: int) -> list[str]:
    """A name for each class: the data's, and the number where it has none."""
    known = [str(name) for name in run.facts.get("classes") or ()]
    return [*known[:count], *map(str, range(len(known), count))]
