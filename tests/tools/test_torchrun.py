"""``torchrun tools/train.py``: what becomes of a run of two processes when one of them fails."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PARTS = """
import os, signal, time, torch
from pegboard import DATASETS, HOOKS, Hook

@DATASETS.register
class Noise:
    classes = tuple("abcd")
    def __init__(self, count=60, seed=0):
        self.images = torch.randint(256, (count, 3, 32, 32), generator=torch.Generator().manual_seed(seed)).byte()
    def __len__(self):
        return len(self.images)
    def __getitem__(self, index):
        return self.images[index], index % 4

@HOOKS.register
class Fail(Hook):
    essential = True
    def __init__(self, how="", on=1):
        self.how, self.on = how, on
    def before_train_iter(self, run, batch):
        again = os.environ.get("TORCHELASTIC_RESTART_COUNT") != "0"
        if run.iteration != 15 or os.environ["RANK"] != str(self.on) or again:
            return
        with open("failed_at", "w") as file:
            file.write(str(time.time()))
        if self.how == "raise":
            raise RuntimeError("this rank has had enough")
        if self.how:
            os.kill(os.getpid(), getattr(signal, self.how))
"""
CONFIG = """
plugins = ["./parts.py"]
how, on = "", 1
train = dict(dataset=dict(type="Noise"), transforms=[dict(type="ToFloat")], batch_size=10, shuffle=True)
val = dict(dataset=dict(type="Noise", count=21, seed=1), transforms=[dict(type="ToFloat")], batch_size=10)
test = val
model = dict(type="LeNet")
loss = dict(type="CrossEntropyLoss")
metrics = dict(top1=dict(type="Accuracy"))
optimizer = dict(type="SGD", lr=0.01)
train_for = "4 epochs"
checkpoint = dict(every="7 iters")
hooks = dict(fail=dict(type="Fail", how=how, on=on), tensorboard=None, report=None)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "config.py").write_text(CONFIG)
    return tmp_path


def torchrun(folder: Path, *arguments: str, tool: str = "train", restarts: int = 0) -> tuple[int, str]:
    """Exit status, and everything that was said."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", str(restarts), str(ROOT / "tools" / f"{tool}.py"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


def train(folder: Path, name: str, how: str = "", on: int = 1, restarts: int = 0) -> tuple[int, str]:
    options = ["--cfg-options", f"how={how!r}", f"on={on}"]
    return torchrun(folder, "config.py", "--work-dir", name, *options, restarts=restarts)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    loaded: dict[str, torch.Tensor] = torch.load(folder / "checkpoints" / "iteration_00000024.pt")["model"]
    return loaded


def test_a_killed_rank_is_started_again_and_ends_with_the_same_bits(folder: Path) -> None:
    status, said = train(folder, "whole")
    assert status == 0, said
    assert said.count("finished; everything is in whole") == 1
    assert (folder / "whole" / "log_rank1.txt").is_file()
    status, said = train(folder, "again", "SIGKILL", on=0, restarts=1)
    assert status == 0, said
    assert "resumed at iteration 14 of 24" in said
    assert all(torch.equal(weights(folder / "whole")[name], w) for name, w in weights(folder / "again").items())
    assert (folder / "whole" / "metrics.jsonl").read_bytes() == (folder / "again" / "metrics.jsonl").read_bytes()
    status, said = torchrun(folder, "again", "--plugins", "./parts.py", "--predictions", "p.csv", tool="test")
    assert status == 0, said
    assert said.count("test/top1") == 1
    assert len((folder / "p.csv").read_text().splitlines()) == 22
    status, said = train(folder, "whole", restarts=1)  # a folder of another launch: refused on every attempt
    assert status != 0
    assert "whole holds a run already" in said and "resumed" not in said


@pytest.mark.parametrize("on", [0, 1])
@pytest.mark.parametrize("how", ["raise", "SIGKILL", "SIGTERM"])
def test_what_fails_on_one_rank_ends_all(folder: Path, how: str, on: int) -> None:
    status, said = train(folder, "run", how, on)
    assert time.time() - float((folder / "failed_at").read_text()) < 30
    assert status != 0
    own, _, account = said.partition("torch/distributed/run.py")  # torchrun's comes last
    assert ("traceback : RuntimeError: this rank has had enough" in account) == (how == "raise"), said
    raised = re.findall(rf"^\[rank{on}\]: RuntimeError: this rank has had enough", own, re.MULTILINE)
    assert len(raised) == (how == "raise"), said
    assert own.count("Traceback") == len(re.findall(r"^\[rank\d\]: Traceback", own, re.MULTILINE)) + 1, said
    assert "Connection closed" not in own and "the state is saved after" not in own, said
    saved = folder / "run" / "checkpoints"
    assert (saved / "iteration_00000016.pt").is_file() == (how == "SIGTERM")
    assert (saved / "iteration_00000014.pt").is_file()


def test_a_mistake_in_the_config_is_told_once(folder: Path) -> None:
    status, said = torchrun(folder, "config.py", "--cfg-options", "optimizer.lrr=1")
    assert status != 0
    assert said.count("did you mean 'lr'?") == 1
