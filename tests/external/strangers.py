"""What the tests of strangers' packages share: each is built and installed as strangers do, and trains."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY, Command

EXTERNAL = REPOSITORY / "tests" / "external"

# A run of seconds with one hook of a stranger's.
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


def pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def installed(name: str, folder: Path) -> Path:
    """The folder into which the wheel of ``tests/external/<name>`` is installed; the source is left as it is."""
    shutil.copytree(EXTERNAL / name, folder / "source")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "source")
    [wheel] = folder.glob("*.whl")
    pip("install", "--no-deps", "--target", folder / "prefix", wheel)
    return folder / "prefix"


def train(python: Command, prefix: Path, folder: Path, hook: str, run: str, *options: str) -> tuple[str, dict]:
    """What a run said, and its summary."""
    (folder / "config.py").write_text(CONFIG.format(hook=hook), encoding="utf-8")
    done = python(REPOSITORY / "tools" / "train.py", "config.py", "--work-dir", run, *options, path=[prefix])
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr, json.loads((folder / run / "summary.json").read_text(encoding="utf-8"))
