"""What the Runner adds to a bare loop, and to the time until the first iteration is over."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Any

CONFIG = """
plugins = [{here!r}]
train = dict(dataset=dict(type="FixedBatch"), batch_size=4)
model = dict(type="Linear", in_features=8, out_features=2)
loss = dict(type="CrossEntropyLoss")
optimizer = dict(type="SGD", lr=0.01)
train_for = "{iterations} iters"
checkpoint = dict(every="{iterations} iters")
log_every = "50 iters"
threads = 1
"""

SAMPLES = 4000  # of the fixed batch's data: an epoch of 1,000 iterations

BARE_STEP = """
import time, sys
start = {start}
import torch
torch.set_num_threads(1)
model = torch.nn.Linear(8, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
inputs, targets = torch.randn(4, 8), torch.tensor([0, 1, 0, 1])
loss = torch.nn.functional.cross_entropy(model(inputs), targets)
loss.backward()
optimizer.step()
print(time.time() - start)
"""

RUNNER_STEP = """
import time, sys
start = {start}
from pegboard import Config, HOOKS, Hook
@HOOKS.register
class FirstIteration(Hook):
    "Prints when the first iteration ends."
    def after_optimizer_step(self, run):
        if run.iteration == 0:
            print("FIRST", time.time() - start)
from pegboard import Runner
config = Config.load({config!r}, ["hooks.first=dict(type='FirstIteration')"])
Runner(config, folder={folder!r}).train()
"""


def _register_fixed_batch() -> None:
    """The data of the overhead run, registered when a config names this file as a plugin."""
    import torch

    from pegboard import DATASETS

    @DATASETS.register
    class FixedBatch:
        """The same four points over and over. Shapes: (8,) float32, target 0 or 1."""

        num_classes = 2

        def __init__(self) -> None:
            self.points = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))

        def __len__(self) -> int:
            return SAMPLES

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            return self.points[index % 4], index % 2


def overhead(rounds: int, iterations: int) -> dict[str, float]:
    """What the Runner with its default hooks adds to a bare loop, and to the time until the first iteration is over."""
    with tempfile.TemporaryDirectory() as folder:
        loops = [_both_loops(Path(folder) / str(number), iterations) for number in range(rounds)]
        calls = _calls_between_forwards(Path(folder))
        starts = [_first_iterations(Path(folder) / f"start{number}") for number in range(rounds)]
    bare, runner = zip(*loops, strict=True)
    alone, ours = zip(*starts, strict=True)
    result = {
        "overhead_us": statistics.median(b - a for a, b in loops),
        "bare_us": statistics.median(bare),
        "runner_us": statistics.median(runner),
        "first_iteration_s": statistics.median(ours),
        "first_iteration_torch_alone_s": statistics.median(alone),
        "calls": calls,
    }
    print(f"bare loop               {result['bare_us']:8.1f} µs an iteration")
    print(f"Runner                  {result['runner_us']:8.1f} µs an iteration")
    print(f"overhead                {result['overhead_us']:8.1f} µs (at most 60)")
    print(f"first iteration, torch  {result['first_iteration_torch_alone_s']:8.2f} s")
    print(f"first iteration, Runner {result['first_iteration_s']:8.2f} s (at most 0.7 more)")
    print(f"Python calls outside torch between two forwards: {calls} (at most 60)")
    return result


def _both_loops(folder: Path, iterations: int) -> tuple[float, float]:
    """Microseconds an iteration of the bare loop and of the Runner, in alternating stretches of one process."""
    import torch

    stretches = 10
    runner_seconds: list[float] = []
    bare_seconds: list[float] = []
    model = torch.nn.Linear(8, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    criterion = torch.nn.CrossEntropyLoss()
    inputs, targets = torch.randn(4, 8), torch.tensor([0, 1, 0, 1])

    def bare(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()

    length = iterations // stretches

    def between(run: Any) -> None:
        """Every ``length`` iterations: note the Runner's time, and run the bare loop for as long."""
        if run.iteration % length == 0:
            now = time.perf_counter()
            if run.iteration:
                runner_seconds.append(now - between.since)  # type: ignore[attr-defined]
            began = time.perf_counter()
            bare(length)
            bare_seconds.append(time.perf_counter() - began)
            between.since = time.perf_counter()  # type: ignore[attr-defined]

    run = _runner(folder, iterations)
    step = run.train_step

    def timed_step(batch: Any) -> Any:
        between(run)
        return step(batch)

    run.train_step = timed_step  # type: ignore[method-assign]  # the measuring stands outside what is measured
    run.train()
    return statistics.median(bare_seconds) / length * 1e6, statistics.median(runner_seconds) / length * 1e6


def _runner(folder: Path, iterations: int) -> Any:
    from pegboard import Config, Runner

    return Runner(Config.load(_config(folder, iterations)), folder=folder / "run")


def _config(folder: Path, iterations: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "overhead.py"
    path.write_text(CONFIG.format(here=str(Path(__file__).resolve()), iterations=iterations), encoding="utf-8")
    return path


def _calls_between_forwards(folder: Path) -> int:
    """Python calls between two forwards whose code lies outside torch; the median of 40 iterations."""
    run = _runner(folder / "calls", 120)
    counts: list[int] = []
    calls = 0

    def count(frame: FrameType, event: str, _: Any) -> None:
        nonlocal calls
        if event == "call" and "/torch/" not in frame.f_code.co_filename and frame.f_code is not forward_code:
            calls += 1

    def at_forward(*_: Any) -> None:
        nonlocal calls
        if 60 <= run.iteration < 100:
            counts.append(calls)
        calls = 0

    forward_code = at_forward.__code__
    use_hooks = run.use_hooks

    def when_built(hooks: dict[str, Any]) -> None:
        use_hooks(hooks)
        run.model.register_forward_pre_hook(at_forward)

    run.use_hooks = when_built
    sys.setprofile(count)
    try:
        run.train()
    finally:
        sys.setprofile(None)
    return int(statistics.median(counts))


def _first_iterations(folder: Path) -> tuple[float, float]:
    """Seconds from process start to the end of the first iteration: a script with torch alone, and the Runner."""
    config = _config(folder, 10)
    results = []
    for script in (BARE_STEP, RUNNER_STEP):
        text = script.format(start=repr(time.time()), config=str(config), folder=str(folder / "run"))
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
        results.append(float(done.stdout.split("FIRST")[-1].split()[0]))
    return results[0], results[1]


_register_fixed_batch()
