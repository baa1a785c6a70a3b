"""A strategy of a stranger's: ranks that train alone, and average their weights now and then."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pegboard import ConfigError, Hook, Runner
from pegboard import checkpoint as checkpoints
from tests import ranks, runs
from tests.conftest import Command
from tests.external.strangers import CONFIG, installed

LOADER = {"dataset": {"type": "Dots", "count": 21}, "transforms": [{"type": "ToFloat"}], "batch_size": 5}
RUN: dict[str, Any] = {
    "train": {**LOADER, "shuffle": True},
    "val": {**LOADER, "dataset": {"type": "Dots", "count": 21, "seed": 1}},
    "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9},
    "train_for": "12 iters",
    "checkpoint": {"every": "6 iters", "keep": 9},
}
EVERY = {"DDP": {"type": "DDP"}, **{f"every {n}": {"type": "LocalSGD", "every": n} for n in (1, 4)}}


class Weights(Hook):
    """Keeps those of this rank before each step."""

    def __init__(self) -> None:
        self.kept: list[Tensor] = []

    def before_optimizer_step(self, run: Runner) -> None:
        self.kept.append(torch.cat([weight.detach().flatten() for weight in run.model.parameters()]))


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed("local_sgd", tmp_path_factory.mktemp("local_sgd"))


def _train(prefix: Path, folder: Path) -> None:
    sys.path.insert(0, str(prefix))  # before the boards look for what is installed
    runs.hang_up()
    for name, strategy in EVERY.items():
        _keep(folder, name, runs.runner(folder / name, **RUN, strategy=strategy, hooks=_hooks()))
    state = checkpoints.load(folder / "every 4" / "checkpoints" / "iteration_00000006.pt")
    _keep(folder, "resumed", runs.runner(folder / "resumed", state, **RUN, strategy=EVERY["every 4"], hooks=_hooks()))
    with pytest.raises(ConfigError, match=r"strategy: LocalSGD: every is 0; expected at least 1 step"):
        runs.train(folder / "never", **RUN, strategy={"type": "LocalSGD", "every": 0})


def _hooks() -> dict[str, Any]:
    return {"progress": None, "weights": runs.hang("hooks", "weights", Weights())}


def _keep(folder: Path, name: str, run: Runner) -> None:
    run.train()
    hook: Any = run.hooks["weights"]
    torch.save((hook.kept, run.model.state_dict(), run.final), folder / f"{name} {os.environ['RANK']}.pt")


@pytest.fixture(scope="module")
def trained(prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    done = ranks.call(2, _train, prefix, folder, logs=folder)
    assert set(done) == {0}, "\n".join(file.read_text() for file in folder.glob("*.log"))
    return folder


def _ends(folder: Path, name: str) -> tuple[tuple[Any, Any, Any], ...]:
    return tuple(torch.load(folder / f"{name} {rank}.pt") for rank in range(2))


def _differences(folder: Path, name: str) -> list[float]:
    """The largest between the weights of the two ranks, before each step."""
    one, other = (kept for kept, _, _ in _ends(folder, name))
    return [float((a - b).abs().max()) for a, b in zip(one, other, strict=True)]


def test_averaged_after_each_step_it_is_ddp(trained: Path) -> None:
    ddp, local = (_ends(trained, name)[0] for name in ("DDP", "every 1"))
    assert max(float((weight - local[1][name]).abs().max()) for name, weight in ddp[1].items()) <= 1e-6
    assert all(abs(value - local[2][name]) <= 1e-5 for name, value in ddp[2].items())
    assert max(_differences(trained, "every 1")) == max(_differences(trained, "DDP")) == 0


def test_the_ranks_go_their_own_ways_for_as_long_as_it_says(trained: Path) -> None:
    """And meet before the validations after iterations 5 and 10, and the checkpoint after 6."""
    met = [number for number, difference in enumerate(_differences(trained, "every 4")) if not difference]
    assert met == [0, 4, 5, 6, 8, 10]
    one, other = _ends(trained, "every 4")
    assert runs.same(one[1], other[1]) and one[2] == other[2]  # what the run ends with is one model
    assert not runs.same(one[1], _ends(trained, "DDP")[0][1])


def test_a_resume_is_exact(trained: Path) -> None:
    assert runs.same(_ends(trained, "every 4")[0][1], _ends(trained, "resumed")[0][1])
    assert runs.records(trained / "resumed") == [
        record for record in runs.records(trained / "every 4") if record["iteration"] > 6
    ]


def _config(folder: Path, strategy: str) -> str:
    (folder / "config.py").write_text(CONFIG.format(hook='type="GradientStats"') + f"strategy = dict({strategy})\n")
    return "config.py"


def test_check_imports_nothing_of_a_strategy_that_refuses_nothing(
    python: Command, prefix: Path, tmp_path: Path
) -> None:
    script = """
import sys
from pegboard.cli import main
status = main(["check", "config.py", *sys.argv[1:]])
print(status, "pegboard_local_sgd.strategy" in sys.modules, "torch" in sys.modules)
"""
    _config(tmp_path, 'type="LocalSGD", every=4')
    done = python("-c", script, path=[prefix])
    assert done.stdout.splitlines()[-1] == "0 False False", done
    done = python("-c", script, "--cfg-options", "strategy.evry=2", path=[prefix])
    assert done.stdout == "2 False False\n"
    assert "strategy.evry: LocalSGD takes no 'evry'; did you mean 'every'?" in done.stderr
    done = python("-c", script, "--cfg-options", "strategy=dict(type='FSDP')", path=[prefix])
    assert done.stdout.splitlines()[-1] == "0 False True", done  # which may refuse something


def test_its_page_is_written(pegboard_cli: Command, prefix: Path) -> None:
    said = pegboard_cli("docs", "LocalSGD", path=[prefix]).stdout
    assert "`pegboard_local_sgd.strategy:LocalSGD`" in said and "steps between two averages" in said, said
