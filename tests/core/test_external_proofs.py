"""Plugins that strangers might have written: each is built, installed and used as one; none uses anything private."""

import ast
import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests import runs
from tests.conftest import REPOSITORY, Command
from tests.core.test_external_plugin import pip

EXTERNAL = REPOSITORY / "tests" / "external"
CONFIG = """
train = dict(
    dataset=dict(type="DrawnShapes", count=48),
    transforms=[dict(type="ToFloat"), dict(type="Normalize")],
    batch_size=16,
)
val = dict(
    dataset=dict(type="DrawnShapes", count=20, split="val"),
    transforms=[dict(type="ToFloat"), dict(type="Normalize")],
    batch_size=20,
)
model = dict(type="LeNet")
loss = dict(type="CrossEntropyLoss")
metrics = dict(top1=dict(type="Accuracy"))
optimizer = dict(type="SGD", lr=0.1)
train_for = "2 epochs"
log_every = "1 iters"
threads = 1
hooks = dict(progress=None, mine=dict({hook}))
"""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which both wheels are installed."""
    folder = tmp_path_factory.mktemp("strangers")
    for name in ("occlusion", "mlflow_tracker"):
        shutil.copytree(EXTERNAL / name, folder / name)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "occlusion",
        folder / "mlflow_tracker")  # fmt: skip
    pip("install", "--no-deps", "--target", folder / "prefix", *sorted(folder.glob("*.whl")))
    return folder / "prefix"


def train(python: Command, prefix: Path, folder: Path, hook: str, run: str, *options: str) -> tuple[str, dict]:
    """What a run said, and its summary."""
    (folder / "config.py").write_text(CONFIG.format(hook=hook), encoding="utf-8")
    done = python(REPOSITORY / "tools" / "train.py", "config.py", "--work-dir", run, *options, path=[prefix])
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr, json.loads((folder / run / "summary.json").read_text(encoding="utf-8"))


def private_names(text: str) -> list[str]:
    """What a source takes of pegboard beside ``pegboard`` and ``pegboard.hooks``, and underscored attributes."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0].startswith("pegboard"):
            found += [node.module] if node.module not in ("pegboard", "pegboard.hooks") else []
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            found.append(node.attr)
    return found


def test_they_use_nothing_private() -> None:
    files = [*EXTERNAL.glob("occlusion/*/*.py"), *EXTERNAL.glob("mlflow_tracker/*/*.py")]
    assert len(files) == 4
    assert [name for file in files for name in private_names(file.read_text(encoding="utf-8"))] == []
    assert private_names("from pegboard.runner.loop import Runner\nrun._points") == ["pegboard.runner.loop", "_points"]


def test_one_call_shows_an_occlusion_map_everywhere(python: Command, prefix: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    hook = 'type="Occlusion", images=2, every="1 epoch", patch=16, stride=8'
    said, summary = train(python, prefix, tmp_path, hook, "run")
    assert "switched off" not in said
    figures = sorted(path.parent.name for path in (tmp_path / "run" / "figures").rglob("occlusion.png"))
    assert figures == ["iteration_00000003", "iteration_00000006"]
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    assert [image.step for image in events.Images("occlusion")] == [3, 6]
    assert "What the predicted class loses under a patch" in (tmp_path / "run" / "report.html").read_text("utf-8")
    assert summary["exit"] == "finished"


def test_the_map_is_where_a_model_looks_and_drawing_it_changes_no_bit(
    prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boards: None
) -> None:
    """A model that sees nothing but its top left pixel loses something where a patch hides it, and nowhere else."""
    monkeypatch.syspath_prepend(prefix)
    from pegboard_occlusion.hook import Occlusion, occlusion

    def model(images: Tensor) -> Tensor:
        return torch.stack([9 * images[:, 0, 0, 0], torch.zeros(len(images))], 1)

    [found] = occlusion(model, torch.ones(1, 3, 12, 12), torch.tensor([0]), 4, 1)
    assert found.argmax() == 0 and (found[:4, :4] > 0).all()
    assert found[4:].abs().max() == found[:, 4:].abs().max() == 0

    runs.hang_up()
    hook = runs.hang("hooks", "looks", Occlusion(images=2, every="1 epoch", patch=4))
    looked, plain = runs.train(tmp_path / "looked", hooks={"looks": hook}), runs.train(tmp_path / "plain")
    assert len(list((tmp_path / "looked").rglob("occlusion.png"))) == 2
    assert runs.same(looked.model.state_dict(), plain.model.state_dict())


def test_mlflow_is_told_of_a_run(python: Command, prefix: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed; the extra 'peers' has it")
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
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed; the extra 'peers' has it")
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
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed; the extra 'peers' has it")
    (tmp_path / "records").write_text("a file where a folder should be")
    said, summary = train(python, prefix, tmp_path, 'type="MLflow", uri="file:records"', "run")
    assert summary["exit"] == "finished"
    assert said.count("hook 'mine' failed at") == 1 and said.count("training goes on") == 1
