"""A tracker of a stranger's: MLflow with a folder for its records."""

import json
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Command
from tests.external.strangers import CONFIG, installed, train

pytest.importorskip("mlflow", reason="mlflow-skinny is not installed; the extra 'peers' has it")


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed("mlflow_tracker", tmp_path_factory.mktemp("mlflow_tracker"))


def record_of(folder: Path) -> Path:
    """Where MLflow keeps the run."""
    run_id = json.loads((folder / "run" / "mlflow_run.json").read_text(encoding="utf-8"))["run"]
    [place] = (folder / "records").glob(f"*/{run_id}")
    return place


def points(place: Path, metric: str) -> list[tuple[int, float]]:
    """The iteration and value of each line of a metric: time, value, step."""
    lines = [line.split() for line in (place / "metrics" / metric).read_text(encoding="utf-8").splitlines()]
    return [(int(step), float(value)) for _, value, step in lines]


def test_mlflow_is_told_of_a_run(python: Command, prefix: Path, tmp_path: Path) -> None:
    groups = ("--cfg-options", 'optimizer.groups=[dict(match="fc*",lr=0.05)]')  # "lr" is a metric, and "lr/fc*" another
    said, summary = train(python, prefix, tmp_path, 'type="MLflow", uri="records"', "run", *groups)
    assert "switched off" not in said
    place = record_of(tmp_path)
    assert [step for step, _ in points(place, "val/top1")] == [3, 6]
    assert points(place, "val/top1")[-1][1] == summary["final"]["val/top1"]
    assert len(points(place, "loss")) == 6
    assert points(place, "lr")[0] == points(place, "lr.fc_")[0] == (1, 0.05)
    assert (place / "params" / "optimizer.lr").read_text(encoding="utf-8") == "0.1"
    assert (place / "artifacts" / "config.py").is_file() and (place / "artifacts" / "report.html").is_file()
    assert [file.name for file in (place / "artifacts" / "model").iterdir()] == ["iteration_00000006.pt"]
    assert "status: 3" in (place / "meta.yaml").read_text(encoding="utf-8")  # FINISHED


ENDS_ONCE = """
import os, signal
from pathlib import Path
import numpy
from pegboard import HOOKS, Hook

@HOOKS.register
class EndsOnce(Hook):
    \"\"\"Stop the first run after its fourth iteration, as `kill` would; log and show what is odd.\"\"\"

    def after_train_iter(self, run, batch, loss, outputs):
        run.log("ö/../50 %", float("nan"))
        if run.iteration in (2, 4):
            run.show("Grey", numpy.full((8, 8, 3), 128, numpy.uint8), "all grey", {"value": 128})
        if run.iteration == 4 and not Path("ended").exists():
            Path("ended").touch()
            os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_resumed_run_goes_on_in_the_same_run_of_mlflows(python: Command, prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text(ENDS_ONCE, encoding="utf-8")
    config = 'plugins = ["./ends.py"]' + CONFIG.format(hook='type="MLflow", uri="records"')
    (tmp_path / "config.py").write_text(config + 'hooks["ends"] = dict(type="EndsOnce")\n', encoding="utf-8")
    command = (REPOSITORY / "tools" / "train.py", "config.py")
    done = python(*command, "--work-dir", "run", path=[prefix])
    assert done.returncode == 143, done.stderr
    place = record_of(tmp_path)
    assert "status: 5" in (place / "meta.yaml").read_text(encoding="utf-8")  # KILLED

    # From the third iteration: the fourth is told again.
    more = ("--resume", "run/checkpoints/iteration_00000003.pt", "--cfg-options", 'train_for="3 epochs"')
    done = python(*command, *more, path=[prefix])
    assert done.returncode == 0 and "switched off" not in done.stderr, done.stderr
    assert [path.parent for path in (tmp_path / "records").glob("*/*/meta.yaml")] == [place]
    assert "status: 3" in (place / "meta.yaml").read_text(encoding="utf-8")  # FINISHED
    for metric in ("loss", "_....50 _"):
        assert [step for step, _ in points(place, metric)] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert [step for step, _ in points(place, "val/top1")] == [3, 6, 9]
    assert (place / "tags" / "resumed.train_for").read_text(encoding="utf-8") == "3 epochs"
    images = sorted(file.name.split("timestamp")[0] for file in (place / "artifacts" / "images").glob("*.png"))
    assert images == ["Grey+step+2+", "Grey+step+4+"]
    behind = (place / "artifacts" / "figures" / "00000004" / "Grey.json").read_text(encoding="utf-8")
    assert json.loads(behind)["data"] == {"value": 128}
    assert "iteration_00000009.pt" in [file.name for file in (place / "artifacts" / "model").iterdir()]


def test_an_mlflow_that_is_not_there_costs_a_line_and_not_the_run(
    python: Command, prefix: Path, tmp_path: Path
) -> None:
    (tmp_path / "records").write_text("a file where a folder should be")
    said, summary = train(python, prefix, tmp_path, 'type="MLflow", uri="records"', "run")
    assert summary["exit"] == "finished" and "Traceback" not in said
    [line] = [line for line in said.splitlines() if "training goes on" in line]
    assert line.startswith(
        "error: hook 'mine' failed at begin and is switched off; training goes on: NotADirectoryError"
    )


def test_a_store_of_no_kind_costs_no_run(python: Command, prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(CONFIG.format(hook='type="MLflow", uri="htpp://localhost"'), encoding="utf-8")
    done = python(REPOSITORY / "tools" / "train.py", "config.py", "--check", path=[prefix])
    assert (
        done.returncode == 2 and "hooks.mine.uri: MLflow has no store of the kind 'htpp:'" in done.stdout + done.stderr
    )
