"""The run's figures in TensorBoard."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pegboard import Hook

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

    from pegboard import Runner, Shown

SERIES = {"train": "Train", "val": "Valid"}
SECONDS_BETWEEN_WRITES = 1.0


class TensorBoard(Hook):
    """Write every record and every picture to ``tensorboard/`` in the run folder.

    ``train/...`` and ``val/...`` of one figure share a chart, against the epoch: ``Loss``, and ``Accuracy`` (or the
    metric's own type; two of one type get their names too). Everything else is a scalar against the iteration.

    Records are handed to the writer together, about once a second and at each epoch's figures: it writes from a
    thread of its own, which takes ten times as long for each when it is woken in the middle of a step.

    A picture is an image against the iteration; one that has frames is its frames, the step being their number. A
    picture of ``Histograms`` is a histogram of each of its tensors.
    """

    ranks = "first"

    def __init__(self) -> None:
        self.writer: SummaryWriter | None = None
        self.waiting: list[tuple[float, Mapping[str, Any]]] = []  # (time, record)

    def before_run(self, run: "Runner") -> None:
        """What a stopped run wrote after its last checkpoint is written again, so the old is taken out."""
        saved = run.checkpoints.saved_at(run.iteration) if run.resume is not None else 0.0
        if saved is not None:
            for file in sorted((run.folder / "tensorboard").rglob("events.out.tfevents.*")):
                cut(file, saved)

    def before_checkpoint(self, run: "Runner", state: Mapping[str, Any]) -> None:
        self._write(run)  # with clock readings from before the checkpoint's, and so they stay

    def on_log(self, run: "Runner", values: Mapping[str, Any]) -> None:
        now = time.time()
        self.waiting.append((now, values))
        if now - self.waiting[0][0] > SECONDS_BETWEEN_WRITES or any(map(_of_an_epoch, values)):
            self._write(run)

    def _write(self, run: "Runner") -> None:
        waiting, self.waiting = self.waiting, []
        for when, values in waiting:
            self._write_record(run, when, values)

    def _write_record(self, run: "Runner", when: float, values: Mapping[str, Any]) -> None:
        writer = self._open(run)
        for each in writer.all_writers.values():
            if not each.event_writer._worker.is_alive():  # it waits for ever who hands the next event to it
                raise OSError("the thread that writes the event files has ended; the disk may be full")
        grouped: dict[str, dict[str, float]] = {}
        for name, value in values.items():
            series, slash, figure = name.partition("/")
            if slash and series in SERIES:
                grouped.setdefault(self._group(run, figure), {})[SERIES[series]] = value
            elif name not in ("epoch", "iteration"):
                writer.add_scalar(name, value, values["iteration"], walltime=when)
        for group, both in grouped.items():
            writer.add_scalars(group, both, values["epoch"], walltime=when)

    def on_show(self, run: "Runner", shown: "Shown") -> None:
        writer = self._open(run)
        if shown.data.get("kind") == "histograms":
            for name, tensor in shown.data["tensors"].items():
                _write_histogram(writer, name, tensor, shown.iteration)
        elif shown.frames:
            for number, frame in enumerate(shown.frames):
                writer.add_image(shown.name, frame, number, dataformats="HWC")
        else:
            writer.add_image(shown.name, shown.pixels(), shown.iteration, dataformats="HWC")

    def _open(self, run: "Runner") -> "SummaryWriter":
        if self.writer is None:  # only now: importing it takes a while, and the first iterations should not wait
            from tensorboardX import SummaryWriter

            self.writer = SummaryWriter(str(run.folder / "tensorboard"))
        return self.writer

    @staticmethod
    def _group(run: "Runner", figure: str) -> str:
        """``loss`` -> ``Loss``; ``top1`` -> ``Accuracy``, or ``Accuracy top1`` where there are several accuracies."""
        types = {
            name: str(part["type"]).rpartition(":")[2]
            for name, part in (run.config.values.get("metrics") or {}).items()
            if part
        }
        if figure not in types:
            return figure.capitalize()
        alone = list(types.values()).count(types[figure]) == 1
        return types[figure] if alone else f"{types[figure]} {figure}"

    def after_run(self, run: "Runner") -> None:
        self._write(run)
        self._close()

    def on_exception(self, run: "Runner", error: BaseException) -> None:
        self._write(run)
        self._close()

    def _close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def _write_histogram(writer: "SummaryWriter", name: str, tensor: Mapping[str, Any], iteration: int) -> None:
    """Counts as they are: nothing is counted a second time."""
    counts, edges, number = tensor["counts"], tensor["edges"], sum(tensor["counts"])
    if number:  # of nothing there is no histogram
        squares = number * (tensor["std"] ** 2 + tensor["mean"] ** 2)
        writer.add_histogram_raw(
            name,
            edges[0],
            edges[-1],
            num=number,
            sum=number * tensor["mean"],
            sum_squares=squares,
            bucket_limits=edges[1:],
            bucket_counts=counts,
            global_step=iteration,
        )


def cut(file: Path, until: float) -> None:
    """Take out of an event file what was written after a time (seconds since 1970), and half an event at its end.

    A file is a row of records: length (8 bytes), its checksum (4), an event as a protocol buffer, its checksum (4).
    """
    from tensorboardX.proto.event_pb2 import Event

    content, kept, place = file.read_bytes(), b"", 0
    while place + 12 <= len(content):
        end = place + 16 + int.from_bytes(content[place : place + 8], "little")
        if end > len(content):
            break
        event = Event.FromString(content[place + 12 : end - 4])
        if event.HasField("file_version") or event.wall_time <= until:
            kept += content[place:end]
        place = end
    if kept != content:
        temporary = file.with_name(f".{file.name}")
        temporary.write_bytes(kept)
        temporary.replace(file)


def _of_an_epoch(name: str) -> bool:
    return name.startswith(("train/", "val/"))
