"""A tracker of a stranger's: MLflow with a folder for its records."""

from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Command
from tests.external.strangers import CONFIG, installed, train

pytest.importorskip("mlflow", reason="mlflow-skinny is not installed; the extra 'peers' has it")


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed("mlflow_tracker", tmp_path_factory.mktemp("mlflow_tracker"))


def test_mlflow_is_told_of_a_run(python: Command, prefix: Path, tmp_path: Path) -> None:
    said, summary = train(python, prefix, tmp_path, 'type="MLflow", uri="file:records"', "run")
    assert "switched off" not in said
    run_id = (tmp_path / "run" / "mlflow_run.txt").read_text(encoding="utf-8")
    [place] = (tmp_path / "records").glob(f"*/{run_id}")
    lines = (place / "metrics" / "val" / "top1").read_text(encoding="utf-8").splitlines()
    assert [int(line.split()[2]) for line in lines] == [3, 6]
    assert float(lines[-1].split()[1]) == summary["final"]["val/top1"]
    assert len((place / "metrics" / "loss").read_text(encoding="utf-8").splitlines()) == 6
    assert (place / "params" / "optimizer.lr").read_text(encoding="utf-8") == "0.1"
    assert (place / "artifacts" / "config.py").is_file()
    assert [file.name for file in (place / "artifacts" / "model").iterdir()] == ["iteration_00000006.pt"]
    assert "status: 3" in (place / "meta.yaml").read_text(encoding="utf-8")  # FINISHED


ENDS_ONCE = """
import os, signal
from pathlib import Path
from pegboard import HOOKS, Hook

@HOOKS.register
class EndsOnce(Hook):
    \"\"\"Stop the first run after its fourth iteration, as `kill` would.\"\"\"

    def after_train_iter(self, run, batch, loss, outputs):
        if run.iteration == 4 and not Path("ended").exists():
            Path("ended").touch()
            os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_resumed_run_goes_on_in_the_same_run_of_mlflows(python: Command, prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text(ENDS_ONCE, encoding="utf-8")
    config = 'plugins = ["./ends.py"]' + CONFIG.format(hook='type="MLflow", uri="file:records"')
    (tmp_path / "config.py").write_text(config + 'hooks["ends"] = dict(type="EndsOnce")\n', encoding="utf-8")
    command = (REPOSITORY / "tools" / "train.py", "config.py")
    done = python(*command, "--work-dir", "run", path=[prefix])
    assert done.returncode == 143, done.stderr
    run_id = (tmp_path / "run" / "mlflow_run.txt").read_text(encoding="utf-8")
    [place] = (tmp_path / "records").glob(f"*/{run_id}")
    assert "status: 5" in (place / "meta.yaml").read_text(encoding="utf-8")  # KILLED

    done = python(*command, "--resume", "run", path=[prefix])
    assert done.returncode == 0 and "switched off" not in done.stderr, done.stderr
    assert [path.parent.name for path in (tmp_path / "records").glob("*/*/meta.yaml")] == [run_id]
    assert "status: 3" in (place / "meta.yaml").read_text(encoding="utf-8")  # FINISHED

    def steps(metric: str) -> list[int]:
        return [int(line.split()[2]) for line in (place / "metrics" / metric).read_text(encoding="utf-8").splitlines()]

    assert steps("loss") == [1, 2, 3, 4, 5, 6]
    assert steps("val/top1") == [3, 6]
    models = [file.name for file in (place / "artifacts" / "model").iterdir()]
    assert "iteration_00000006.pt" in models


def test_an_mlflow_that_is_not_there_costs_a_line_and_not_the_run(
    python: Command, prefix: Path, tmp_path: Path
) -> None:
    (tmp_path / "records").write_text("a file where a folder should be")
    said, summary = train(python, prefix, tmp_path, 'type="MLflow", uri="file:records"', "run")
    assert summary["exit"] == "finished"
    assert said.count("hook 'mine' failed at") == 1 and said.count("training goes on") == 1
