"""The base of every strategy; by itself that of a single process."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from torch import Tensor

from pegboard import distributed, shards
from pegboard.checkpoint import Checkpoints
from pegboard.data.batch import Batch

if TYPE_CHECKING:  # the runner imports this package
    from pegboard.runner.step import Computed, Step

T = TypeVar("T")


class Strategy:
    """How the processes of a run (its ranks) hold the model, and join their gradients.

    A subclass that is hung on the board ``strategies`` is chosen by ``strategy=dict(type=...)``. This one is a single
    process: it holds all, and has nobody to join. Every method is called on every rank, in the same order.

    ``sharded = True`` says that a rank holds a part of each parameter alone: ``run.model`` has then tensors that only
    all ranks together can read, and ``run.whole(...)`` is how a hook reads them.

    ``weights_from_first = True`` says that ``wrap`` gives each rank those of the first, parameters and buffers, on the
    run's device: the model comes on the CPU, and that of later ranks without values where it can.
    """

    sharded: ClassVar[bool] = False
    weights_from_first: ClassVar[bool] = False

    @classmethod
    def refuses(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """(config path, why) of each run key that this strategy cannot do; read by ``pegboard check``.

        Args:
            values: the config's; every one has passed its own check.
        """
        return iter(())

    def wrap(self, step: "Step", allow_unused: bool) -> None:
        """Take the step over: once, when it is built, and before the optimizer is.

        Args:
            allow_unused: parameters may take no part in a step (run key ``unused_parameters``).
        """

    @contextmanager
    def piece(self, step: "Step", last: bool) -> "Iterator[Callable[[Batch], Computed]]":
        """Around forward and backward of a piece of a batch; gives what runs it forward.

        The gradients that stand in the parameters after the last piece are means over the ranks, of all pieces.
        """
        yield step

    def waited_and_computed(self) -> tuple[float, float]:
        """Seconds of the last piece of a step, by a sample: waiting for gradients to be joined, and computing.

        Both are 0 where they are unknown; those of one step, so that their sum is its time.
        """
        return 0.0, 0.0

    def evaluated(self, step: "Step", batch: Batch) -> "Computed":
        """What the step gives without gradients; called under ``torch.inference_mode()``."""
        return step(batch)

    def gather(self, state: T) -> T:
        """Anything made of dicts, lists and tensors, with every tensor whole, on every rank."""
        return state

    def everywhere(self, flags: Tensor) -> Tensor:
        """Booleans about a rank's own tensors, each true if it is so on every rank; whole tensors need no asking."""
        return flags

    def save(self, checkpoints: Checkpoints, state: dict[str, Any], keep: int) -> Path:
        """Write a checkpoint, then list it; or begin to, and let ``saved`` say when that is done.

        Raises:
            OSError: the disk refuses it, of whichever rank; what was there before stays.
        """
        distributed.together(lambda: checkpoints.save(state, keep) if distributed.is_first() else None)
        return checkpoints.path_of(state["iteration"])

    def saved(self, wait: bool) -> bool:
        """Is the checkpoint that ``save`` began listed? The same answer on every rank; the next is not begun before.

        Args:
            wait: until it is, so that the answer is yes.

        Raises:
            OSError: as ``save``.
        """
        return True

    def load(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """A checkpoint's contents with its tensors as this strategy holds them, whichever strategy has saved it."""
        return shards.whole(state)
