"""A tiny run, and the command lines, for the tests of core."""

from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Command

# A run that takes a second: 64 points in eight dimensions, two classes, a linear model.
TOY_PARTS = '''
import torch
from pegboard import DATASETS, HOOKS, Hook

@DATASETS.register
class Toy:
    """Points and the side of a plane on which they lie. Shapes: (8,) float32, target 0 or 1."""

    num_classes = 2

    def __init__(self, n: int = 64) -> None:
        self.x = torch.randn(n, 8, generator=torch.Generator().manual_seed(0))
        self.y = (self.x.sum(1) > 0).long().tolist()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int):
        return self.x[index], self.y[index]
'''
TOY = """
plugins = ["./toy_parts.py"]
train = dict(dataset=dict(type="Toy", n=64), batch_size=4, shuffle=True)
val = dict(dataset=dict(type="Toy", n=32), batch_size=8)
test = dict(dataset=dict(type="Toy", n=16), batch_size=8)
model = dict(type="Linear", in_features=8, out_features=2)
loss = dict(type="CrossEntropyLoss")
metrics = dict(top1=dict(type="Accuracy"))
optimizer = dict(type="SGD", lr=0.1)
train_for = "3 epochs"
log_every = "5 iters"
threads = 1
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """The toy config, its parts beside it."""
    (tmp_path / "toy_parts.py").write_text(TOY_PARTS, encoding="utf-8")
    path = tmp_path / "toy.py"
    path.write_text(TOY.lstrip(), encoding="utf-8")
    return path


@pytest.fixture
def tool(python: Command) -> Command:
    """``tool("train", config)``: ``python tools/train.py config`` in the test's folder."""
    return lambda name, *arguments, **options: python(REPOSITORY / "tools" / f"{name}.py", *arguments, **options)
