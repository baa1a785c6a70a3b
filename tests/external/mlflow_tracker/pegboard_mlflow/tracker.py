"""The tracker."""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pegboard import About, Shown, Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient

ENDS = {"finished": "FINISHED", "stopped": "FINISHED", "interrupted": "KILLED"}
LONGEST_NAME, LONGEST = 250, 500  # characters of a name, and of a parameter's value, that every store takes
MOST = 100  # parameters a call
NOTE = "mlflow_run.json"  # in the run folder: which run of which store it is, for a resume


class MLflow(Tracker):
    """Tell MLflow of the run: its config as parameters, its records as metrics against the iteration, its pictures as
    images under a slider, with the numbers behind them; at the end the report, the newest checkpoint, and ``best.pt``.

    A resumed run goes on in the same run of MLflow's; of what is told again, only that is written which is not there.
    MLflow changes no parameter, so what a resumed run has otherwise in its config becomes a tag, such as
    ``resumed.optimizer.lr``.

    The metric ``lr/conv*`` of a parameter group is ``lr.conv_`` in MLflow: it takes fewer characters, and a store of
    files cannot have ``lr`` beside ``lr/...``.

    Args:
        uri: a folder, or MLflow's address, e.g. ``"http://localhost:5000"``; ``MLFLOW_TRACKING_URI`` or else the folder
            ``mlruns`` unless given.
        experiment: name of the group of runs.
        model: whether checkpoints are copied there.
    """

    fleeting = ("run_id", "known", "pictured")  # the note and MLflow have them

    def __init__(self, uri: str = "", experiment: str = "pegboard", model: bool = True) -> None:
        self.uri = uri
        self.experiment = experiment
        self.model = model
        self.newest: Path | None = None

    def begin(self, about: About) -> None:
        self.folder = about.folder
        self.known: dict[tuple[str, int], float] = {}  # what MLflow has of a resumed run: metrics by iteration
        self.pictured: set[tuple[str, int]] = set()
        address = address_of(self.uri)
        self.client = connect(address)
        note = about.folder / NOTE
        old = json.loads(note.read_text(encoding="utf-8")) if about.resumed and note.is_file() else {}
        if old.get("uri") != address or not self.goes_on(old["run"]):
            name = f"{about.name} {about.folder.name}"
            self.run_id = self.client.create_run(self.experiment_id(), run_name=name).info.run_id
            note.write_text(json.dumps({"uri": address, "run": self.run_id}), encoding="utf-8")
        self.client.log_artifact(self.run_id, str(about.folder / "config.py"))
        self.set_parameters(about.config)

    def experiment_id(self) -> str:
        from mlflow.exceptions import MlflowException

        known = self.client.get_experiment_by_name(self.experiment)
        if known is None:
            try:
                return str(self.client.create_experiment(self.experiment))
            except MlflowException:  # another run was quicker, or it cannot be made
                known = self.client.get_experiment_by_name(self.experiment)
                if known is None:
                    raise
        return str(known.experiment_id)

    def goes_on(self, run_id: str) -> bool:
        """Take up a run of MLflow's; False where somebody has deleted it."""
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        if run.info.lifecycle_stage != "active":
            return False
        self.run_id = run_id
        self.client.update_run(run_id, "RUNNING")
        for name in run.data.metrics:
            self.known |= {(name, one.step): one.value for one in self.client.get_metric_history(run_id, name)}
        for file in self.client.list_artifacts(run_id, "images"):
            found = re.match(r"images/(.+?)[+%]step[+%](\d+)[+%]", file.path)
            if found:
                self.pictured.add((found[1], int(found[2])))
        return True

    def set_parameters(self, config: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        had = self.client.get_run(self.run_id).data.params
        values = {legal(path): " ".join(str(value).splitlines())[:LONGEST] for path, value in flat(config)}
        new = [Param(name, value) for name, value in values.items() if name not in had]
        for start in range(0, len(new), MOST):
            self.client.log_batch(self.run_id, params=new[start : start + MOST])
        for name, value in values.items():
            if had.get(name, value) != value:
                self.client.set_tag(self.run_id, f"resumed.{name}", value)

    def record(self, values: Mapping[str, Any], when: float) -> None:
        from mlflow.entities import Metric

        step = values["iteration"]
        named = {legal(name): float(value) for name, value in values.items() if name != "iteration"}
        new = {name: value for name, value in named.items() if not same(self.known.get((name, step)), value)}
        metrics = [Metric(name, value, int(when * 1000), step) for name, value in new.items()]
        if metrics:
            self.client.log_batch(self.run_id, metrics=metrics)

    def picture(self, shown: Shown) -> None:
        name = legal(shown.name)
        if (name, shown.iteration) not in self.pictured:
            self.client.log_image(self.run_id, shown.pixels(), key=name, step=shown.iteration)
        behind = {"caption": shown.caption, "epoch": shown.epoch, "iteration": shown.iteration, "data": shown.data}
        self.client.log_dict(self.run_id, behind, f"figures/{shown.iteration:08}/{name}.json")

    def checkpoint(self, path: Path) -> None:
        self.newest = path

    def end(self, summary: Mapping[str, Any]) -> None:
        for file in (self.folder / "summary.json", self.folder / "report.html"):
            if file.is_file():
                self.client.log_artifact(self.run_id, str(file))
        if self.model and self.newest is not None:
            for file in (self.newest, self.newest.with_name("best.pt")):
                if file.is_file():
                    self.client.log_artifact(self.run_id, str(file), "model")
        self.client.set_terminated(self.run_id, ENDS.get(summary["exit"], "FAILED"))


def address_of(uri: str) -> str:
    """The same from every working directory, so that a resume finds it again."""
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI", "") or "mlruns"
    if uri.startswith("file:") and not uri.startswith("file:/"):
        uri = uri.removeprefix("file:")
    return uri if re.match(r"[a-z+]+:|databricks$", uri) else Path(uri).resolve().as_uri()


def connect(address: str) -> "MlflowClient":
    if address.startswith("file:"):  # MLflow calls its file store a thing of the past, and asks for this
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow import MlflowClient

    return MlflowClient(address)


def flat(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """``{"optimizer": {"lr": 0.1}}`` -> ``("optimizer.lr", 0.1)``; lists by number."""
    inside = values.items() if isinstance(values, Mapping) else enumerate(values)
    for key, value in inside:
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping | list | tuple) and value:
            yield from flat(value, name)
        else:
            yield name, value


def legal(name: str) -> str:
    """A name that every store takes: ``"lr/conv*"`` -> ``"lr.conv_"``; ``train/`` and ``val/`` stay."""
    split, slash, figure = name.partition("/")
    if slash and figure and split in ("train", "val"):
        return f"{split}/{legal(figure)}"
    name = re.sub(r"[^\w\-. ]", "_", name.replace("/", "."), flags=re.ASCII)[: LONGEST_NAME - len("train/")]
    return f"{name}_" if name in ("train", "val", "", ".", "..") else name


def same(had: float | None, value: float) -> bool:
    return had is not None and (had == value or (math.isnan(had) and math.isnan(value)))
