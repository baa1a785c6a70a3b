"""Images a second of several loops and frameworks that train the same LeNet on the same images, in turns."""

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.contenders import CONTENDERS, MEAN, STD

from pegboard.cli.tuning import tune_process

NAMES = ("runner", "bare", "tutorial", "tutorial-memory", "mmengine", "mmengine-fed", "lightning", "lightning-fed")
TARGETS = {"bare": 0.97, "tutorial": 8.0, "mmengine": 3.5, "lightning": 3.5}
FRAMEWORKS = ("mmengine", "lightning")


def training(arguments: argparse.Namespace) -> dict[str, Any]:
    """Print the table, and return what ``--json`` writes."""
    tune_process()
    names = chosen(arguments.only)
    size = arguments.batch_size
    iterations = arguments.iterations or max(20, 15000 // size)
    with tempfile.TemporaryDirectory() as work:
        folder = image_folder(arguments.data, arguments.images, Path(work))
        variants = [name for name in CONTENDERS if name.partition("@")[0] in names]
        settings = "same" if arguments.same_settings else "own"
        with processes(variants, folder, [str(size), str(iterations), settings]) as running:
            seconds, memory = take_turns(running, arguments.rounds)
        parts = {"augmentation": augmentation(folder), "evaluation": evaluation(folder)} if not arguments.only else {}
    speeds = {name: [size * iterations / s for s in those] for name, those in seconds.items()}
    best = {
        name: max((v for v in variants if v.partition("@")[0] == name), key=lambda v: median(speeds[v]))
        for name in names
    }
    result: dict[str, Any] = {
        "images_per_second": {name: median(speeds[best[name]]) for name in names},
        "ratios": {},
        "intervals": {},
        "peak_memory_mib": {name: memory[best[name]] for name in names},
        "rounds": arguments.rounds,
        "batch_size": size,
        **parts,
    }
    for name in names:
        if "runner" in names and name != "runner":
            ratios = [a / b for a, b in zip(speeds[best["runner"]], speeds[best[name]], strict=True)]
            result["ratios"][name] = median(ratios)
            result["intervals"][name] = interval(ratios)
    show(result, best)
    return result


def chosen(only: Sequence[str] | None) -> list[str]:
    """The contenders to time; a framework that is not installed is left out, and said."""
    from importlib.util import find_spec

    if unknown := set(only or ()) - set(NAMES):
        raise SystemExit(f"no contender is called {sorted(unknown)[0]!r}; there are {', '.join(NAMES)}")
    names = [name for name in NAMES if not only or name in only]
    for framework in FRAMEWORKS:
        if find_spec(framework) is None and any(name.startswith(framework) for name in names):
            print(f"{framework} is not installed (pip install -e '.[bench]'); it is left out")
            names = [name for name in names if not name.startswith(framework)]
    return names


def image_folder(data: str | None, count: int, work: Path) -> Path:
    """A folder of class folders with ``count`` JPEG files: links to real ones, or drawn shapes."""
    if data is not None:
        source = Path(data) / "train" if (Path(data) / "train").is_dir() else Path(data)
        classes = sorted(path for path in source.iterdir() if path.is_dir())
        for of_class in classes:
            (work / of_class.name).mkdir()
            for file in sorted(of_class.iterdir())[: count // len(classes)]:
                (work / of_class.name / file.name).symlink_to(file.resolve())
        return work
    from PIL import Image

    from pegboard import DATASETS

    shapes = DATASETS.build({"type": "DrawnShapes", "count": count})
    for index in range(count):
        image, target = shapes[index]
        (work / f"{target}").mkdir(exist_ok=True)
        pixels = image.permute(1, 2, 0).numpy() if hasattr(image, "permute") else image
        (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(
            work / f"{target}" / f"{index}.jpg"
        )
    return work


@contextmanager
def processes(
    variants: Sequence[str], folder: Path, arguments: Sequence[str]
) -> Iterator[dict[str, "subprocess.Popen[str]"]]:
    """Every variant in a process of its own, each waiting for its turn."""
    script = str(Path(__file__).with_name("contenders.py"))
    running = {}
    try:
        for name in variants:
            command = [sys.executable, script, name, str(folder), *arguments]
            running[name] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            turn(name, running[name])  # starts, and warms up, alone
        yield running
    finally:
        for process in running.values():
            process.kill()
            process.communicate()


def take_turns(
    running: "dict[str, subprocess.Popen[str]]", rounds: int
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Seconds of each turn, and the peak memory in MiB, of each variant; the order changes from round to round."""
    seconds: dict[str, list[float]] = {name: [] for name in running}
    memory: dict[str, int] = {}
    shuffle = random.Random(0)
    for _ in range(rounds):
        for name in shuffle.sample(list(running), len(running)):
            took, memory[name] = turn(name, running[name])
            seconds[name].append(took)
    return seconds, memory


def turn(name: str, process: "subprocess.Popen[str]") -> tuple[float, int]:
    """One turn: seconds, and the peak memory so far in MiB."""
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    try:
        process.stdin.write("\n")
        process.stdin.flush()
        answer = next((line.split() for line in process.stdout if line.startswith("TURN")), None)
    except BrokenPipeError:
        answer = None
    if answer is None:
        raise SystemExit(f"{name} failed:\n{process.stderr.read()}")
    return float(answer[1]), int(answer[2])


def augmentation(folder: Path, rounds: int = 5) -> dict[str, float]:
    """Images a second of our loader alone: crop, mirror, to float, normalise."""
    from bench.contenders import OurBatches

    batches = OurBatches(folder, 128)
    return {
        "images_per_second": median(
            [len(batches) * 128 / spent(lambda: sum(1 for _ in batches)) for _ in range(rounds)]
        )
    }


def evaluation(folder: Path, rounds: int = 5, batch_size: int = 500) -> dict[str, float]:
    """Images a second of evaluating every image: ours from memory, and the tutorial's loop from memory, in turns."""
    import torch
    from bench.contenders import config, data_loader, lenet
    from torchvision import transforms

    from pegboard import Runner

    setup = config(folder, batch_size)
    plain = {**setup.values["train"], "transforms": setup.values["train"]["transforms"][2:], "shuffle": False}
    setup.values["test"] = {**plain, "drop_last": False}
    run = Runner(setup)
    model = lenet()
    loader = data_loader(folder, batch_size, True, 0)
    loader.dataset.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    ours_loader = None

    def tutorial() -> None:
        correct = 0
        with torch.no_grad():
            for inputs, labels in loader:
                correct += (model(inputs).argmax(1) == labels).sum().item()

    def ours() -> None:
        run.evaluate(ours_loader, "test")  # type: ignore[arg-type]  # set below

    run.test("test", {"model": model.state_dict()})
    ours_loader = run.builder.loader("test")
    ratios, speeds = [], []
    for _ in range(rounds):
        us, them = spent(ours), spent(tutorial)
        ratios.append(them / us)
        speeds.append(len(ours_loader.dataset) / us)
    return {"images_per_second": median(speeds), "ratio_to_tutorial": median(ratios)}


def spent(work: Any) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 4)


def interval(ratios: Sequence[float], draws: int = 2000) -> tuple[float, float]:
    """95 % interval of the median, by bootstrap."""
    random_ = random.Random(0)
    medians = sorted(statistics.median(random_.choices(ratios, k=len(ratios))) for _ in range(draws))
    return round(medians[int(0.025 * draws)], 4), round(medians[int(0.975 * draws)], 4)


def show(result: dict[str, Any], best: dict[str, str]) -> None:
    """The table."""
    print(f"{'':<17} {'images/s':>9}  {'Runner is':>9}  {'95 % interval':>15}  {'target':>6}  {'memory':>8}")
    for name, speed in result["images_per_second"].items():
        ratio = result["ratios"].get(name)
        low, high = result["intervals"].get(name, (0, 0))
        target = f"{TARGETS[name]:g} x" if name in TARGETS and ratio else ""
        row = [f"{ratio:.2f} x" if ratio else "", f"{low:.2f} to {high:.2f}" if ratio else "", target]
        workers = best[name].partition("@")[2]
        note = f"  ({workers} workers)" if workers else ""
        memory = f"{result['peak_memory_mib'][name]:,} MiB"
        print(f"{name:<17} {speed:>9,.0f}  {row[0]:>9}  {row[1]:>15}  {row[2]:>6}  {memory:>8}{note}")
    if "augmentation" in result:
        ours, eval_ = result["augmentation"]["images_per_second"], result["evaluation"]
        print(f"augmentation alone {ours:,.0f} images/s (target 100,000)")
        print(
            f"evaluation {eval_['images_per_second']:,.0f} images/s, {eval_['ratio_to_tutorial']:.1f} x the tutorial's "
            "loop from memory (target 4)"
        )
