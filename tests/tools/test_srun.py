"""``srun python tools/train.py``: a job step of Slurm, whose ranks know each other by its variables only.

There is no Slurm here. ``srun`` stands for it: it starts the tasks of a step on one node, with the variables that
Slurm documents for them (srun(1), "OUTPUT ENVIRONMENT VARIABLES"), and ends them all when one fails, as
``--kill-on-bad-exit`` does.
"""

import os
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.tools import test_torchrun

pytestmark = pytest.mark.slow

TASKS = 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    parts = test_torchrun.PARTS.replace('os.environ["RANK"]', 'os.environ.get("RANK", os.environ.get("SLURM_PROCID"))')
    (tmp_path / "parts.py").write_text(parts.replace('!= "0"', 'not in (None, "0")'))
    (tmp_path / "config.py").write_text(test_torchrun.CONFIG)
    return tmp_path


def job() -> int:
    """A number of a job whose port, which follows from it, is free."""
    while True:
        number = random.SystemRandom().randrange(20_000)
        with socket.socket() as found:
            if found.connect_ex(("127.0.0.1", 20_000 + number)):
                return number


def srun(folder: Path, *arguments: str) -> tuple[int, str]:
    """The first exit status that is not 0, and everything that was said."""
    step = {
        "SLURM_JOB_ID": str(job()),
        "SLURM_NTASKS": str(TASKS),
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_STEP_NUM_TASKS": str(TASKS),
        "SLURM_STEP_TASKS_PER_NODE": str(TASKS),
        "SLURM_NODEID": "0",
    }
    command = [sys.executable, str(test_torchrun.ROOT / "tools" / "train.py"), "config.py", *arguments]
    running = []
    with (folder / "said.txt").open("w") as said:
        for task in range(TASKS):
            own = os.environ | step | {"SLURM_PROCID": str(task), "SLURM_LOCALID": str(task)}
            running.append(subprocess.Popen(command, cwd=folder, env=own, stdout=said, stderr=subprocess.STDOUT))
        until = time.monotonic() + 200
        while any(process.poll() is None for process in running) and time.monotonic() < until:
            if any(process.poll() for process in running):
                until = min(until, time.monotonic() + 30)
            time.sleep(0.1)
        for process in running:
            process.kill()
    statuses = [process.wait() for process in running]
    return next((status for status in statuses if status), 0), (folder / "said.txt").read_text()


def test_a_step_of_slurm_gives_the_bits_of_torchrun(folder: Path) -> None:
    status, said = srun(folder, "--work-dir", "step")
    assert status == 0, said
    assert said.count("finished; everything is in step") == 1
    assert (folder / "step" / "log_rank1.txt").is_file()
    status, said = test_torchrun.train(folder, "torchrun")
    assert status == 0, said
    step, torchrun = (test_torchrun.weights(folder / name) for name in ("step", "torchrun"))
    assert all(torch.equal(step[name], weight) for name, weight in torchrun.items())


def test_what_fails_in_one_task_ends_all(folder: Path) -> None:
    status, said = srun(folder, "--work-dir", "step", "--cfg-options", "how='raise'", "on=1")
    assert time.time() - float((folder / "failed_at").read_text()) < 30
    assert status == 1
    assert said.count("RuntimeError: this rank has had enough") == 1 and said.count("Traceback") == 1, said
    assert "another rank of the run has ended, and this one with it" in said
