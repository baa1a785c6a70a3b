"""How long a run takes until its first iteration is over, and what memory its processes take, by the size of the index.

Two things are measured that differ between runs of one config: the first start, which reads the index file, and the
next one, which need not. The cache folder is of the measurement's own, and holds all else already.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

CONFIG = """
plugins = [{here!r}]
train = dict(
    dataset=dict(type="IndexFile", path={index!r}),
    transforms=[dict(type="Resize", size=32), dict(type="ToFloat")],
    batch_size=64, shuffle=True, mode="workers", workers={workers},
)
model = dict(type="LeNet")
loss = dict(type="CrossEntropyLoss")
optimizer = dict(type="SGD", lr=0.01)
train_for = "{iterations} iters"
threads = 1
hooks = dict(tensorboard=None, report=None, measure=dict(type="MeasureStart", folder={folder!r}))
"""

ITERATIONS = 8
FILES = 300  # images that the index lists over and over
MIB = 2**20
TRAIN = Path(__file__).resolve().parents[1] / "train.py"


def start(arguments: Namespace) -> dict[str, Any]:
    """Each number of samples with each number of ranks, first and again."""
    rows = []
    print("                              first iteration      MiB held, at most by       MiB of")
    print("   samples  ranks  start     after s    CPU s        a rank  its worker          all")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = _images(folder, arguments.data)
        for samples in (1000, arguments.samples):
            index = folder / f"{samples}.txt"
            _write_index(index, images, samples)
            for ranks in arguments.ranks:
                for cache in folder.glob("cache/index-*"):
                    cache.unlink()
                if not rows:
                    _started(folder, index, ranks, arguments)  # the names of bridged parts are cached by it
                for which in ("first", "again"):
                    row = {"samples": samples, "ranks": ranks, "start": which}
                    row |= _started(folder, index, ranks, arguments)
                    rows.append(row)
                    print(
                        f"{samples:10,} {ranks:6}  {which}   {row['seconds']:10.2f}{row['cpu_seconds']:9.2f}"
                        f"{row['rank']:14.1f}{row['worker']:12.1f}{row['all']:13.1f}",
                        flush=True,
                    )
    return {"iterations": ITERATIONS, "workers": arguments.workers, "method": arguments.start_method, "rows": rows}


def _images(folder: Path, data: str | None) -> list[Path]:
    """Some image files: of the data that is named, or drawn."""
    if data is not None:
        found = sorted((Path(data) / "train").glob("*/*"))
        return [file.resolve() for file in found[:: max(1, len(found) // FILES)][:FILES]]
    import numpy as np
    from PIL import Image

    (folder / "images").mkdir()
    files = [folder / "images" / f"{number:03}.jpg" for number in range(FILES)]
    for number, file in enumerate(files):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file)
    return files


def _write_index(index: Path, images: list[Path], samples: int) -> None:
    with index.open("w", encoding="utf-8") as file:
        file.writelines(f"{images[number % len(images)]} {number % 10}\n" for number in range(samples))


def _started(folder: Path, index: Path, ranks: int, arguments: Namespace) -> dict[str, Any]:
    """One run: seconds until the slowest rank has done its first iteration, and the memory of all its processes."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        config = Path(name) / "config.py"
        told = {"here": str(Path(__file__).resolve()), "index": str(index), "folder": name}
        config.write_text(CONFIG.format(workers=arguments.workers, iterations=ITERATIONS, **told), encoding="utf-8")
        own = {"PEGBOARD_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
        own["PEGBOARD_START_METHOD"] = arguments.start_method
        command = [str(TRAIN), str(config), "--work-dir", f"{name}/run"]
        if ranks > 1:
            command = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", *command]
        began = time.time()
        done = subprocess.run(
            [sys.executable, *command], env=os.environ | own, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"a run of {ranks} ranks ended with status {done.returncode}:\n{done.stderr[-3000:]}")
        told_by = [json.loads(file.read_text()) for file in Path(name).glob("rank*.json")]
    workers = [memory for told in told_by for memory in told["workers"]]
    processes = [told["memory"] for told in told_by] + workers
    return {
        "seconds": max(told["time"] for told in told_by) - began,
        "cpu_seconds": max(told["cpu"] for told in told_by),
        "rank": max(told["memory"]["held"] for told in told_by) / MIB,
        "worker": max((memory["held"] for memory in workers), default=0) / MIB,
        "all": sum(memory["part"] for memory in processes) / MIB,
    }


def memory_of(process: int | str) -> dict[str, int]:
    """Bytes of memory: ``held``, which a process has written to; ``part``, its part of all that it has mapped.

    What it holds together with a process that it was forked from, or that was forked from it, counts as held by both;
    a part of what several have mapped is that divided by their number.
    """
    told = Path(f"/proc/{process}/smaps_rollup").read_text()
    sizes = {name: 1024 * int(size) for name, size in re.findall(r"^(\w+): +(\d+) kB", told, re.MULTILINE)}
    return {"held": sizes["Anonymous"], "part": sizes["Pss"]}


def _register_measure() -> None:
    """The hook that tells what is measured, registered when a config names this file as a plugin."""
    import multiprocessing

    from pegboard import HOOKS, Hook

    if "PEGBOARD_START_METHOD" in os.environ:
        multiprocessing.set_start_method(os.environ["PEGBOARD_START_METHOD"], force=True)

    @HOOKS.register
    class MeasureStart(Hook):
        """Writes when the first iteration was over, and the memory of this rank and its workers at the last."""

        essential = True

        def __init__(self, folder: str) -> None:
            self.folder = Path(folder)
            self.time = self.cpu = 0.0

        def after_train_iter(self, run: Any, batch: Any, loss: Any, outputs: Any) -> None:
            if not self.time:
                self.time, self.cpu = time.time(), time.process_time()
            if run.iteration != ITERATIONS:
                return
            told = {
                "time": self.time,
                "cpu": self.cpu,
                "memory": memory_of("self"),
                "workers": [memory_of(worker.pid) for worker in multiprocessing.active_children() if worker.pid],
            }
            (self.folder / f"rank{os.environ.get('RANK', 0)}.json").write_text(json.dumps(told))


if __name__ != "bench.start":  # a config has named this file
    _register_measure()
