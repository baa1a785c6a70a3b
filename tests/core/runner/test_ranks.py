"""A run of several processes: the results of one, to rounding; one writer; ends that reach every rank."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pegboard import Batch, Hook, Loader, PegboardError, PeriodicHook, Runner, Sampler
from pegboard.registry import BOARDS
from pegboard.runner import prepare
from pegboard.runner.contents import contents
from pegboard.runner.predictions import predictions_file
from tests import ranks, runs


class Double(nn.Module):
    """LeNet in float64, where nothing but the order of sums can differ."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.net = BOARDS["models"].build({"type": "LeNet"}, "model", {"num_classes": num_classes}).double()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images.double())
        return logits


class Idle(nn.Module):
    """Has a layer that no forward reaches."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.used, self.idle = nn.Linear(192, num_classes), nn.Linear(2, 2)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.used(images.flatten(1))
        return logits


class Backwards(Sampler):
    """A user's own order: from the last sample to the first, and the last once more."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count + 1

    def order(self, seed: int, epoch: int) -> NDArray[np.int64]:
        return np.array([*reversed(range(self.count)), self.count - 1])


class Seen(Hook):
    """Keeps which samples, and which pixels, each rank trains on, and what it is given of the whole batch."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, int, list[int], Tensor]] = []
        self.wholes: list[tuple[list[int], list[int], int]] = []

    def before_train_iter(self, run: Runner, batch: Batch) -> None:
        self.parts.append((run.epoch, run.iteration, batch.index.tolist(), batch.inputs.clone()))

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        self.wholes.append((batch.index.tolist(), batch.targets.tolist(), len(outputs)))


class Pixels(Hook):
    """Looks at the whole batch on the first rank, in training and in validation."""

    ranks = "first"
    needs_inputs = True
    essential = True

    def __init__(self) -> None:
        self.sizes: list[list[int]] = []

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        self.sizes.append([len(batch.inputs), len(outputs), len(batch.index)])

    def after_val_iter(self, run: Runner, batch: Batch, outputs: Any) -> None:
        self.sizes.append([len(batch.inputs), len(outputs), len(batch.index)])

    def after_run(self, run: Runner) -> None:
        (run.folder / "sizes.json").write_text(json.dumps(self.sizes))


class Stop(Hook):
    """Asks on the first rank alone."""

    ranks = "first"

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        if run.iteration == 4:
            run.stop("enough")


class Late(PeriodicHook):
    """Says on every rank where the run ended, if it did so before its full length."""

    def __init__(self) -> None:
        super().__init__("10 iters")

    def at_end(self, run: Runner) -> None:
        rank = os.environ.get("RANK", "0")
        (run.folder / f"end{rank}.txt").write_text(f"{run.iteration}")


def _loader(count: int, batch: int, size: int = 8, seed: int = 0, **more: Any) -> dict[str, Any]:
    pixels = [{"type": "RandomCrop", "size": size, "padding": 1}, {"type": "RandomHorizontalFlip"}]
    return {
        "dataset": {"type": "Dots", "count": count, "seed": seed, "size": size},
        "transforms": [*pixels, {"type": "ToFloat"}, *more.pop("also", ())],
        "batch_size": batch,
        **more,
    }


LENET = {"train": _loader(85, 8, 32, shuffle=True), "val": _loader(21, 6, 32, 1), "train_for": "50 iters"}
UNEVEN = {"train": _loader(21, 5, shuffle=True), "val": _loader(21, 5, seed=1), "train_for": "2 epochs"}
WEIGHTED = {"type": "CrossEntropyLoss", "weight": [1.0, 2.0, 0.5, 3.0], "ignore_index": 2}
F1 = {"top1": {"type": "Accuracy"}, "f1": {"type": "MulticlassF1Score", "average": "macro"}}

# Name -> what a run changes in the config of tests/runs.py.
SAME: dict[str, dict[str, Any]] = {
    "lenet": {**LENET, "model": {"type": "LeNet"}},
    "double": {**LENET, "model": {"type": "Double"}},
    "uneven": {
        **UNEVEN,
        "loss": WEIGHTED,
        "metrics": F1,
        "hooks": {"seen": {"type": "Seen"}, "confusion": {"type": "ConfusionMatrix", "pairs": 0}},
    },
    "workers": {**UNEVEN, "train": _loader(21, 5, shuffle=True, mode="workers", workers=1)},
    "several losses": {**UNEVEN, "loss": {"a": WEIGHTED, "b": {"type": "MultiMarginLoss", "loss_weight": 0.5}}},
    "pieces": {
        **UNEVEN,
        "accumulate": 2,
        "clip_grad": {"norm": 0.5},
        "hooks": {"ema": {"type": "EMA"}, "p": {"type": "Pixels"}},
    },
    "phases": {
        **UNEVEN,
        "model": {"type": "LeNet"},
        "train": _loader(21, 5, 32),
        "val": _loader(21, 5, 32),
        "train_for": None,
        "phases": [{"train_for": "1 epochs", "freeze": ["conv*"]}, {"train_for": "1 epochs", "batch_size": 8}],
    },
    "sampler": {**UNEVEN, "train": _loader(21, 5, sampler={"type": "Backwards", "count": 21})},
    "mixed": {**UNEVEN, "train": _loader(21, 5, shuffle=True, also=[{"type": "MixUp"}])},
    "lbfgs": {**UNEVEN, "optimizer": {"type": "LBFGS", "lr": 0.1, "max_iter": 3}},
    "bf16": {**UNEVEN, "precision": "bf16"},
    "unused": {**UNEVEN, "model": {"type": "Idle"}, "unused_parameters": True},
    "compiled": {**UNEVEN, "compile": {"backend": "aot_eager"}},
    "stop": {**UNEVEN, "hooks": {"stop": {"type": "Stop"}, "late": {"type": "Late"}}},
}
CLOSE = {"double": 1e-12, "bf16": 2e-3}
SLOW = ["workers", "compiled"]
QUICK = [name for name in SAME if name not in SLOW]


def _hang_up() -> None:
    runs.hang_up()
    for part in (Double, Idle):
        BOARDS["models"].register(part, supplied=("num_classes",))
    BOARDS["samplers"].register(Backwards)
    for hook in (Seen, Pixels, Stop, Late):
        BOARDS["hooks"].register(hook)


def _train(folder: Path, names: list[str]) -> None:
    """Every run of the table, one after the other, in this process and those beside it."""
    _hang_up()
    rank = os.environ.get("RANK", "0")
    hashed: list[str] = []

    def counted(loader: Loader) -> dict[str, Any]:
        hashed.append(loader.what)
        return contents(loader)

    prepare.contents = counted
    for name in names:
        hashed.clear()
        run = runs.runner(folder / name, **SAME[name])
        run.train()
        if name == "uneven":
            torch.save((run.hooks["seen"].parts, run.hooks["seen"].wholes), folder / name / f"seen{rank}.pt")
            told = json.dumps({"contents": run.contents, "hashed": hashed})
            (folder / f"contents{rank}.json").write_text(told)
            run.builder.values["test"] = run.config.values["test"] = SAME[name]["val"]
            run.final |= _tested(run, folder / name)
        figures = {"iterations": run.iteration, "stopped": run.stop_reason, **run.final}
        torch.save((run.model.state_dict(), figures), folder / name / f"weights{rank}.pt")
    if names == QUICK:
        _refusals(folder)


def _tested(run: Runner, folder: Path) -> dict[str, float]:
    with predictions_file(run, str(folder / "predictions.csv"), "test"):
        return run.test()


def _refusals(folder: Path) -> None:
    try:
        runs.train(folder / "idle", **{**SAME["unused"], "unused_parameters": False})
    except PegboardError as error:
        (folder / f"idle{os.environ.get('RANK', '0')}.txt").write_text(str(error))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Number of ranks -> folder of the runs."""
    folders = {world: tmp_path_factory.mktemp(f"ranks{world}") for world in (1, 2)}
    for world, folder in folders.items():
        assert set(ranks.call(world, _train, folder, QUICK, logs=folder)) == {0}, _logs(folder)
    return folders


def _logs(folder: Path) -> str:
    return "\n".join(file.read_text() for file in sorted(folder.glob("*.log")))


def _results(folder: Path, name: str, rank: int = 0) -> tuple[dict[str, Tensor], dict[str, Any]]:
    weights, figures = torch.load(folder / name / f"weights{rank}.pt")
    return weights, figures


def _compare(one: Path, several: Path, name: str, world: int) -> None:
    close = CLOSE.get(name, 1e-5)
    weights, figures = _results(one, name)
    for rank in range(world):
        others, found = _results(several, name, rank)
        for key, weight in weights.items():
            assert (weight - others[key]).abs().max() <= close, (name, key)
        assert found.keys() == figures.keys()
        for key, value in figures.items():
            exact = isinstance(value, str | int) or key.endswith(("top1", "f1"))
            assert found[key] == value if exact else abs(found[key] - value) <= 10 * close, (name, key)


@pytest.mark.parametrize("name", QUICK)
def test_two_ranks_give_the_weights_and_figures_of_one(trained: dict[int, Path], name: str) -> None:
    _compare(trained[1], trained[2], name, 2)


def test_the_comparison_tells_runs_apart(trained: dict[int, Path]) -> None:
    folder = trained[2] / "broken"
    (folder / "lenet").mkdir(parents=True)
    weights, figures = _results(trained[2], "lenet")
    next(iter(weights.values())).view(-1)[0] += 1e-4
    torch.save((weights, figures), folder / "lenet" / "weights0.pt")
    with pytest.raises(AssertionError):
        _compare(trained[1], folder, "lenet", 1)


def _compare_seen(one: Path, several: Path, world: int) -> None:
    """The ranks' parts one after the other are the batches of one process; a rank without samples borrows some."""
    parts, wholes = torch.load(one / "uneven" / "seen0.pt")
    others = [torch.load(several / "uneven" / f"seen{rank}.pt") for rank in range(world)]
    borrowed = 0
    for number, (epoch, iteration, index, inputs) in enumerate(parts):
        mine = [seen[0][number] for seen in others]
        assert {(part[0], part[1]) for part in mine} == {(epoch, iteration)}
        counted = mine[: len(index)]
        borrowed += world - len(counted)
        assert [sample for part in counted for sample in part[2]] == index
        assert torch.equal(torch.cat([part[3] for part in counted]), inputs)
        assert all(seen[1][number] == wholes[number] for seen in others)
    assert borrowed  # the last batch of an epoch is a single sample


def test_two_ranks_see_the_samples_and_pixels_of_one(trained: dict[int, Path]) -> None:
    _compare_seen(trained[1], trained[2], 2)


def _compare_counts(one: Path, several: Path) -> None:
    """Each of the 21 samples stands once in the predictions and in the confusion matrix."""
    mine, others = ((folder / "uneven" / "predictions.csv").read_text().splitlines() for folder in (one, several))
    assert len(mine) == 22
    assert [line.split(",")[:3] for line in mine] == [line.split(",")[:3] for line in others]
    mine, others = (sorted((folder / "uneven" / "figures").rglob("Confusion_Matrix*.csv")) for folder in (one, several))
    assert len(mine) == len(others) == 1
    table = list(csv.reader(mine[0].read_text().splitlines()))
    assert sum(int(count) for row in table[1:] for count in row[-4:]) == 21
    assert mine[0].read_bytes() == others[0].read_bytes()


def test_predictions_and_the_confusion_matrix_have_each_sample_once(trained: dict[int, Path]) -> None:
    _compare_counts(trained[1], trained[2])


def test_a_run_that_is_stopped_ends_at_once_on_every_rank(trained: dict[int, Path]) -> None:
    ends = [(trained[2] / "stop" / f"end{rank}.txt").read_text() for rank in (0, 1)]
    assert ends == ["4", "4"]


def test_the_first_rank_writes_and_each_has_a_log(trained: dict[int, Path]) -> None:
    one, two = ({p.name for p in (trained[world] / "uneven").iterdir()} for world in (1, 2))
    assert two - one == {"log_rank1.txt", "weights1.pt", "seen1.pt"}
    lines = [runs.records(trained[world] / "uneven") for world in (1, 2)]
    assert [line.keys() for line in lines[0]] == [line.keys() for line in lines[1]]
    assert json.loads((trained[2] / "uneven" / "environment.json").read_text())["ranks"] == 2
    assert "top1" not in (trained[2] / "rank1.log").read_text()  # nothing is told twice


def test_the_first_rank_hashes_the_data_and_tells_the_others(trained: dict[int, Path]) -> None:
    one = json.loads((trained[1] / "contents0.json").read_text())
    first, second = (json.loads((trained[2] / f"contents{rank}.json").read_text()) for rank in (0, 1))
    assert one["contents"] == first["contents"] == second["contents"] and one["contents"].keys() == {"train", "val"}
    assert one["hashed"] == first["hashed"] == ["train", "val"] and second["hashed"] == []


def test_the_share_of_communication_is_told(trained: dict[int, Path]) -> None:
    one, two = (json.loads((trained[world] / "lenet" / "summary.json").read_text()) for world in (1, 2))
    assert "communication" not in one
    assert 0 < two["communication"] < 1
    lines = (trained[2] / "lenet" / "timing.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["communication"] == two["communication"]


def test_a_hook_may_ask_for_the_whole_inputs(trained: dict[int, Path]) -> None:
    one, two = (json.loads((trained[world] / "pieces" / "sizes.json").read_text()) for world in (1, 2))
    assert two == one
    assert {tuple(sizes) for sizes in two} == {(5, 5, 5), (1, 1, 1)}


def test_an_unused_parameter_is_named(trained: dict[int, Path]) -> None:
    for rank in range(2):
        said = (trained[2] / f"idle{rank}.txt").read_text()
        assert "idle.weight, idle.bias got no gradient" in said and "unused_parameters=True" in said
    assert not (trained[1] / "idle0.txt").exists()  # one process does without


def _resume(folder: Path, state: Path) -> None:
    _hang_up()
    from pegboard import checkpoint

    runs.runner(folder, checkpoint.load(state), **SAME["uneven"]).train()


def _resumed(folder: Path, came_from: Path, world: int) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    state = came_from / "uneven" / "checkpoints" / "iteration_00000005.pt"
    assert set(ranks.call(world, _resume, folder, state, logs=folder / "logs")) == {0}, _logs(folder / "logs")
    return runs.newest(folder)["model"], runs.records(folder)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 3)])
def test_a_checkpoint_resumes_on_another_number_of_ranks(
    trained: dict[int, Path], tmp_path: Path, before: int, after: int
) -> None:
    weights, _ = _resumed(tmp_path / "run", trained[before], after)
    for key, weight in _results(trained[1], "uneven")[0].items():
        assert (weight - weights[key]).abs().max() <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 3])
def test_three_ranks_and_worker_processes(tmp_path: Path, world: int) -> None:
    names = list(SAME) if world == 3 else SLOW
    for count in (1, world):
        folder = tmp_path / str(count)
        assert set(ranks.call(count, _train, folder, names, logs=folder)) == {0}, _logs(folder)
    for name in names:
        _compare(tmp_path / "1", tmp_path / str(world), name, world)
    if world == 3:
        _compare_seen(tmp_path / "1", tmp_path / "3", 3)
        _compare_counts(tmp_path / "1", tmp_path / "3")
