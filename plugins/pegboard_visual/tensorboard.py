"""The run's figures in TensorBoard."""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pegboard import PegboardError, Tracker
from pegboard.hooks import About
from pegboard_visual.event_files import EventFiles

if TYPE_CHECKING:
    from pegboard import Shown

SERIES = {"train": "Train", "val": "Valid"}
SECONDS_BETWEEN_FLUSHES = 30.0


class TensorBoard(Tracker):
    """Write every record and every picture to ``tensorboard/`` in the run folder.

    ``train/...`` and ``val/...`` of one figure share a chart, against the epoch: ``Loss``, and ``Accuracy`` (or the
    metric's own type; two of one type get their names too). Everything else is a scalar against the iteration.

    What was logged before a checkpoint is on the disk when it is saved, so that a killed run has it, and what came
    later is written again.

    Whatever a name holds, its tag has letters, digits, ``-``, ``_``, ``.`` and ``/`` only.

    A picture is an image against the iteration; one that has frames is its frames, the step being their number. A
    picture of ``Histograms`` is a histogram of each of its tensors.
    """

    fleeting = ("flushed",)
    threaded = False  # it only writes to files, and a thread would be woken in the middle of a step

    def __init__(self) -> None:
        self.files: EventFiles | None = None
        self.flushed = 0.0
        self.about: About | None = None

    def begin(self, about: About) -> None:
        """What a stopped run wrote after its last checkpoint is written again, so the old is taken out."""
        self.about = about
        until = about.told_until if about.resumed else 0.0
        if until is not None:
            for file in sorted((about.folder / "tensorboard").rglob("events.out.tfevents.*")):
                cut(file, until)

    def record(self, values: Mapping[str, Any], when: float) -> None:
        from tensorboardX.summary import scalar  # only now: it takes a while, and the first iterations should not wait

        files = self._open()
        for name, value in values.items():
            series, slash, figure = name.partition("/")
            if slash and series in SERIES:
                group = self._group(figure)
                files.add(scalar(group, value), values["epoch"], when, f"{_folder(group)}/{SERIES[series]}")
            elif name not in ("epoch", "iteration"):
                files.add(scalar(name, value), values["iteration"], when)
        if time.monotonic() - self.flushed > SECONDS_BETWEEN_FLUSHES:  # for whoever watches
            self.flush()

    def flush(self) -> None:
        self.flushed = time.monotonic()
        if self.files is not None:
            self.files.flush()

    def picture(self, shown: "Shown") -> None:
        from tensorboardX.summary import image

        files = self._open()
        if shown.data.get("kind") == "histograms":
            for name, tensor in shown.data["tensors"].items():
                _write_histogram(files, name, tensor, shown.iteration)
        elif shown.frames:
            for number, frame in enumerate(shown.frames):
                files.add(image(shown.name, frame, dataformats="HWC"), number)
        else:
            files.add(image(shown.name, shown.pixels(), dataformats="HWC"), shown.iteration)

    def _open(self) -> EventFiles:
        if self.files is None:
            self.files = EventFiles(self._run.folder / "tensorboard")
        return self.files

    @property
    def _run(self) -> About:
        if self.about is None:
            raise PegboardError("TensorBoard is told of a run that has not begun")
        return self.about

    def _group(self, figure: str) -> str:
        """``loss`` -> ``Loss``; ``top1`` -> ``Accuracy``, or ``Accuracy top1`` where there are several accuracies."""
        types = {
            name: str(part["type"]).rpartition(":")[2]
            for name, part in (self._run.config.get("metrics") or {}).items()
            if part
        }
        if figure not in types:
            return figure.capitalize()
        alone = list(types.values()).count(types[figure]) == 1
        return types[figure] if alone else f"{types[figure]} {figure}"

    def end(self, summary: Mapping[str, Any]) -> None:
        if self.files is not None:
            self.files.close()
            self.files = None


def _folder(group: str) -> str:
    """A chart's name as the name of a folder: no other folder, and nothing that steers a terminal."""
    return re.sub(r"[^\w .+-]", "_", group).lstrip(".") or "_"


def _write_histogram(files: EventFiles, name: str, tensor: Mapping[str, Any], iteration: int) -> None:
    """Counts as they are: nothing is counted a second time."""
    from tensorboardX.summary import histogram_raw

    counts, edges, number = tensor["counts"], tensor["edges"], sum(tensor["counts"])
    if number:  # of nothing there is no histogram
        squares = number * (tensor["std"] ** 2 + tensor["mean"] ** 2)
        total = number * tensor["mean"]
        files.add(histogram_raw(name, edges[0], edges[-1], number, total, squares, edges[1:], counts), iteration)


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
