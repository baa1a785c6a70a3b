"""The tracker."""

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pegboard import About, Shown, Tracker

ENDS = {"finished": "FINISHED", "stopped": "FINISHED", "interrupted": "KILLED"}
LONGEST = 500  # characters of a parameter that every store takes
MOST = 100  # parameters a call
NOTE = "mlflow_run.txt"  # in the run folder: which run of MLflow's it is, for a resume


class MLflow(Tracker):
    """Tell MLflow of the run: its config as parameters, its records as metrics, its pictures and newest checkpoint as
    artifacts. A resumed run goes on in the same run of MLflow's; iterations that are run again are told again.

    Args:
        uri: where MLflow keeps its records, e.g. ``"file:mlruns"`` or ``"http://localhost:5000"``.
        experiment: name of the group of runs.
    """

    def __init__(self, uri: str = "file:mlruns", experiment: str = "pegboard") -> None:
        self.uri = uri
        self.experiment = experiment
        self.newest: Path | None = None

    def begin(self, about: About) -> None:
        if self.uri.startswith("file:"):  # MLflow calls its file store a thing of the past, and asks for this
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self.client = MlflowClient(self.uri)
        note = about.folder / NOTE
        if about.resumed and note.is_file():
            self.run_id = note.read_text(encoding="utf-8")
            self.client.update_run(self.run_id, "RUNNING")
            return
        known = self.client.get_experiment_by_name(self.experiment)
        experiment = known.experiment_id if known else self.client.create_experiment(self.experiment)
        self.run_id = self.client.create_run(experiment, run_name=about.name).info.run_id
        note.write_text(self.run_id, encoding="utf-8")
        settings = [Param(path, str(value)[:LONGEST]) for path, value in flat(about.config)]
        for start in range(0, len(settings), MOST):
            self.client.log_batch(self.run_id, params=settings[start : start + MOST])
        self.client.log_artifact(self.run_id, str(about.folder / "config.py"))

    def record(self, values: Mapping[str, Any], when: float) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, int(when * 1000), values["iteration"])
            for name, value in values.items()
            if name != "iteration" and math.isfinite(value)
        ]
        self.client.log_batch(self.run_id, metrics=metrics)

    def picture(self, shown: Shown) -> None:
        self.client.log_artifact(self.run_id, str(shown.path), f"figures/{shown.path.parent.name}")

    def checkpoint(self, path: Path) -> None:
        self.newest = path

    def end(self, summary: Mapping[str, Any]) -> None:
        if self.newest is not None:
            self.client.log_artifact(self.run_id, str(self.newest), "model")
        self.client.set_terminated(self.run_id, ENDS.get(summary["exit"], "FAILED"))


def flat(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """``{"optimizer": {"lr": 0.1}}`` -> ``("optimizer.lr", 0.1)``; lists by number."""
    inside = values.items() if isinstance(values, Mapping) else enumerate(values)
    for key, value in inside:
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping | list | tuple) and value:
            yield from flat(value, name)
        else:
            yield name, value
