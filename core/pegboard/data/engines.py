"""The two ways to make batches: decode everything once, or sample by sample in worker processes.

Both give the same images, because both draw each sample's parameters from (seed, epoch, place, sample).
"""

import math
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from textwrap import shorten
from threading import current_thread, main_thread
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info
from torch.utils.data import Sampler as TorchSampler

from pegboard.data.batch import Batch
from pegboard.data.mask import Mask
from pegboard.data.one_copy import Beside
from pegboard.data.samples import Decoded, Samples
from pegboard.data.share import Share
from pegboard.data.transform import Pipeline, stack_targets
from pegboard.errors import DataError
from pegboard.plugins import PluginFiles

Source = Samples | Decoded  # len() and [i] giving (tensor (C, H, W), target)
Collate = Callable[[list[tuple[Tensor, Any]]], tuple[Any, Any]]

CHUNK = 512  # samples that are augmented together: large enough to amortise a call, small enough for the cache


class Engine(Protocol):
    """Makes the batches of an epoch whose order is given."""

    def batches(
        self, order: NDArray[np.int64], epoch: int, start: int, batch_size: int, share: Share | None
    ) -> Iterator[Batch]:
        """From batch number ``start`` on; of each the part that ``share`` says, or all of it."""


class InMemory:
    """Every image decoded once into one uint8 tensor, on the training device; batches are cut by tensor operations.

    The ranks of a machine, where they are given, decode a part each, and on the CPU all read the same memory.
    """

    def __init__(self, samples: Source, pipeline: Pipeline, device: torch.device, ranks: Beside | None = None) -> None:
        image, target = samples[0]
        first, self.pipeline = pipeline.split(image)
        done = first.once(image, target)  # of sample 0, which says how large they all are
        image = done[0]
        shape = (len(samples), *image.shape)  # (N, C, H, W)
        if ranks is None:
            images, mine = image.new_empty(shape), range(len(samples))
        else:
            mine = ranks.part(len(samples))
            images = ranks.memory(math.prod(shape) * image.element_size()).view(image.dtype).view(shape)
        targets = []
        for index in mine:
            image, target = first.once(*samples[index]) if index else done
            if image.shape != images.shape[1:]:
                raise DataError(
                    f"sample {index} is {_size(image)}, sample 0 is {_size(images)}; images in memory must be "
                    "of one size: begin the transforms with Resize, or set mode='workers'"
                )
            images[index] = image
            targets.append(target)
        if ranks is not None:
            targets = ranks.joined(targets)  # after which all images are there too
            ranks.tell(samples.bad)
        self.images = images.to(device)
        self.targets = stack_targets(targets).to(device)  # (N, ...)
        self.on_cpu = device.type == "cpu"

    def batches(
        self, order: NDArray[np.int64], epoch: int, start: int, batch_size: int, share: Share | None
    ) -> Iterator[Batch]:
        """Augments a chunk of batches at once, then cuts it."""
        chunk = max(1, CHUNK // batch_size) * batch_size
        sizes: int | list[int] = batch_size
        for begin in range(start * batch_size, len(order), chunk):
            end = min(begin + chunk, len(order))
            if share is None:
                places = np.arange(begin, end)
            else:
                places, sizes = share.places(begin, end, batch_size)
            index = order[places]
            on_host = torch.from_numpy(index)
            where = on_host if self.on_cpu else on_host.to(self.images.device, non_blocking=True)
            chosen = self.images.index_select(0, where)  # twenty times faster than self.images[where] for uint8
            images, targets = self.pipeline(chosen, self.targets.index_select(0, where), index, epoch, places)
            parts = (tensor.split(sizes) for tensor in (images, targets, on_host))
            yield from map(Batch._make, zip(*parts, strict=True))


class Workers:
    """Samples decoded and transformed one by one, in ``workers`` processes that outlive an epoch (0: in this one).

    Args:
        collate: makes (inputs, targets) of a list of transformed (image (C, H, W), target) pairs; stacks them if None.
    """

    def __init__(
        self,
        samples: Source,
        pipeline: Pipeline,
        device: torch.device,
        workers: int = 0,
        collate: Collate | None = None,
    ) -> None:
        self.device = device
        self.bad = samples.bad
        self.tasks = _Tasks()
        self.pinned = device.type == "cuda"
        self.loader = DataLoader(
            _Maker(samples, pipeline, collate),
            sampler=self.tasks,
            batch_size=None,  # a task is a batch already
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=self.pinned,
            worker_init_fn=_leave_signals_to_the_run,
        )

    def batches(
        self, order: NDArray[np.int64], epoch: int, start: int, batch_size: int, share: Share | None
    ) -> Iterator[Batch]:
        """Batches go to the processes in turn and come back in order."""
        self.tasks.waiting = _Waiting(order, epoch, start * batch_size, batch_size, share)
        with _deaths_told_in_their_turn():
            made = iter(self.loader)
        while True:
            try:
                (inputs, targets, index), bad = next(made)
            except StopIteration:
                return
            except Exception as error:
                raise _of_a_worker(error, self.bad.what) from error
            for sample, reason in bad.items():
                self.bad.add(sample, reason)
            yield Batch(self._moved(inputs), self._moved(targets), index)

    def _moved(self, value: Any) -> Any:
        return value.to(self.device, non_blocking=self.pinned) if isinstance(value, Tensor | Mask) else value


def _leave_signals_to_the_run(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; the run needs its workers until it has saved its state."""
    for name in ("SIGINT", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


@contextmanager
def _deaths_told_in_their_turn() -> Iterator[None]:
    """That a worker died shall be raised where its batch is awaited, seconds later, and not amid an optimizer step.

    The DataLoader looks for it there too; its signal handler, which it sets once, raises wherever the process is.
    """
    if not hasattr(signal, "SIGCHLD") or current_thread() is not main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGCHLD)
    yield
    signal.signal(signal.SIGCHLD, signal.SIG_DFL if before is None else before)


def _of_a_worker(error: Exception, what: str) -> Exception:
    """What a worker process raised, or that it died, in a sentence; another error as it is."""
    text = str(error)
    if isinstance(error, DataError) and "Original Traceback" in text:
        return DataError(text.strip().rpartition("DataError: ")[2])
    if isinstance(error, RuntimeError) and text.startswith("DataLoader worker (pid"):
        hint = "; the system's log says whether memory ran out" if "Killed" in text or "exited" in text else ""
        return DataError(f"{what}: a worker process died ({shorten(text, 120)}){hint}")
    return error


class _Task(NamedTuple):
    """One batch to make: which samples, the first of them at place ``begin`` of the epoch."""

    epoch: int
    begin: int
    samples: NDArray[np.int64]


class _Waiting(NamedTuple):
    """The tasks of an epoch from place ``begin`` on, each made when its turn comes: there may be a hundred thousand."""

    order: NDArray[np.int64]
    epoch: int
    begin: int
    batch_size: int
    share: Share | None

    @property
    def begins(self) -> range:
        """Where each batch begins."""
        return range(self.begin, len(self.order), self.batch_size)

    def tasks(self) -> Iterator[_Task]:
        """Of each batch the part that ``share`` says, or all of it."""
        for first in self.begins:
            begin, end = first, min(first + self.batch_size, len(self.order))
            if self.share is not None:
                begin, end = self.share.span(begin, end)
            yield _Task(self.epoch, begin, self.order[begin:end])


class _Tasks(TorchSampler[_Task]):
    """What the DataLoader hands out to its processes: the tasks of the epoch at hand."""

    def __init__(self) -> None:
        self.waiting = _Waiting(np.zeros(0, dtype=np.int64), 0, 0, 1, None)

    def __len__(self) -> int:
        return len(self.waiting.begins)

    def __iter__(self) -> Iterator[_Task]:
        return self.waiting.tasks()


class _Maker(Dataset[tuple[Batch, dict[int, str]]]):
    """Makes the batch of a task, in whatever process, and says which samples it found to be bad."""

    def __init__(self, samples: Source, pipeline: Pipeline, collate: Collate | None) -> None:
        self.samples, self.pipeline, self.collate = samples, pipeline, collate

    def __getitem__(self, task: _Task) -> tuple[Batch, dict[int, str]]:
        self.samples.bad.elsewhere = get_worker_info() is not None
        images: list[Tensor] = []
        targets: list[Any] = []
        for place, sample in enumerate(task.samples.tolist(), task.begin):
            image, target = self.samples[sample]
            alone = [target] if self.collate and not isinstance(target, Mask) else stack_targets([target])
            done, alone = self.pipeline(image[None], alone, np.array([sample]), task.epoch, np.array([place]))
            images.append(done[0])
            targets.append(alone[0])
        if self.collate:
            inputs, together = self.collate(list(zip(images, targets, strict=True)))
        else:
            inputs, together = _stack(images, task.samples), stack_targets(targets)
        return Batch(inputs, together, torch.from_numpy(task.samples)), self.samples.bad.take_news()

    def __reduce__(self) -> tuple[Any, ...]:
        """For processes that are spawned: plugin files are imported there before anything that they define is read."""
        return _rebuilt, (PluginFiles(), self.samples, self.pipeline, self.collate)


def _rebuilt(files: PluginFiles, samples: Source, pipeline: Pipeline, collate: Collate | None) -> _Maker:
    return _Maker(samples, pipeline, collate)


def _stack(images: list[Tensor], samples: NDArray[np.int64]) -> Tensor:
    for image, sample in zip(images, samples.tolist(), strict=True):
        if image.shape != images[0].shape:
            raise DataError(
                f"sample {sample} is {_size(image)} after its transforms, others of its batch are "
                f"{_size(images[0])}; begin the transforms with Resize or end them with a crop"
            )
    return torch.stack(images)


def _size(image: Tensor) -> str:
    return " x ".join(str(size) for size in image.shape[-2:])
