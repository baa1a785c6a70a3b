"""Who is timed against whom: each trains the same LeNet on the same images, in a process of its own, in turns.

``python contenders.py NAME FOLDER BATCH_SIZE ITERATIONS same|own`` trains without end; after each line on its standard
input it takes ITERATIONS iterations and prints the seconds that they took. Between two turns it sleeps.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pegboard.cli.tuning import tune_process

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
SGD = {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}


class Turns:
    """Waits for its turn, and times it."""

    def __init__(self, iterations: int) -> None:
        self.out, sys.stdout = sys.stdout, sys.stderr  # what frameworks print is not for whoever counts the turns
        self.iterations = iterations
        self.done = iterations  # the first call of `iteration` begins by waiting

    def iteration(self) -> None:
        """Called before each iteration."""
        if self.done == self.iterations:
            self.done = 0
            if not sys.stdin.readline():
                os._exit(0)  # nobody asks any more; whatever framework called must not tidy up at length
            self.began = time.perf_counter()
        self.done += 1

    def after(self) -> None:
        """Called after each iteration."""
        if self.done == self.iterations:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print("TURN", time.perf_counter() - self.began, peak, file=self.out, flush=True)


def files_and_targets(folder: Path) -> list[tuple[Path, int]]:
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    return [(file, number) for number, of_class in enumerate(classes) for file in sorted(of_class.iterdir())]


def lenet() -> Any:
    import torch

    from pegboard_models.lenet import LeNet

    torch.manual_seed(0)
    return LeNet(10)


def sgd(model: Any) -> Any:
    import torch

    return torch.optim.SGD(model.parameters(), **SGD)


# -- the bare loop: the ceiling ----------------------------------------------------------------------------------------


def images_in_memory(folder: Path) -> tuple[Any, Any]:
    """(N, 3, 32, 32) uint8 and (N,) int64."""
    import numpy as np
    import torch
    from PIL import Image

    samples = files_and_targets(folder)
    images = torch.empty(len(samples), 3, 32, 32, dtype=torch.uint8)
    for index, (file, _) in enumerate(samples):
        with Image.open(file) as image:
            images[index] = torch.from_numpy(np.asarray(image.convert("RGB")).transpose(2, 0, 1).copy())
    return images, torch.tensor([target for _, target in samples])


def bare_batches(images: Any, targets: Any, batch_size: int, chunk: int = 512) -> Iterator[tuple[Any, Any]]:
    """Crop, flip and normalise several batches at once, by numpy and torch alone."""
    import numpy as np
    import torch

    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (MEAN, STD))
    random = np.random.default_rng(0)
    per_chunk = max(1, chunk // batch_size) * batch_size
    while True:
        order = torch.from_numpy(random.permutation(len(images)))
        whole = len(order) // batch_size * batch_size
        for begin in range(0, whole, per_chunk):
            index = order[begin : min(begin + per_chunk, whole)]
            size = len(index)
            padded = np.zeros((size, 3, 40, 40), np.uint8)
            padded[:, :, 4:-4, 4:-4] = images.index_select(0, index).numpy()
            windows = np.lib.stride_tricks.sliding_window_view(padded, (32, 32), axis=(2, 3))
            top, left = random.integers(0, 9, (2, size))
            cut = windows[np.arange(size), :, top, left]
            mirrored = random.random(size) < 0.5
            cut[mirrored] = cut[mirrored, :, :, ::-1]
            floats = torch.from_numpy(cut).float().div_(255).sub_(mean).div_(std)
            yield from zip(floats.split(batch_size), targets.index_select(0, index).split(batch_size), strict=True)


def bare(folder: Path, batch_size: int, turns: Turns) -> None:
    """What a careful person writes by hand: nothing but data, forward, backward and step."""
    import torch

    images, targets = images_in_memory(folder)
    model = lenet().to(memory_format=torch.channels_last)
    optimizer, criterion = sgd(model), torch.nn.CrossEntropyLoss()
    turns.iteration()
    for inputs, labels in bare_batches(images, targets, batch_size):
        optimizer.zero_grad()
        loss = criterion(model(inputs.contiguous(memory_format=torch.channels_last)), labels)
        loss.backward()
        optimizer.step()
        turns.after()
        turns.iteration()


# -- this project ------------------------------------------------------------------------------------------------------


def config(folder: Path, batch_size: int) -> Any:
    from pegboard import Config

    return Config.from_values(
        {
            "train": {
                "dataset": {"type": "ImageFolder", "root": str(folder)},
                "transforms": [
                    {"type": "RandomCrop", "size": 32, "padding": 4},
                    {"type": "RandomHorizontalFlip"},
                    {"type": "ToFloat"},
                    {"type": "Normalize", "mean": MEAN, "std": STD},
                ],
                "batch_size": batch_size,
                "shuffle": True,
                "drop_last": True,
            },
            "model": {"type": "LeNet"},
            "loss": {"type": "CrossEntropyLoss"},
            "optimizer": {"type": "SGD", **SGD},
            "metrics": {"top1": {"type": "Accuracy"}},
            "channels_last": True,
            "train_for": "100000 epochs",
            "checkpoint": {"every": "100000 epochs"},
        }
    )


def runner(folder: Path, batch_size: int, turns: Turns) -> None:
    """The Runner with its default hooks and the accuracy of each training batch."""
    from pegboard import Runner

    with tempfile.TemporaryDirectory() as work:
        run = Runner(config(folder, batch_size), folder=Path(work) / "run")
        timed(run, turns)
        run.train()


def timed(run: Any, turns: Turns) -> None:
    """Take turns around the data, the step and the hooks of each iteration: the loop asks for a batch between two."""
    use_hooks = run.use_hooks

    def when_built(hooks: dict[str, Any]) -> None:
        use_hooks(hooks)
        waiting = run.speed.waiting

        def in_turns(batches: Any) -> Iterator[Any]:
            turns.iteration()
            for batch in waiting(batches):
                try:
                    yield batch
                finally:  # also where the loop leaves after an epoch's last batch
                    turns.after()
                turns.iteration()

        run.speed.waiting = in_turns

    run.use_hooks = when_built


# -- the tutorial loop -------------------------------------------------------------------------------------------------


class PilFiles:
    """A Dataset as tutorials write it: an image file opened, decoded and transformed at each access."""

    def __init__(self, folder: Path, in_memory: bool) -> None:
        from PIL import Image
        from torchvision import transforms

        self.samples = files_and_targets(folder)
        self.images = [Image.open(file).convert("RGB") for file, _ in self.samples] if in_memory else None
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        from PIL import Image

        file, target = self.samples[index]
        image = self.images[index] if self.images else Image.open(file).convert("RGB")
        return self.transform(image), target


def data_loader(folder: Path, batch_size: int, in_memory: bool, workers: int) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(
        PilFiles(folder, in_memory),  # type: ignore[arg-type]  # a Dataset in all but name
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def tutorial(folder: Path, batch_size: int, turns: Turns, in_memory: bool, workers: int) -> None:
    """Files or images through a DataLoader, and ``.item()`` at each step."""
    import torch

    loader = data_loader(folder, batch_size, in_memory, workers)
    model = lenet()
    optimizer, criterion = sgd(model), torch.nn.CrossEntropyLoss()
    running = 0.0
    while True:
        turns.iteration()
        for inputs, labels in loader:
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            running += loss.item()
            turns.after()
            turns.iteration()
        turns.done -= 1


# -- other frameworks --------------------------------------------------------------------------------------------------


class OurBatches:
    """Our in-memory loader as an iterable of (inputs, targets), one epoch after the other."""

    def __init__(self, folder: Path, batch_size: int) -> None:
        from pegboard.runner.build import Builder

        self.loader = Builder(config(folder, batch_size)).loader("train")
        self.dataset = self.loader.dataset
        self.epoch = -1

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        self.epoch += 1
        for inputs, targets, _ in self.loader.batches(self.epoch):
            yield inputs, targets


def lightning(folder: Path, batch_size: int, turns: Turns, loader: Any) -> None:
    """Lightning's Trainer, CPU, its progress bar and checkpoints off."""
    import torch
    from lightning.pytorch import Callback, LightningModule, Trainer

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.criterion = lenet(), torch.nn.CrossEntropyLoss()

        def training_step(self, batch: Any, number: int) -> Any:
            loss = self.criterion(self.model(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return sgd(self.model)

    class Timed(Callback):
        def on_train_start(self, *_: Any) -> None:
            turns.iteration()

        def on_train_batch_end(self, *_: Any) -> None:
            turns.after()
            turns.iteration()

    with tempfile.TemporaryDirectory() as work:
        Trainer(
            max_epochs=-1,
            accelerator="cpu",
            callbacks=[Timed()],
            enable_progress_bar=False,
            enable_checkpointing=False,
            default_root_dir=work,
        ).fit(Module(), loader)


def mmengine(folder: Path, batch_size: int, turns: Turns, loader: Any) -> None:
    """mmengine's Runner with its default hooks."""
    import torch
    from mmengine.hooks import Hook
    from mmengine.model import BaseModel
    from mmengine.runner import Runner

    class Model(BaseModel):  # type: ignore[misc]  # has no types
        def __init__(self) -> None:
            super().__init__()
            self.model, self.criterion = lenet(), torch.nn.CrossEntropyLoss()

        def forward(self, inputs: Any, targets: Any, mode: str) -> Any:
            return {"loss": self.criterion(self.model(inputs), targets)}

    class Timed(Hook):  # type: ignore[misc]  # has no types
        def before_train(self, runner: Any) -> None:
            turns.iteration()

        def after_train_iter(self, *_: Any, **__: Any) -> None:
            turns.after()
            turns.iteration()

    with tempfile.TemporaryDirectory() as work:
        Runner(
            model=Model(),
            work_dir=work,
            train_dataloader=loader,
            optim_wrapper={"optimizer": {"type": "SGD", **SGD}},
            train_cfg={"by_epoch": True, "max_epochs": 100000},
            default_hooks={"checkpoint": None},
            custom_hooks=[Timed()],
            log_level="WARNING",
        ).train()


TUNED = ("runner", "bare")  # `pegboard train` tunes its process, and so does whoever writes the fastest loop by hand
CONTENDERS: dict[str, Callable[[Path, int, Turns], None]] = {
    "runner": runner,
    "bare": bare,
    "tutorial@0": lambda folder, size, turns: tutorial(folder, size, turns, False, 0),
    "tutorial@2": lambda folder, size, turns: tutorial(folder, size, turns, False, 2),
    "tutorial-memory@0": lambda folder, size, turns: tutorial(folder, size, turns, True, 0),
    "tutorial-memory@2": lambda folder, size, turns: tutorial(folder, size, turns, True, 2),
    "mmengine@0": lambda folder, size, turns: mmengine(folder, size, turns, data_loader(folder, size, True, 0)),
    "mmengine@2": lambda folder, size, turns: mmengine(folder, size, turns, data_loader(folder, size, True, 2)),
    "mmengine-fed": lambda folder, size, turns: mmengine(folder, size, turns, OurBatches(folder, size)),
    "lightning@0": lambda folder, size, turns: lightning(folder, size, turns, data_loader(folder, size, True, 0)),
    "lightning@2": lambda folder, size, turns: lightning(folder, size, turns, data_loader(folder, size, True, 2)),
    "lightning-fed": lambda folder, size, turns: lightning(folder, size, turns, OurBatches(folder, size)),
}


if __name__ == "__main__":
    name, where, size, count, settings = sys.argv[1:]
    if settings == "same" or name in TUNED:
        tune_process()
    CONTENDERS[name](Path(where), int(size), Turns(int(count)))
