"""FSDP against DDP on two ranks: the same weights and figures; checkpoints in parts, read by any number of ranks."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pegboard import Batch, CheckpointError, Config, Hook, PegboardError, Runner
from pegboard import checkpoint as checkpoints
from pegboard.checkpoint import Checkpoints
from pegboard.config import check
from pegboard.registry import BOARDS
from pegboard.runner.export import export
from pegboard.runner.inference import Classifier
from tests import ranks, runs
from tests.conftest import Command


class Blocks(nn.Module):
    """Layers in blocks, batch norm, and a training_step of its own."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)) for _ in range(2))
        self.head = nn.Linear(192, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        for layer in self.layers:
            images = layer(images).relu()
        logits: Tensor = self.head(images.flatten(1))
        return logits

    def training_step(self, batch: Batch, criterion: Any) -> tuple[Tensor, Tensor]:
        outputs = self(batch.inputs)
        return criterion(outputs, batch.targets), outputs


class Spoil(Hook):
    """Makes one gradient infinite, in the part that the last rank holds."""

    steers = True

    def after_backward(self, run: Runner) -> None:
        if run.iteration == 3:
            gradient = next(reversed(list(run.model.parameters()))).grad
            assert gradient is not None
            own = gradient.to_local() if hasattr(gradient, "to_local") else gradient
            own[-1:] = float("inf")


class Watch(Hook):
    """Reads the weights on the first rank alone."""

    ranks = "first"
    reads_model = True


def _loader(count: int, batch: int, size: int = 8, seed: int = 0) -> dict[str, Any]:
    return {
        "dataset": {"type": "Dots", "count": count, "seed": seed, "size": size},
        "transforms": [{"type": "RandomCrop", "size": size, "padding": 1}, {"type": "ToFloat"}],
        "batch_size": batch,
        "shuffle": seed == 0,
    }


FSDP = {"type": "FSDP", "wrap": ["conv*", "fc1"]}
SHORT = {"train": _loader(21, 5), "val": _loader(21, 5, seed=1), "train_for": "2 epochs"}
EVERY = {"checkpoint": {"every": "5 iters", "keep": 9}}
ADAMW = {"optimizer": {"type": "AdamW", "lr": 0.01}, **EVERY}

# Name -> (what a run changes in the config of tests/runs.py, its FSDP).
SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "lenet": (
        {"train": _loader(85, 8, 32), "val": _loader(21, 6, 32, 1), "train_for": "50 iters", "model": {"type": "LeNet"},
         **ADAMW, "hooks": {"ema": {"type": "EMA"}, "best": {"type": "BestCheckpoint", "metric": "val/loss",
                                                             "better": "lower"}}},
        FSDP,
    ),
    "pieces": (
        {**SHORT, "accumulate": 3, "clip_grad": {"norm": 0.5, "value": 0.2},
         "hooks": {"stats": {"type": "GradientStats", "every": "1 iters"}}, "log_every": "1 iters"},
        {"type": "FSDP"},
    ),
    "phases": (
        {**SHORT, "train": _loader(21, 5, 32), "val": _loader(21, 5, 32, 1), "model": {"type": "LeNet"},
         "train_for": None, "channels_last": True,
         "phases": [{"train_for": "1 epochs", "freeze": ["conv*"]}, {"train_for": "1 epochs", "batch_size": 8}]},
        FSDP,
    ),
    "own step": ({**SHORT, "model": {"type": "Blocks"}}, {"type": "FSDP", "wrap": ["layers.*"], "reshard": False}),
    "bf16": ({**SHORT, "precision": "bf16"}, {"type": "FSDP", "param_dtype": "bf16"}),
    "fp16": ({**SHORT, "precision": "fp16"}, {"type": "FSDP"}),
    "skip": ({**SHORT, "non_finite": {"policy": "skip"}, "hooks": {"spoil": {"type": "Spoil"}}}, {"type": "FSDP"}),
}  # fmt: skip
CLOSE = {"bf16": 2e-3, "fp16": 1e-3}


def _hang_up() -> None:
    runs.hang_up()
    BOARDS["models"].register(Blocks, supplied=("num_classes",))
    for hook in (Spoil, Watch):
        BOARDS["hooks"].register(hook)


def _train(folder: Path) -> None:
    """Every run of the table by DDP and by FSDP, one after the other."""
    _hang_up()
    rank = os.environ.get("RANK", "0")
    for name, (changes, fsdp) in SAME.items():
        for strategy in ({"type": "DDP"}, fsdp):
            where = folder / strategy["type"] / name
            run = runs.train(where, **changes, strategy=strategy)
            weights = run.whole(run.model.state_dict())
            torch.save((weights, {**run.final, "skipped": run.skipped}), where / f"weights{rank}.pt")
    _resume(folder / "resumed", folder / "FSDP" / "lenet", 25)
    with pytest.raises(PegboardError, match=r"strategy.wrap.*'cnv\*' means no module of the model; did you mean 'conv"):
        runs.train(folder / "typo", **{**SAME["lenet"][0], "strategy": {"type": "FSDP", "wrap": ["cnv*"]}})
    with pytest.raises(PegboardError, match=r"'layers', a ModuleList.*write 'layers\.\*'"):
        runs.train(folder / "list", **{**SAME["own step"][0], "strategy": {"type": "FSDP", "wrap": ["layers"]}})


def _resume(folder: Path, before: Path, iteration: int, strategy: dict[str, Any] = FSDP) -> None:
    _hang_up()
    path = before / "checkpoints" / f"iteration_{iteration:08}.pt"
    state = checkpoints.load(path, whole=False)
    runs.runner(folder, state, **SAME["lenet"][0], strategy=strategy).train()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fsdp")
    assert set(ranks.call(2, _train, folder, logs=folder)) == {0}, _logs(folder)
    return folder


def _logs(folder: Path) -> str:
    return "\n".join(file.read_text() for file in sorted(folder.glob("*.log")))


def _compare(one: Path, other: Path, name: str) -> None:
    close = CLOSE.get(name, 1e-5)
    (weights, figures), (others, found) = (torch.load(folder / name / "weights0.pt") for folder in (one, other))
    assert weights.keys() == others.keys() and figures.keys() == found.keys()
    for key, weight in weights.items():
        assert (weight - others[key]).abs().max() <= close, key
    for key, value in figures.items():
        assert abs(value - found[key]) <= 10 * close, key


@pytest.mark.parametrize("name", SAME)
def test_fsdp_gives_the_weights_and_figures_of_ddp(trained: Path, name: str) -> None:
    _compare(trained / "DDP", trained / "FSDP", name)
    first, second = (torch.load(trained / "FSDP" / name / f"weights{rank}.pt")[0] for rank in range(2))
    assert runs.same(first, second) or name == "own step"  # batch norm's means are a rank's own
    assert json.loads((trained / "FSDP" / name / "summary.json").read_text())["exit"] == "finished"


def test_the_comparison_tells_runs_apart(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "lenet").mkdir()
    weights, figures = torch.load(trained / "FSDP" / "lenet" / "weights0.pt")
    next(iter(weights.values())).view(-1)[0] += 1e-4
    torch.save((weights, figures), tmp_path / "lenet" / "weights0.pt")
    with pytest.raises(AssertionError):
        _compare(trained / "DDP", tmp_path, "lenet")


def test_a_spoiled_part_is_left_out_on_every_rank(trained: Path) -> None:
    assert torch.load(trained / "FSDP" / "skip" / "weights1.pt")[1]["skipped"] == 1


def _newest(folder: Path) -> dict[str, Any]:
    return Checkpoints(folder / "checkpoints").newest()[1]


def test_a_checkpoint_in_parts_is_read_whole_by_one_process(trained: Path) -> None:
    one, parted = (_newest(trained / strategy / "lenet") for strategy in ("DDP", "FSDP"))
    assert one["model"].keys() == parted["model"].keys() and "shards" not in parted
    for (key, weight), other in zip(one["model"].items(), parted["model"].values(), strict=True):
        assert type(other) is Tensor and (weight - other).abs().max() <= 1e-5, key
    assert one["optimizer"]["state"].keys() == parted["optimizer"]["state"].keys()
    folder = trained / "FSDP" / "lenet" / "checkpoints"
    assert len(list(_newest_shards(folder).iterdir())) == 2  # a file a rank
    for file in (*folder.glob("*.pt"),):
        assert "model" in checkpoints.load(file)
    assert Classifier(parted, "cpu").model(torch.zeros(1, 3, 32, 32)).shape == (1, 4)


def test_whole_weights_are_exported_from_a_checkpoint_in_parts(trained: Path, tmp_path: Path) -> None:
    parted = _newest(trained / "FSDP" / "lenet")
    export(parted, tmp_path / "lenet.pt", "torch", (3, 32, 32))
    assert runs.same(checkpoints.load(tmp_path / "lenet.pt"), dict(parted["model"]))


def test_averages_and_best_weights_are_whole(trained: Path) -> None:
    for name in ("ema", "best"):
        one, other = (
            checkpoints.load(trained / strategy / "lenet" / "checkpoints" / f"{name}.pt")["model"]
            for strategy in ("DDP", "FSDP")
        )
        for key, weight in one.items():
            assert type(other[key]) is Tensor and (weight - other[key]).abs().max() <= 1e-5, (name, key)


def test_a_resume_is_exact(trained: Path) -> None:
    whole, resumed = _newest(trained / "FSDP" / "lenet"), _newest(trained / "resumed")
    for state in (whole, resumed):
        del state["hooks"]["log"]  # the lengths of its files, which are new in another folder
    assert runs.same(whole, resumed)
    assert runs.records(trained / "resumed") == [
        record for record in runs.records(trained / "FSDP" / "lenet") if record.get("iteration", 0) > 25
    ]


def _agree(one: Path, other: Path) -> None:
    for key, weight in _newest(one)["model"].items():
        assert (weight - _newest(other)["model"][key]).abs().max() <= 1e-5, key


def test_a_checkpoint_of_two_ranks_resumes_in_one_process(trained: Path, tmp_path: Path, boards: None) -> None:
    _resume(tmp_path / "run", trained / "FSDP" / "lenet", 25)
    _agree(trained / "FSDP" / "lenet", tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "world", "strategy"),
    [("FSDP", 3, FSDP), ("DDP", 2, FSDP), ("FSDP", 2, {"type": "DDP"}), ("FSDP", 2, {"type": "FSDP"})],
    ids=["three ranks", "from DDP", "to DDP", "other layers"],
)
def test_a_checkpoint_resumes_on_other_ranks(
    trained: Path, tmp_path: Path, before: str, world: int, strategy: dict[str, Any]
) -> None:
    run = tmp_path / "run"
    done = ranks.call(world, _resume, run, trained / before / "lenet", 25, strategy, logs=tmp_path)
    assert set(done) == {0}, _logs(tmp_path)
    _agree(trained / before / "lenet", run)


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained / "FSDP" / "lenet", tmp_path / "run")
    return tmp_path / "run" / "checkpoints"


def _newest_shards(folder: Path) -> Path:
    return next(folder.glob("iteration_00000050-*.shards"))


def _flip(folder: Path) -> None:
    file = sorted(_newest_shards(folder).iterdir())[1]
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)


def _lose(folder: Path) -> None:
    sorted(_newest_shards(folder).iterdir())[0].unlink()


def _add(folder: Path) -> None:
    file = sorted(_newest_shards(folder).iterdir())[0]
    shutil.copy(file, file.with_name("more.safetensors"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [(_flip, "its SHA-256 is not"), (_lose, "is missing"), (_add, "is not of this checkpoint"),
     (lambda folder: shutil.rmtree(_newest_shards(folder)), "move them together")],
)  # fmt: skip
def test_a_damaged_part_is_passed_over(copied: Path, damage: Any, message: str) -> None:
    damage(copied)
    with pytest.raises(CheckpointError, match=message):
        checkpoints.load(copied / "iteration_00000050.pt")
    assert Checkpoints(copied).newest(whole=False)[1]["iteration"] == 45


def test_a_path_out_of_the_folder_is_refused(copied: Path) -> None:
    path = copied / "iteration_00000050.pt"
    contents = torch.load(path)
    contents["shards"]["folder"] = f"../checkpoints/{contents['shards']['folder']}"
    alone = copied / "other.pt"
    torch.save(contents, alone)
    with pytest.raises(CheckpointError, match="not beside it"):
        checkpoints.load(alone)


def test_what_a_killed_save_left_is_removed(copied: Path) -> None:
    left = copied / "iteration_00000099-0.shards"
    left.mkdir()
    Checkpoints(copied).go_on_from(50)
    assert not left.exists() and _newest_shards(copied).exists()


def test_the_shards_of_dropped_checkpoints_go_with_them(copied: Path) -> None:
    kept = _newest_shards(copied).name  # saved again when the run ended, and the first one removed
    Checkpoints(copied).save({"iteration": 60, "epoch": 6}, keep=2)
    assert sorted(p.name for p in copied.glob("iteration*")) == [
        kept, "iteration_00000050.pt", "iteration_00000060.pt",
    ]  # fmt: skip


# -- what check says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"strategy": {"type": "FSPD"}}, "strategy.type", "did you mean 'FSDP'"),
        ({"strategy": {"type": "FSDP", "warp": ["a"]}}, "strategy.warp", "did you mean 'wrap'"),
        ({"strategy": {"type": "FSDP", "param_dtype": "bf16"}}, "strategy.param_dtype", "write precision='bf16' too"),
        ({"optimizer": {"type": "LBFGS"}}, "optimizer.type", "LBFGS needs each weight whole"),
        ({"optimizer": {"type": "SGD", "lr": 0.1, "fused": True}}, "optimizer.fused", "no fused SGD"),
        ({"compile": True}, "compile", "leave compile out"),
        ({"hooks": {"watch": {"type": "Watch"}}}, "hooks.watch", "Watch uses the model on the first rank"),
        ({"hooks": {"cam": {"type": "GradCAM"}}}, "hooks.cam", "GradCAM uses the model on the first rank"),
        ({"hooks": {"k": {"type": "KernelPictures"}}}, "hooks.k", ""),
    ],
)
def test_check_refuses_what_cannot_be(changes: dict[str, Any], path: str, message: str, boards: None) -> None:
    _hang_up()
    if "type" in (changes.get("hooks") or {}).get("k", {}):
        changes = {"hooks": {"k": {"type": _kernels()}}}
    found = check(Config.from_values(runs.values(**{"strategy": FSDP, **changes})))
    assert [problem.path for problem in found] == [path] and message in found[0].message


def _kernels() -> str:
    return next(entry.name for entry in BOARDS["hooks"].list() if "hooks.kernels:" in entry.address)


def test_check_has_nothing_against_the_rest(boards: None) -> None:
    _hang_up()
    for changes, fsdp in SAME.values():
        assert not check(Config.from_values(runs.values(**changes, strategy=fsdp)))


def test_check_may_be_the_first_to_ask_for_a_strategy(repository: Path, pegboard_cli: Command) -> None:
    """In a process of its own, where the runner has not been imported."""
    strategy = "strategy=dict(type='FSDP', wrap=['conv*'])"
    found = pegboard_cli("check", "configs/lenet_cifar.py", "--cfg-options", strategy, cwd=repository)
    assert found.returncode == 2 and "hooks.cam: GradCAM uses the model" in found.stderr, found
    assert "Traceback" not in found.stderr
