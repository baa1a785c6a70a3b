"""The run's figures as lines of JSON."""

import json
import math
import time
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from pegboard.hooks.hook import Hook

if TYPE_CHECKING:
    from pegboard.runner import Runner


class MetricsFile(Hook):
    """Write each record to ``metrics.jsonl``, and what depends on the machine's speed to ``timing.jsonl``.

    Two runs of one config and seed write the same ``metrics.jsonl``. A resumed run first cuts both files back to what
    they held at its checkpoint.
    """

    essential = True
    state = ("sizes",)
    fleeting = ("timing.jsonl",)

    def __init__(self) -> None:
        self.sizes = {"metrics.jsonl": 0, "timing.jsonl": 0}  # bytes at the last checkpoint
        self.files: dict[str, IO[str]] = {}

    def before_run(self, run: "Runner") -> None:
        for name, size in self.sizes.items():
            self.files[name] = file = (run.folder / name).open("a", encoding="utf-8")
            file.truncate(min(size, file.tell()))  # a run that goes on in another folder begins with empty files

    def on_log(self, run: "Runner", values: Mapping[str, Any]) -> None:
        self._write("metrics.jsonl", {name: _strict(value) for name, value in values.items()})
        timing = {
            "time": round(time.time(), 3),
            "iteration": run.iteration,
            "images_per_second": round(run.speed.recent, 1),
            "data_wait": round(run.speed.data_wait, 4),
        }
        self._write("timing.jsonl", timing)

    def _write(self, name: str, record: Mapping[str, Any]) -> None:
        self.files[name].write(json.dumps(record) + "\n")
        self.files[name].flush()

    def after_run(self, run: "Runner") -> None:
        self._close()

    def on_exception(self, run: "Runner", error: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        for file in self.files.values():
            file.close()

    def state_dict(self) -> dict[str, Any]:
        return {"sizes": dict(self.sizes)}

    def before_checkpoint(self, run: "Runner", state: Mapping[str, Any]) -> None:
        for name in self.sizes:
            self.sizes[name] = (run.folder / name).stat().st_size


def _strict(value: Any) -> Any:
    """JSON knows no nan and no infinity."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
